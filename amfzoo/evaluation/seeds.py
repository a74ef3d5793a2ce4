"""Figures of several runs of one method, which differ in their seed only, on the same cases.

A method's figure is the mean over its runs. Two spreads belong to it: the standard
deviation over the runs (n - 1 in the denominator) says how much one run differs from the
next, the interval how much the mean would differ on other patients: patients (lesions where
no patient is known) are drawn with replacement, all runs with the same draw (see `intervals`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..labels import DERM7PT
from . import weighted
from .cases import Cases
from .checklist import averages, noted, protocol_note, rare_note, weighted_averages
from .intervals import LEVEL, RESAMPLES, proportions, with_intervals, withhold
from .metrics import Score, task_scores, undefined
from .paired import with_shared_groups

KINDS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "sensitivity", "specificity", "precision")
MEAN_BALANCED = "avg_balanced_accuracy"  # unweighted mean over the tasks of `_averaged`


@dataclass(frozen=True)
class SeedScore:
    """One figure of several runs.

    Attributes:
        mean: over the runs; NaN where a run has none.
        sd: over the runs; NaN for a single one.
        low, high: interval of the mean; NaN without one.
        values: of each run, in order.
        note: why something is missing, or how the interval was made.
    """

    mean: float
    sd: float
    low: float
    high: float
    values: tuple[float, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: NaN is None."""
        plain = {name: _plain(getattr(self, name)) for name in ("mean", "sd", "low", "high")}
        return {**plain, "values": [_plain(value) for value in self.values], "note": self.note}


def seed_scores(
    runs: Sequence[Cases], *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, SeedScore]:
    """Every figure of `KINDS`, as "<task>/<score>", and the averages over tasks.

    Args:
        runs: predictions of each run for the same lesions, in any order.
        resamples: of the bootstrap; 0 leaves the intervals out.

    Returns:
        {name: SeedScore}: first avg_accuracy, auc_12 and auc_24 where the eight Derm7pt
        tasks are there, then avg_balanced_accuracy (of these eight, else of all tasks), then the tasks.

    Raises:
        ConfigError: no run, or other lesions, patients, labels or classes in one of them.
    """
    if not runs:
        raise ConfigError("there are no runs to sum up")
    runs = with_shared_groups([runs[0], *(runs[0].aligned(other) for other in runs[1:])])
    tables = [_scores(cases) for cases in runs]
    values = {name: tuple(table[name].value for table in tables) for name in tables[0]}
    points = {name: Score(float(np.mean(found)), note=tables[0][name].note) for name, found in values.items()}

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        drawn = [_weighted(cases, weights) for cases in runs]
        return {name: np.mean([one[name] for one in drawn], axis=0) for name in points}

    settings = {"binomial": _proportions(runs), "resamples": resamples, "seed": seed, "level": level}
    found = with_intervals(points, statistic, runs[0].groups, **settings)
    for task in _tasks(runs[0]):
        own = {name.removeprefix(f"{task}/"): score for name, score in found.items() if name.startswith(f"{task}/")}
        kept = withhold(own, runs[0].select(runs[0].known(task)), task)
        found |= {f"{task}/{name}": score for name, score in kept.items()}
    for name, tasks in (("auc_12", DERM7PT.tasks), ("auc_24", DERM7PT.tasks), (MEAN_BALANCED, _averaged(runs[0]))):
        if name in found:
            found[name] = noted(found[name], rare_note(runs[0], tasks))
    return {
        name: SeedScore(score.value, _sd(values[name]), score.low, score.high, values[name], score.note)
        for name, score in found.items()
    }


def _scores(cases: Cases) -> dict[str, Score]:
    found: dict[str, Score] = {}
    if not protocol_note(cases):
        found |= averages(cases)
    tasks = {task: task_scores(cases, task) for task in _tasks(cases)}
    averaged = _averaged(cases)
    if lacking := [task for task in averaged or cases.tasks if task not in tasks]:
        found[MEAN_BALANCED] = undefined(f"no labels for {', '.join(lacking)}")
    else:
        found[MEAN_BALANCED] = Score(float(np.mean([tasks[task]["balanced_accuracy"].value for task in averaged])))
    for task, scores in tasks.items():
        found |= {f"{task}/{name}": score for name, score in scores.items() if name.partition(":")[0] in KINDS}
    return found


def _weighted(cases: Cases, weights: np.ndarray) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    if not protocol_note(cases):
        found |= weighted_averages(cases, weights)
    nothing = np.full(len(weights), math.nan)
    balanced = dict.fromkeys(_averaged(cases), nothing)
    for task in _tasks(cases):
        known = cases.known(task)
        scores = weighted.task_scores(
            cases.labels[task][known], cases.probabilities[task][known], weights[:, known], cases.tasks[task]
        )
        if task in balanced:
            balanced[task] = scores["balanced_accuracy"]
        found |= {f"{task}/{name}": value for name, value in scores.items()}
    found[MEAN_BALANCED] = np.mean(list(balanced.values()), axis=0) if balanced else nothing
    return found


def _proportions(runs: Sequence[Cases]) -> dict[str, np.ndarray]:
    """{name: (N,) bool}, the cases that each proportion is of; of those that differ by run, the fewest."""
    found = {}
    for task in _tasks(runs[0]):
        known = runs[0].known(task)
        each = [proportions(run.labels[task], run.probabilities[task], run.tasks[task]) for run in runs]
        found |= {f"{task}/{name}": min((one[name] & known for one in each), key=np.sum) for name in each[0]}
    return found


def _tasks(cases: Cases) -> list[str]:
    """The tasks with a label, those of Derm7pt in its order first."""
    known = [task for task in cases.tasks if cases.known(task).any()]
    return sorted(known, key=lambda task: list(DERM7PT.tasks).index(task) if task in DERM7PT.tasks else len(known) + 8)


def _averaged(cases: Cases) -> list[str]:
    """The tasks whose mean stands beside AVG, with a label or not: its eight, where it is there; else all with a label."""
    return _tasks(cases) if protocol_note(cases) else list(DERM7PT.tasks)


def _sd(values: tuple[float, ...]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
