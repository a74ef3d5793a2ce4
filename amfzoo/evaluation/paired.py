"""Paired comparison of two models on the same lesions, by the bootstrap of `intervals`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ConfigError
from . import weighted
from .cases import Cases
from .intervals import (
    AVERAGES,
    BIASED,
    LEVEL,
    RANKING,
    RESAMPLES,
    SAME,
    TOO_FEW,
    Statistic,
    check_settings,
    few_groups,
    percentile,
    rare_classes,
    resample,
    uncertain,
    withheld,
)
from .metrics import Score, task_scores
from .operating_point import as_called, called_names


@dataclass(frozen=True)
class Difference:
    """Score of the second model minus that of the first, on the same cases.

    Attributes:
        first, second: the two scores.
        value, low, high: the difference and its interval.
        p: two-sided bootstrap p-value of no difference, not corrected for the number
            of scores that are compared; NaN from fewer than `FEW_GROUPS` patients or lesions, where it is far too small.
        note: why something is NaN, or doubtful.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: NaN is None."""
        return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in vars(self).items()}


def paired_difference(
    a: Cases, b: Cases, task: str | None = None, *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, dict[str, Difference]]:
    """How the scores of `b` differ from those of `a` on the same cases, both drawn together.

    Of tasks that one of the two calls by an operating point also those of what is called (`called_macro_f1` and others;
    the other one calls the most probable class, if it has no point).

    Args:
        a, b: the same lesions with the same labels, in any order.
        task: one task; default every task that both have.
        resamples, seed, level: of the intervals, as of `score_intervals`.

    Returns:
        {task: {score: Difference}}.

    Raises:
        ConfigError: other lesions, patients, labels or classes; or no task in common.
    """
    b = a.aligned(b)
    groups = np.array(shared_groups(a, b), dtype=object)
    shared = [name for name in a.tasks if name in b.tasks] if task is None else [task]
    if not shared:
        raise ConfigError(f"the two have no task in common: {', '.join(a.tasks)} and {', '.join(b.tasks)}")
    found = {}
    for name in shared:
        known = a.known(name)
        b.check_task(name)
        own, other = replace(a.select(known), groups=groups[known].tolist()), b.select(known)
        found[name] = _differences(own, other, name, resamples, seed, level)
        if name in a.called or name in b.called:
            called = _differences(as_called(own, name), as_called(other, name), name, resamples, seed, level)
            found[name] |= {new: called[score] for new, score in called_names(a.tasks[name]).items() if score in called}
    return found


def shared_groups(a: Cases, b: Cases) -> Sequence[str]:
    """What is drawn as one of two aligned sides: the patients of the side that knows them.

    Raises:
        ConfigError: both know patients, but not the same lesions are of one patient.
    """
    if not a.has_patients or not b.has_patients:
        return b.groups if b.has_patients else a.groups
    pairs = set(zip(a.groups, b.groups))
    if not len(pairs) == len(set(a.groups)) == len(set(b.groups)):
        raise ConfigError(
            "a paired comparison needs the same patients on both sides: the column of the patient differs"
        )
    return a.groups


def with_shared_groups(runs: Sequence[Cases]) -> list[Cases]:
    """Aligned runs, the first with the patients that any of them knows.

    Raises:
        ConfigError: as for `shared_groups`.
    """
    first, *others = runs
    for other in others:
        first = replace(first, groups=shared_groups(first, other))
    return [first, *others]


def _differences(a: Cases, b: Cases, task: str, resamples: int, seed: int, level: float) -> dict[str, Difference]:
    first, second = task_scores(a, task), task_scores(b, task)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        one, two = (weighted.task_scores(c.labels[task], c.probabilities[task], weights, c.tasks[task]) for c in (a, b))
        return {name: two[name] - one[name] for name in one}

    found = differences(first, second, statistic, a.groups, resamples=resamples, seed=seed, level=level)
    return _withheld(found, a, task)


def _withheld(found: dict[str, Difference], cases: Cases, task: str) -> dict[str, Difference]:
    """As `withhold`; what a model gains on a handful of cases has no interval either, of their sensitivity too (of the
    specificity where the others are the handful), nor has a gain in calibration error."""
    rare = rare_classes(cases, task)
    notes = withheld(cases, task, of_class=(*RANKING, "sensitivity"), of_rest=(*RANKING, "specificity"))
    # resampling makes the better calibrated model's larger by more, so that the draws lie nearer to 0 than the difference
    notes |= dict.fromkeys(BIASED, "no interval: resamples of a difference in calibration error are biased towards 0")
    changed = dict(found)
    for name, one in found.items():
        if name in notes and (math.isfinite(one.low) or one.note == SAME):
            changed[name] = replace(one, low=math.nan, high=math.nan, p=math.nan, note=notes[name])
        elif rare and name in AVERAGES and math.isfinite(one.low):
            changed[name] = replace(one, note=one.note or uncertain(rare))
    return changed


def differences(
    first: Mapping[str, Score],
    second: Mapping[str, Score],
    statistic: Statistic,
    groups: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Difference]:
    """Second minus first, score by score; `statistic` gives the differences on resamples."""
    check_settings(resamples, seed, level)
    count = len(set(groups))
    draws = resample(statistic, groups, resamples=resamples, seed=seed) if count > 1 and resamples > 0 else {}
    return {name: _difference(first[name], second[name], draws.get(name), few_groups(count), level) for name in first}


def _difference(first: Score, second: Score, draws: np.ndarray | None, few: str, level: float) -> Difference:
    """`few`: what is to be said where the groups are so few that a p-value would mislead."""
    value = second.value - first.value
    if not math.isfinite(value):
        nan = math.nan
        return Difference(first.value, second.value, nan, nan, nan, nan, first.note or second.note)
    if draws is None:
        nan, note = math.nan, "no interval: not asked for, or one patient or lesion only"
        return Difference(first.value, second.value, value, nan, nan, nan, note)
    low, high = percentile(draws, level)
    if math.isnan(low) or low == high:
        nan, note = math.nan, TOO_FEW if math.isnan(low) else SAME
        return Difference(first.value, second.value, value, nan, nan, nan, note)
    finite = draws[np.isfinite(draws)]
    # one is added on both sides, since 1000 resamples cannot show a p-value of 0
    tail = 1 + min((finite <= 0).sum(), (finite >= 0).sum())
    p = math.nan if few else min(1.0, 2 * tail / (len(finite) + 1))
    return Difference(first.value, second.value, value, low, high, float(p), few)
