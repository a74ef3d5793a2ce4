"""Temperatures, and the threshold for a wanted sensitivity. Fit on validation cases, judge on others."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from ..errors import ConfigError
from ..text_tables import listed
from . import weighted
from .cases import Cases
from .intervals import LEVEL, RESAMPLES, percentile_score, resample, with_intervals
from .metrics import Score, undefined

TEMPERATURES = (0.05, 20.0)  # the range that is searched
PRIOR = 0.4  # standard deviation of log T: results/temperature.md
_TIE = 1e-6  # probabilities that differ by less are the same, but for their last digits
_LEAST = 1e-12  # probability that stands for 0, which has no logarithm


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray, prior: float = PRIOR) -> float:
    """The temperature T with which ``softmax(log p / T)`` has the lowest log-loss, held near 1 where the cases are few.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017); searched in
    [0.05, 20]. The network divides its logits by it. It is the maximum a posteriori for log T of
    a normal distribution around 0 with the standard deviation `prior`: a few cases that are all right
    would otherwise ask for T = 0, and certainty; beside some hundred cases it hardly counts.

    Args:
        labels: (N,) int class indices, all known, N > 0.
        probabilities: (N, C), rows sum to 1.
        prior: infinite for the likelihood alone.
    """
    log_p = np.log(np.clip(np.asarray(probabilities, dtype=float), _LEAST, None))
    own = log_p[np.arange(len(log_p)), np.asarray(labels)]

    def loss(log_t: float) -> float:
        t = np.exp(log_t)
        return float(np.sum(logsumexp(log_p / t, axis=1) - own / t)) + (log_t / prior) ** 2 / 2

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def fit_temperatures(cases: Cases) -> dict[str, float]:
    """{task: temperature} from cases that were not trained on; tasks without a known class are left out.

    They multiply the temperatures with which `cases` was predicted, if it was with any.
    """
    found = {}
    for task in cases.tasks:
        known = cases.known(task)
        if known.any():
            found[task] = fit_temperature(cases.labels[task][known], cases.probabilities[task][known])
    return found


def apply_temperatures(cases: Cases, temperatures: Mapping[str, float]) -> Cases:
    """The cases with ``softmax(log p / T)`` for p; tasks without a temperature stay as they are.

    Args:
        temperatures: task -> T > 0; above 1 the probabilities become less certain.

    Raises:
        ConfigError: no such task, or a temperature that is not a positive number.
    """
    changed = dict(cases.probabilities)
    for task, value in temperatures.items():
        cases.check_task(task)
        if not isinstance(value, Real) or not (math.isfinite(value) and value > 0):
            raise ConfigError(f"the temperature of task {task!r} must be a positive number, got {value!r}")
        changed[task] = softmax(np.log(np.clip(changed[task], _LEAST, None)) / value, axis=1)
    return replace(cases, probabilities=changed)


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold on the probability of some classes, and what it gives.

    Attributes:
        task, positive: a case is called positive if the summed probability of these
            classes reaches `threshold`.
        sensitivity, specificity: on the cases it was measured on, with intervals.
        positives, negatives: how many of these there were.
    """

    task: str
    positive: tuple[str, ...]
    threshold: float
    sensitivity: Score
    specificity: Score
    positives: int
    negatives: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        scores = {name: getattr(self, name).to_dict() for name in ("sensitivity", "specificity")}
        return {**vars(self), "positive": list(self.positive), **scores}


