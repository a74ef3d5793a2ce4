"""One record per lesion, and the set of them that a source gives. No torch."""

from __future__ import annotations

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..csv_mark import NO_NAME
from ..errors import ConfigError
from ..labels import as_tasks
from ..text_tables import listed
from .faults import Fault
from .values import as_text, says_nothing

SPLITS = ("train", "valid", "test")
# as they are written in tables -> as they are called here
SPLIT_NAMES = {**{name: name for name in SPLITS}, "val": "valid", "validation": "valid", "training": "train"}
logger = logging.getLogger(__name__)

MODALITIES = ("clinical", "dermoscopy")


@dataclass(frozen=True)
class Lesion:
    """One lesion: up to two images, what is known of it, and who it belongs to.

    Values that say nothing are left out, so that equal knowledge gives equal records: None, NaN and the like of
    pandas wherever they stand, blank metadata, empty candidate sets; a set of one candidate is that class. Numbers
    become the text that a table would hold: 1 and 1.0 are the class, the patient or the id "1".

    Attributes:
        id: unique in its set.
        clinical, dermoscopy: image files; None where there is none, also for "" and "NA".
        labels: task -> class name, or a tuple of candidate classes where the source
            only narrows it down. A task that is not in here is unknown.
        patient: lesions of one patient must never be split; None if not recorded.
        split: "train", "valid" or "test"; None if the source has no split.
        metadata: anything else, as text, e.g. age, sex, site, skin_tone_class.

    Raises:
        ConfigError: the id says nothing, an image is no path, a label no class name, or the split not one of the three.
    """

    id: str
    clinical: Path | None = None
    dermoscopy: Path | None = None
    labels: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    patient: str | None = None
    split: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if says_nothing(self.id):
            raise ConfigError(f"the id of a lesion is {self.id!r}; give every lesion a name or number of its own")
        settled: dict[str, Any] = {} if isinstance(self.id, str) else {"id": as_text(self.id)}
        settled |= {branch: _image(self.id, branch, getattr(self, branch)) for branch in MODALITIES}
        settled |= {"patient": _name(self.patient), "split": _name(self.split)}
        if settled["split"] not in (None, *SPLITS):
            raise ConfigError(f"lesion {self.id!r}: split {self.split!r} must be one of {', '.join(SPLITS)}, or empty")
        labels = {task: _label(self.id, task, label) for task, label in self.labels.items()}
        settled["labels"] = {task: label for task, label in labels.items() if label}
        metadata = {str(key): as_text(value) for key, value in self.metadata.items() if not says_nothing(value)}
        settled["metadata"] = {key: value for key, value in metadata.items() if value}
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    @property
    def group(self) -> str:
        """What a split must keep together: the patient, else the lesion alone."""
        return f"lesion:{self.id}" if self.patient is None else f"patient:{self.patient}"

    @property
    def images(self) -> dict[str, Path]:
        """Modality -> file, of the images that there are; clinical first."""
        return {name: path for name in MODALITIES if (path := getattr(self, name)) is not None}

    def candidates(self, task: str) -> tuple[str, ...]:
        """The classes that the label leaves open; empty if it is unknown."""
        label = self.labels.get(task, ())
        return (label,) if isinstance(label, str) else tuple(label)


def _name(value: Any) -> str | None:
    """A patient or split; None if it says nothing."""
    text = as_text(value)
    return None if text in NO_NAME else text


def _image(lesion: Any, branch: str, value: Any) -> Path | None:
    if says_nothing(value) or (isinstance(value, str) and value.strip() in NO_NAME):
        return None
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigError(f"lesion {lesion!r}: {branch} is {value!r}; give the path of an image file, or None")
    return Path(value)


def _label(lesion: Any, task: str, label: Any) -> str | tuple[str, ...]:
    """A class or candidates; empty if unknown."""
    if not isinstance(label, Iterable) or isinstance(label, (str, bytes, Mapping)):
        label = (label,)
    names = tuple(dict.fromkeys(_class(lesion, task, part) for part in label if not says_nothing(part)))
    return names[0] if len(names) == 1 else names


def _class(lesion: Any, task: str, label: Any) -> str:
    if isinstance(label, str):
        return label
    text = as_text(label)
    if not re.fullmatch(r"-?\d+|True|False", text):  # as the cells of tables with columns of numbers or truth values
        raise ConfigError(
            f"lesion {lesion!r}: the label of task {task!r} is {label!r}; give a class name, candidates or None"
        )
    return text


