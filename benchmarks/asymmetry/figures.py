"""A row's scores averaged over seeds, and what they differ by from its control's, with intervals.

One bootstrap serves all rows: patients, else lesions, are drawn with replacement, and every
row and seed is scored on the same draws. A row's score on a draw is the mean over its
seeds; subtracting two rows draw by draw gives the paired interval of their difference.
The intervals say how far the figures would move on other lesions. How far they move from
seed to seed is the standard deviation beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, task_scores, weighted
from amfzoo.evaluation.intervals import LEVEL, RESAMPLES, percentile, resample
from amfzoo.evaluation.paired import with_shared_groups

SCORES = ("macro_f1", "balanced_accuracy", "auroc")


@dataclass(frozen=True)
class Figure:
    """A score, or a difference of two.

    Attributes:
        value: mean over the seeds. sd: over the seeds (n - 1); NaN for one.
        low, high: its interval; NaN where too few resamples hold every class.
        seeds: how many it is of.
    """

    value: float
    sd: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class RowScores:
    """One row: of each score the value per seed, and per seed and resample.

    Attributes:
        values: score -> (S,). draws: score -> (S, R). seeds: S numbers.
    """

    seeds: tuple[int, ...]
    values: Mapping[str, np.ndarray]
    draws: Mapping[str, np.ndarray]

    def figure(self, score: str, level: float = LEVEL) -> Figure:
        """Mean over the seeds, with its interval."""
        return _figure(self.values[score], self.draws[score], level)

    def minus(self, control: RowScores, score: str, level: float = LEVEL) -> Figure | None:
        """How much higher the score is than the control's, over the seeds of both; None if they share none."""
        shared = [seed for seed in self.seeds if seed in control.seeds]
        if not shared:
            return None
        own, other = ([row.seeds.index(seed) for seed in shared] for row in (self, control))
        values = self.values[score][own] - control.values[score][other]
        return _figure(values, self.draws[score][own] - control.draws[score][other], level)


def score_rows(
    rows: Mapping[str, Mapping[int, Cases]], task: str | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, RowScores]:
    """{row: scores} of the predictions of each row and seed.

    Args:
        rows: {row: {training seed: predictions of the same lesions, in any order}}.
        task: one task; default the unweighted mean over all that are labelled.
        seed: of the bootstrap.

    Raises:
        ConfigError: other lesions, labels or classes in one of them, or no such task.
    """
    first = next(iter(next(iter(rows.values())).values()))
    if task is not None:
        first.check_task(task)
    tasks = [name for name in first.tasks if first.known(name).any()] if task is None else [task]
    if not tasks or not all(first.known(name).any() for name in tasks):
        raise ConfigError("no validation lesion is of known class, so there is nothing to score")
    every = {row: [first.aligned(cases) for cases in runs.values()] for row, runs in rows.items()}
    first, *_ = with_shared_groups([first, *(cases for aligned in every.values() for cases in aligned)])
    found = {}
    for row, aligned in every.items():
        values = [_values(cases, tasks) for cases in aligned]
        draws = [
            resample(
                lambda weights, cases=cases: _weighted(cases, tasks, weights),
                first.groups,
                resamples=resamples,
                seed=seed,
            )
            for cases in aligned
        ]
        found[row] = RowScores(
            tuple(rows[row]),
            {score: np.array([one[score] for one in values]) for score in SCORES},
            {score: np.stack([one[score] for one in draws]) for score in SCORES},
        )
    return found


def _values(cases: Cases, tasks: list[str]) -> dict[str, float]:
    scores = [task_scores(cases, task) for task in tasks]
    return {score: float(np.mean([one[score].value for one in scores])) for score in SCORES}


def _weighted(cases: Cases, tasks: list[str], weights: np.ndarray) -> dict[str, np.ndarray]:
    scores = []
    for task in tasks:
        known = cases.known(task)
        labels, probabilities = cases.labels[task][known], cases.probabilities[task][known]
        scores.append(weighted.task_scores(labels, probabilities, weights[:, known], cases.tasks[task]))
    return {score: np.mean([one[score] for one in scores], axis=0) for score in SCORES}


def _figure(values: np.ndarray, draws: np.ndarray, level: float) -> Figure:
    low, high = percentile(draws.mean(0), level)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Figure(float(np.mean(values)), sd, low, high, len(values))
