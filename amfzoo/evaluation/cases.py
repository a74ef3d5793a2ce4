"""`Cases`: labels and probabilities case by case, the one input of every figure. Needs no scikit-learn."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..csv_mark import MISSING
from ..errors import ConfigError
from ..labels import as_tasks
from ..text_tables import listed
from .cases_checks import PATIENT_GROUP, UNKNOWN, as_texts, check_groups, checked_labels, checked_rows

if TYPE_CHECKING:
    from ..data.records import Lesion
    from ..inference.prediction import Prediction

MODES = ("both", "clinical", "dermoscopy")


def whole_mode(branches: Collection[str]) -> str:
    """The mode in which a network that reads these images is given all of them."""
    return "both" if len(branches) == 2 else next(iter(branches))


@dataclass(frozen=True)
class Cases:
    """What was predicted and what is true, for N cases.

    Attributes:
        ids: N lesion ids, unique.
        tasks: task -> C class names, in the order of the columns of its probabilities.
        labels: task -> (N,) int64 class indices, -1 where the class is unknown or
            only narrowed down to candidates.
        probabilities: task -> (N, C) float64; rows sum to 1 (they are normalised, and
            refused if they are off by more than 0.02, or than 0.005 for each class, which two decimals allow).
        called: task -> (N,) int64 indices of the class that the model's operating point calls; only
            tasks that have one.
        groups: N names of what was sampled as one, "patient:..." or "lesion:...";
            default each lesion alone.
        splits: N of "train", "valid", "test" or "".
        metadata: column -> N strings, "" where not recorded, as None and NaN of data frames become; numbers become text.
        mode: which images the model was given: "both" (all that there are),
            "clinical" or "dermoscopy".
        model: name of what predicted, for reports.

    Raises:
        ConfigError: lengths, shapes or values do not fit; the message names the task
            and the lesion.
    """

    ids: Sequence[str]
    tasks: Mapping[str, Sequence[str]]
    labels: Mapping[str, np.ndarray]
    probabilities: Mapping[str, np.ndarray]
    groups: Sequence[str] = ()
    splits: Sequence[str] = ()
    metadata: Mapping[str, Sequence[str]] = field(default_factory=dict)
    mode: str = "both"
    model: str = ""
    called: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("ids", tuple(str(name) for name in self.ids))
        put("tasks", as_tasks(self.tasks))
        put("groups", tuple(self.groups) or tuple(f"lesion:{name}" for name in self.ids))
        put("splits", as_texts(self.splits) or ("",) * len(self.ids))
        put("metadata", {name: as_texts(column) for name, column in self.metadata.items()})
        self._check_columns()
        for name, given in (("labels", self.labels), ("probabilities", self.probabilities)):
            if set(given) != set(self.tasks):
                raise ConfigError(f"cases: {name} are given for {sorted(given)}, the tasks are {sorted(self.tasks)}")
        for task in self.called:
            self.check_task(task)
        classes = self.tasks
        put("labels", {t: checked_labels(t, self.ids, self.labels[t], len(classes[t])) for t in classes})
        put("called", {t: checked_labels(t, self.ids, c, len(classes[t]), least=0) for t, c in self.called.items()})
        put("probabilities", {t: checked_rows(t, self.ids, self.probabilities[t], len(classes[t])) for t in classes})

    def _check_columns(self) -> None:
        if len(set(self.ids)) != len(self.ids):
            seen: set[str] = set()
            name = next(name for name in self.ids if name in seen or seen.add(name))
            raise ConfigError(f"cases: lesion ids must be unique, {name!r} comes twice")
        columns = {
            "groups": self.groups,
            "splits": self.splits,
            **{f"metadata {k!r}": v for k, v in self.metadata.items()},
        }
        for name, column in columns.items():
            if len(column) != len(self.ids):
                raise ConfigError(f"cases: {len(self.ids)} ids but {len(column)} entries in {name}")
        check_groups(self.ids, self.groups)
        if self.mode not in MODES:
            raise ConfigError(f"cases: mode {self.mode!r} must be one of {', '.join(MODES)}")
        for task in self.tasks:
            if ":" in task or task == "metadata":
                raise ConfigError(f"cases: {task!r} cannot be the name of a task")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_patients(self) -> bool:
        """Whether the patient of any case is known."""
        return any(group.startswith(PATIENT_GROUP) for group in self.groups)

    def known(self, task: str) -> np.ndarray:
        """(N,) bool: the cases whose class is known.

        Raises:
            ConfigError: no such task.
        """
        self.check_task(task)
        return self.labels[task] != UNKNOWN

    def check_task(self, task: str) -> None:
        """Raise ConfigError if the cases do not have the task."""
        if task not in self.tasks:
            raise ConfigError(f"the cases have no task {task!r}; they have {', '.join(self.tasks)}")

    def class_index(self, task: str, name: str) -> int:
        """Column of a class.

        Raises:
            ConfigError: no such task or class.
        """
        self.check_task(task)
        if name not in self.tasks[task]:
            raise ConfigError(f"task {task!r} has no class {name!r}; it has {listed(self.tasks[task])}")
        return self.tasks[task].index(name)

    def select(self, rows: np.ndarray) -> Cases:
        """The cases of a (N,) bool mask or of an array of indices."""
        rows = np.asarray(rows)
        rows = np.arange(len(self))[rows if rows.size else rows.astype(int)]  # an empty list has no type of its own
        return replace(
            self,
            ids=[self.ids[i] for i in rows],
            groups=[self.groups[i] for i in rows],
            splits=[self.splits[i] for i in rows],
            labels={task: values[rows] for task, values in self.labels.items()},
            probabilities={task: values[rows] for task, values in self.probabilities.items()},
            called={task: values[rows] for task, values in self.called.items()},
            metadata={name: [column[i] for i in rows] for name, column in self.metadata.items()},
        )

    def split(self, name: str) -> Cases:
        """The cases of "train", "valid" or "test".

        Raises:
            ConfigError: there is none.
        """
        rows = np.array([split == name for split in self.splits], dtype=bool)
        if not rows.any():
            has = ", ".join(sorted(set(self.splits) - {""})) or "none at all"
            raise ConfigError(f"no case has the split {name!r}; splits of these cases: {has}")
        return self.select(rows)

    def aligned(self, other: Cases) -> Cases:
        """`other` in the order of these cases, and of their classes.

        Raises:
            ConfigError: other ids or classes, or another label of the same case.
        """
        mine, theirs = set(self.ids), set(other.ids)
        if mine != theirs:
            alone = sorted(mine ^ theirs)
            both = len(mine & theirs)
            way_on = f"; to compare the {both} that both have say --common (in Python evaluate(..., common=True), or `Cases.common`)"
            raise ConfigError(
                f"a paired comparison needs the same lesions on both sides: {len(mine - theirs)} are only in the first, "
                f"{len(theirs - mine)} only in the second, e.g. {alone[0]!r}{way_on if both else ', and none is in both'}"
            )
        position = {name: i for i, name in enumerate(other.ids)}
        other = other.select(np.array([position[name] for name in self.ids], dtype=int))
        for task in [task for task in self.tasks if task in other.tasks]:
            if set(self.tasks[task]) == set(other.tasks[task]):
                other = other._reordered(task, self.tasks[task])
            else:
                raise ConfigError(
                    f"task {task!r} has the classes {self.tasks[task]} in one and {other.tasks[task]} in the other"
                )
            wrong = np.flatnonzero(self.labels[task] != other.labels[task])
            if len(wrong):
                i = wrong[0]
                first, second = (
                    "unknown" if cases.labels[task][i] == UNKNOWN else repr(cases.tasks[task][cases.labels[task][i]])
                    for cases in (self, other)
                )
                more = f" (one of {len(wrong)} such lesions)" if len(wrong) > 1 else ""
                raise ConfigError(
                    f"task {task!r}: the true class of lesion {self.ids[i]!r} differs between the two: it is {first} in the first and "
                    f"{second} in the second{more}; both are judged by one truth, so write the same in both"
                )
        return other

    def common(self, other: Cases) -> tuple[Cases, Cases]:
        """Those of these cases and of `other` whose lesions both have.

        Raises:
            ConfigError: there is none.
        """
        both = set(self.ids) & set(other.ids)
        if not both:
            shown = ", ".join(map(repr, (*self.ids[:1], *other.ids[:1])))
            raise ConfigError(
                f"there is nothing to compare: none of the {len(self)} lesions of the first is among the {len(other)} of the second "
                f"(e.g. {shown}); lesions are found by their ids, which must be written alike"
            )
        first, second = (cases.select(np.array([name in both for name in cases.ids])) for cases in (self, other))
        return first, second

    def in_order(self, tasks: Mapping[str, Sequence[str]]) -> Cases:
        """The same cases with the classes of all tasks in the order of `tasks`, which are the same but for that."""
        cases = self
        for task, classes in tasks.items():
            cases = cases._reordered(task, classes)
        return cases

    def _reordered(self, task: str, classes: Sequence[str]) -> Cases:
        """The same cases with the classes of one task in another order."""
        if tuple(classes) == tuple(self.tasks[task]):
            return self
        columns = [self.tasks[task].index(name) for name in classes]
        labels, new = self.labels[task], np.argsort(columns)
        return replace(
            self,
            tasks={**self.tasks, task: tuple(classes)},
            labels={**self.labels, task: np.where(labels == UNKNOWN, UNKNOWN, new[labels])},
            probabilities={**self.probabilities, task: self.probabilities[task][:, columns]},
            called={name: new[values] if name == task else values for name, values in self.called.items()},
        )

    @classmethod
    def from_predictions(
        cls,
        lesions: Iterable[Lesion],
        predictions: Iterable[Prediction],
        tasks: Mapping[str, Sequence[str]],
        *,
        mode: str = "both",
    ) -> Cases:
        """Cases of lesions and their answers, in order.

        A label that leaves several candidates, or that the model has no class for, is
        unknown.

        Args:
            tasks: task -> classes, as the model has them.

        Raises:
            ConfigError: as the constructor.
        """
        lesions, predictions = list(lesions), list(predictions)
        if len(lesions) != len(predictions):
            raise ConfigError(f"{len(lesions)} lesions but {len(predictions)} predictions")
        tasks = as_tasks(tasks)
        names = list(dict.fromkeys(name for lesion in lesions for name in lesion.metadata))
        return cls(
            ids=[lesion.id for lesion in lesions],
            tasks=tasks,
            labels={
                task: np.array([_index(lesion.candidates(task), classes) for lesion in lesions], dtype=np.int64)
                for task, classes in tasks.items()
            },
            probabilities={
                task: np.array([[p.probabilities[task][name] for name in classes] for p in predictions]).reshape(
                    -1, len(classes)
                )
                for task, classes in tasks.items()
            },
            groups=[lesion.group for lesion in lesions],
            splits=[lesion.split or "" for lesion in lesions],
            # as `read` gives them, so that the same figures come from the saved predictions
            metadata={name: [recorded(lesion.metadata.get(name, "")) for lesion in lesions] for name in names},
            mode=mode,
            model=predictions[0].model if predictions else "",
            called={
                task: np.array([classes.index(answer.called(task)[0]) for answer in predictions], dtype=np.int64)
                for task, classes in tasks.items()
                if any(answer.operating_point(task) for answer in predictions)
            },
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Cases:
        """Cases from a CSV file; see `amfzoo.evaluation.cases_file` for its columns and errors."""
        from .cases_file import read_cases

        return read_cases(path)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the CSV file that `read` reads."""
        from .cases_file import write_cases

        write_cases(self, path)


def recorded(cell: str) -> str:
    """A cell, empty where a program wrote that there is nothing."""
    return "" if cell in MISSING else cell


def _index(candidates: tuple[str, ...], classes: tuple[str, ...]) -> int:
    return classes.index(candidates[0]) if len(candidates) == 1 and candidates[0] in classes else UNKNOWN