@dataclass(frozen=True)
class LesionSet:
    """Lesions and the tasks that they are labelled for.

    Attributes:
        name: of the source, for messages.
        lesions: in the source's order, ids unique.
        tasks: task -> class names, in the order of the logits; empty if nothing is labelled.
        faults: what a lenient reader found wrong and left out.
        hints: what the source advises, e.g. {"border": 0.05} for `Preprocess.border`.

    Raises:
        ConfigError: a repeated id, or a label that its task does not have.
    """

    name: str
    lesions: tuple[Lesion, ...]
    tasks: Mapping[str, tuple[str, ...]]
    faults: tuple[Fault, ...] = ()
    hints: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lesions", tuple(self.lesions))
        object.__setattr__(self, "faults", tuple(self.faults))
        object.__setattr__(self, "tasks", as_tasks(self.tasks) if self.tasks else {})
        repeated = [name for name, n in Counter(lesion.id for lesion in self.lesions).items() if n > 1]
        if repeated:
            raise ConfigError(f"{self.name}: lesion ids must be unique; repeated: {', '.join(repeated[:5])}")
        for lesion in self.lesions:
            for task in lesion.labels:
                if task not in self.tasks:
                    raise ConfigError(
                        f"{self.name}, lesion {lesion.id!r}: no task {task!r}; known: {', '.join(self.tasks)}"
                    )
                wrong = [name for name in lesion.candidates(task) if name not in self.tasks[task]]
                if wrong:
                    raise ConfigError(f"{self.name}, lesion {lesion.id!r}: task {task!r} has no class {wrong[0]!r}")

    def __len__(self) -> int:
        return len(self.lesions)

    def __iter__(self) -> Iterator[Lesion]:
        return iter(self.lesions)

    def select(self, keep: Callable[[Lesion], bool]) -> LesionSet:
        """The lesions for which `keep` is true."""
        return replace(self, lesions=tuple(lesion for lesion in self.lesions if keep(lesion)))

    def split(self, name: str) -> LesionSet:
        """The lesions of "train", "valid" or "test"."""
        if name not in SPLITS:
            raise ConfigError(f"unknown split {name!r}; known: {', '.join(SPLITS)}")
        return self.select(lambda lesion: lesion.split == name)

    def counts(self, task: str) -> dict[str, int]:
        """Class -> number of lesions with exactly that label."""
        if task not in self.tasks:
            raise ConfigError(f"{self.name}: no task {task!r}; known: {', '.join(self.tasks) or 'none'}")
        found = Counter(lesion.candidates(task)[0] for lesion in self if len(lesion.candidates(task)) == 1)
        return {name: found[name] for name in self.tasks[task]}


def concat(sets: Iterable[LesionSet], name: str = "concat") -> LesionSet:
    """Several sources as one; a record has labels for the tasks of its own source only.

    Lesion and patient ids get their source's name in front, so that they cannot collide. Of patient ids that several
    sources have a warning is given: if they mean the same people, their lesions may now be split.
    Faults are kept. Hints are kept where all sources agree: border 0.05 for one source
    would cut into the pictures of another.

    Raises:
        ConfigError: two sources name the same task with other classes, or share a name
            and a lesion id.
    """
    sets = list(sets)
    tasks: dict[str, tuple[str, ...]] = {}
    for source in sets:
        for task, classes in source.tasks.items():
            if tasks.setdefault(task, classes) != classes:
                raise ConfigError(
                    f"task {task!r} has the classes {listed(tasks[task])} in one source and {listed(classes)} in "
                    f"{source.name}; {_remedy(task, tasks[task], classes)}"
                )
    _warn_of_shared_patients(sets)
    lesions = (
        replace(
            lesion,
            id=f"{source.name}/{lesion.id}",
            patient=None if lesion.patient is None else f"{source.name}/{lesion.patient}",
        )
        for source in sets
        for lesion in source
    )
    faults = [
        replace(fault, lesions=tuple(f"{source.name}/{lesion}" for lesion in fault.lesions))
        for source in sets
        for fault in source.faults
    ]
    hints = {
        key: value
        for key, value in (sets[0].hints if sets else {}).items()
        if all(source.hints.get(key) == value for source in sets)
    }
    return LesionSet(name, tuple(lesions), tasks, tuple(faults), hints)


def _remedy(task: str, some: tuple[str, ...], others: tuple[str, ...]) -> str:
    export = "write one source as a table with `amfzoo data export` and rename its column"
    if set(some) <= set(others) or set(some) >= set(others):  # one lacks a class, or has them in another order
        every = "|".join(max(some, others, key=len))
        return (
            f"name the classes of all, with --label '{task}={task}:{every}' where {task!r} is the column (labels= in Python); or, "
            f"if they are different questions, {export}"
        )
    return f"if they are different questions, {export}"


def _warn_of_shared_patients(sets: Sequence[LesionSet]) -> None:
    sources = Counter(patient for source in sets for patient in {le.patient for le in source} - {None})
    shared = sorted(patient for patient, count in sources.items() if count > 1)
    if shared:
        logger.warning(
            "%d patient ids (%s%s) occur in several sources and are taken for different people. If they are the same, put "
            "these sources into one table: only then do splits and intervals keep a patient together",
            len(shared), ", ".join(shared[:3]), ", ..." if len(shared) > 3 else "",
        )  # fmt: skip


def evenly_spaced(lesions: Sequence[Lesion], count: int) -> tuple[Lesion, ...]:
    """At most `count` lesions, spread evenly over the sequence, in its order; none for 0."""
    count = min(count, len(lesions))
    return tuple(lesions[i * len(lesions) // count] for i in range(count))


def join(sets: Iterable[LesionSet]) -> LesionSet:
    """One set as it is; several as by `concat`, those of one name under the folders of their images too, or numbered.

    The folders give the same ids in whatever order the sources come.

    Raises:
        ConfigError: see `concat`.
    """
    sets = list(sets)
    if len(sets) == 1:
        return sets[0]
    names = [one.name for one in sets]
    named = list(sets)
    for name in dict.fromkeys(names):
        alike = [i for i, other in enumerate(names) if other == name]
        if len(alike) > 1:
            for i, own in zip(alike, _told_apart([sets[i] for i in alike]) or [f"{name}-{i}" for i in alike]):
                named[i] = replace(sets[i], name=own)
    return concat(named, name="+".join(dict.fromkeys(names)))


def _told_apart(sets: Sequence[LesionSet]) -> list[str] | None:
    """Names with the part of the images' folders that differs; None where no part does."""
    try:
        folders = [
            os.path.commonpath([path.parent for lesion in source for path in lesion.images.values()]) for source in sets
        ]
        places = [os.path.relpath(own, os.path.commonpath(folders)) for own in folders]
    except ValueError:  # no images, or some paths are relative
        return None
    return (
        [f"{place}/{source.name}" for place, source in zip(places, sets)] if len(set(places)) == len(places) else None
    )
