"""One record per lesion, and the set of them that a source gives. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import ConfigError
from ..labels import as_tasks

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Lesion:
    """One lesion: up to two images, what is known of it, and who it belongs to.

    Attributes:
        id: unique in its set.
        clinical, dermoscopy: image files; None where there is none.
        labels: task -> class name, or a tuple of candidate classes where the source
            only narrows it down. A task that is not in here is unknown.
        patient: lesions of one patient must never be split; None if not recorded.
        split: "train", "valid" or "test"; None if the source has no split.
        metadata: anything else, as text, e.g. age, sex, site, skin_tone.
    """

    id: str
    clinical: Path | None = None
    dermoscopy: Path | None = None
    labels: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    patient: str | None = None
    split: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split is not None and self.split not in SPLITS:
            raise ConfigError(f"lesion {self.id!r}: split {self.split!r} must be one of {', '.join(SPLITS)}, or empty")

    @property
    def group(self) -> str:
        """What a split must keep together: the patient, else the lesion alone."""
        return f"lesion:{self.id}" if self.patient is None else f"patient:{self.patient}"

    def candidates(self, task: str) -> tuple[str, ...]:
        """The classes that the label leaves open; empty if it is unknown."""
        label = self.labels.get(task, ())
        return (label,) if isinstance(label, str) else tuple(label)


@dataclass(frozen=True)
class LesionSet:
    """Lesions and the tasks that they are labelled for.

    Attributes:
        name: of the source, for messages.
        lesions: in the source's order, ids unique.
        tasks: task -> class names, in the order of the logits.

    Raises:
        ConfigError: a repeated id, or a label that its task does not have.
    """

    name: str
    lesions: tuple[Lesion, ...]
    tasks: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "lesions", tuple(self.lesions))
        object.__setattr__(self, "tasks", as_tasks(self.tasks))
        repeated = [name for name, n in Counter(lesion.id for lesion in self.lesions).items() if n > 1]
        if repeated:
            raise ConfigError(f"{self.name}: lesion ids must be unique; repeated: {', '.join(repeated[:5])}")
        for lesion in self.lesions:
            for task in lesion.labels:
                if task not in self.tasks:
                    raise ConfigError(f"{self.name}, lesion {lesion.id!r}: no task {task!r}; known: {', '.join(self.tasks)}")
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
        found = Counter(lesion.candidates(task)[0] for lesion in self if len(lesion.candidates(task)) == 1)
        return {name: found[name] for name in self.tasks[task]}


def concat(sets: Iterable[LesionSet], name: str = "concat") -> LesionSet:
    """Several sources as one; a record has labels for the tasks of its own source only.

    Lesion and patient ids get their source's name in front, so that they cannot collide.

    Raises:
        ConfigError: two sources name the same task with other classes.
    """
    sets = list(sets)
    tasks: dict[str, tuple[str, ...]] = {}
    for source in sets:
        for task, classes in source.tasks.items():
            if tasks.setdefault(task, classes) != classes:
                raise ConfigError(f"task {task!r} has classes {tasks[task]} in one source and {classes} in {source.name}")
    lesions = (
        replace(
            lesion,
            id=f"{source.name}/{lesion.id}",
            patient=None if lesion.patient is None else f"{source.name}/{lesion.patient}",
        )
        for source in sets
        for lesion in source
    )
    return LesionSet(name, tuple(lesions), tasks)