def threshold_for_sensitivity(
    cases: Cases,
    task: str,
    positive: str | Iterable[str],
    sensitivity: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> OperatingPoint:
    """A threshold that finds at least this share of the positive cases, and no more cases than it must.

    It lies halfway between the probability of the last case that it has to reach and the next lower one of these cases
    (0 where there is none): at that probability itself the last digits of a table, another runtime or batch would decide
    about the case.

    The interval of the specificity takes a new threshold on each resample, so it holds
    for the whole procedure; the one of the sensitivity is for the threshold as it is.
    Both flatter, since the threshold was chosen here: measure it on other cases with
    `measure_threshold`.

    Args:
        positive: class, or classes whose probabilities are added, e.g. all malignant ones.
        sensitivity: wanted, in (0, 1].
        resamples, seed, level: of the intervals, as of `score_intervals`.

    Returns:
        Its `threshold`, and `sensitivity` and `specificity` with intervals on these cases.

    Raises:
        ConfigError: no such task or class, a wanted sensitivity out of range, or no
            positive or no negative case.
    """
    if not isinstance(sensitivity, Real) or not 0 < sensitivity <= 1:
        raise ConfigError(f"the wanted sensitivity must lie in (0, 1], got {sensitivity!r}")
    cases, names, score, truth = _binary(cases, task, positive)
    if truth.all() or not truth.any():
        raise ConfigError(f"task {task!r}: a threshold needs cases with and without {' or '.join(names)}")
    given, score = score, without_last_digits(score)  # so that the resamples tie where the threshold does
    ordered = np.sort(score[truth])[::-1]
    last = float(ordered[math.ceil(sensitivity * len(ordered) - 1e-9) - 1])
    threshold = (last + (next_lower(given, last) or 0.0)) / 2
    point = measure_threshold(cases, task, names, threshold, resamples=resamples, seed=seed, level=level)
    if not resamples or point.specificity.value in (0.0, 1.0) or len(set(cases.groups)) < 2:
        return point
    draws = resample(
        lambda w: {"specificity": weighted.specificity_at(truth, score, w, sensitivity)},
        cases.groups,
        resamples=resamples,
        seed=seed,
    )
    # the positive cases choose the threshold and the negative ones have the specificity: it rests on the fewer of them
    groups = np.asarray(cases.groups, dtype=str)
    few = min(len(np.unique(groups[side])) for side in (truth, ~truth))
    specificity = percentile_score(point.specificity.value, draws["specificity"], few, level)
    if math.isfinite(specificity.low):
        how = "threshold chosen anew on each resample"
        specificity = replace(specificity, note=f"{specificity.note}; {how}" if specificity.note else how)
    return OperatingPoint(**{**vars(point), "specificity": specificity})


def next_lower(scores: np.ndarray, last: float) -> float | None:
    """The highest score below `last`; None where there is none."""
    lower = scores[scores < last]
    return float(lower.max()) if len(lower) else None


def without_last_digits(scores: np.ndarray) -> np.ndarray:
    """(N,) scores, each lowered to the lowest of those that it differs from in the last digits alone."""
    same, lowest = np.array(scores, dtype=float), -math.inf
    for i in np.argsort(same):
        if same[i] - lowest > _TIE:  # not from the one before, which could chain any distance
            lowest = same[i]
        same[i] = lowest
    return same


def measure_threshold(
    cases: Cases,
    task: str,
    positive: str | Iterable[str],
    threshold: float,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> OperatingPoint:
    """What a fixed threshold gives on these cases; NaN with a reason without positives or negatives.

    Args:
        positive: class, or classes whose probabilities are added.
        threshold: on that sum; a case that reaches it is called positive.
        resamples, seed, level: of the intervals, as of `score_intervals`.

    Raises:
        ConfigError: no such task or class, or the threshold is no number.
    """
    if not isinstance(threshold, Real) or math.isnan(threshold):
        raise ConfigError(f"the threshold must be a number, got {threshold!r}")
    cases, names, score, truth = _binary(cases, task, positive)
    called = score >= threshold
    parts = {"sensitivity": (truth, called), "specificity": (~truth, ~called)}
    points = {
        name: Score(float(right[rows].mean()))
        if rows.any()
        else undefined(f"no {'positive' if name == 'sensitivity' else 'negative'} case")
        for name, (rows, right) in parts.items()
    }
    found = with_intervals(
        points,
        lambda w: {name: weighted.mean(right[rows], w[:, rows]) for name, (rows, right) in parts.items()},
        cases.groups,
        binomial={name: rows for name, (rows, _) in parts.items()},
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return OperatingPoint(
        task, names, float(threshold), **found, positives=int(truth.sum()), negatives=int((~truth).sum())
    )


def _binary(
    cases: Cases, task: str, positive: str | Iterable[str]
) -> tuple[Cases, tuple[str, ...], np.ndarray, np.ndarray]:
    """Cases of known class, the positive classes, their summed probability and whether they are true."""
    names = (positive,) if isinstance(positive, str) else tuple(dict.fromkeys(positive))
    columns = [cases.class_index(task, name) for name in names]
    if not columns or len(set(columns)) == len(cases.tasks[task]):
        raise ConfigError(
            f"task {task!r}: the positive classes must be some, but not all, of {listed(cases.tasks[task])}"
        )
    cases = cases.select(cases.known(task))
    return cases, names, cases.probabilities[task][:, columns].sum(1), np.isin(cases.labels[task], columns)
