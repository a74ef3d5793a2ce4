"""Conformal prediction sets: the classes among which the true one is, with a stated probability.

Split conformal prediction: on n calibration cases that were not trained on, a score says
how badly the probabilities fit the true class; its ceil((n + 1) coverage)-th smallest
value is the threshold. A new case's set holds every class whose score is within it. If
the new case and the calibration cases are exchangeable (same population, one case per
patient), the set holds the true class with at least the stated probability, whatever
the model.

    lac   score 1 - p; the smallest sets on average (Sadinle et al., JASA 2019)
    aps   score: summed probability of the classes at least as probable; sets adapt to
          hard cases (Romano et al., NeurIPS 2020, without the random part, so that the
          answer is a function of the case; it covers more than stated)

The most probable class is always in the set, so no set is empty; this only adds coverage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ConfigError
from .cases import Cases

METHODS = ("lac", "aps")
EVERYTHING = 1.0  # a threshold that every class is within
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ConformalSets:
    """Thresholds of one task; plain numbers that can go into a model's config.json.

    Attributes:
        method: "lac" or "aps".
        coverage: stated probability that the set holds the true class.
        thresholds: class -> highest score that is in the set; all equal if the
            coverage is over all classes together, their own if it is for each class.
        cases: class -> number of calibration cases.
        by_class: whether the coverage holds within each class.
    """

    method: str
    coverage: float
    thresholds: Mapping[str, float]
    cases: Mapping[str, int]
    by_class: bool = False

    def __post_init__(self) -> None:
        _check(self.method, self.coverage)
        if set(self.thresholds) != set(self.cases) or not all(math.isfinite(v) for v in self.thresholds.values()):
            raise ConfigError(
                f"conformal: every class needs a finite threshold and a count, got {dict(self.thresholds)}"
            )

    def members(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, C) probabilities, columns in the order of `thresholds` -> (N, C) bool, the classes in each set."""
        probabilities = np.asarray(probabilities, dtype=float)
        inside = _scores(probabilities, self.method) <= np.array(list(self.thresholds.values())) + _ROUNDING
        inside[np.arange(len(inside)), probabilities.argmax(1)] = True
        return inside

    def set_of(self, probabilities: Mapping[str, float]) -> tuple[str, ...]:
        """The set of one case, from {class: p}, most probable class first."""
        row = np.array([[probabilities[name] for name in self.thresholds]])
        inside = dict(zip(self.thresholds, self.members(row)[0]))
        return tuple(sorted((name for name in inside if inside[name]), key=lambda name: -probabilities[name]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**vars(self), "thresholds": dict(self.thresholds), "cases": dict(self.cases)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ConformalSets:
        """Inverse of `to_dict`.

        Raises:
            ConfigError: a key is missing or unknown, or a value is bad.
        """
        try:
            return cls(**data)
        except (TypeError, AttributeError) as error:
            raise ConfigError(f"conformal: {dict(data)} does not describe prediction sets: {error}") from error


def fit_conformal(
    cases: Cases, task: str, *, coverage: float = 0.9, method: str = "lac", by_class: bool = False
) -> ConformalSets:
    """Thresholds from calibration cases that the model was not trained on.

    Args:
        coverage: in (0, 1).
        by_class: a threshold per class, so that each class is covered on its own; a
            class with fewer than coverage / (1 - coverage) cases is then in every set.

    Raises:
        ConfigError: a bad argument, no such task, or too few cases for the coverage.
    """
    _check(method, coverage)
    known, classes = cases.known(task), cases.tasks[task]
    labels = cases.labels[task][known]
    own = _scores(cases.probabilities[task][known], method)[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=len(classes))
    if by_class:
        thresholds = [_quantile(own[labels == c], coverage) for c in range(len(classes))]
    else:
        if _rank(len(own), coverage) > len(own):
            least = math.ceil(coverage / (1 - coverage) - 1e-9)
            raise ConfigError(
                f"task {task!r}: a coverage of {coverage} needs at least {least} cases of known class, got {len(own)}"
            )
        thresholds = [_quantile(own, coverage)] * len(classes)
    return ConformalSets(
        method, coverage, dict(zip(classes, thresholds)), dict(zip(classes, counts.tolist())), by_class
    )


def coverage_report(sets: ConformalSets, cases: Cases, task: str) -> dict[str, Any]:
    """What sets attain on other cases: {"cases", "coverage", "mean_size", "singletons", "by_class": {class: coverage or None}}.

    Raises:
        ConfigError: other classes, or no case of known class.
    """
    known = cases.known(task)
    if tuple(sets.thresholds) != cases.tasks[task] or not known.any():
        raise ConfigError(f"task {task!r}: the prediction sets need cases of the classes {', '.join(sets.thresholds)}")
    labels, inside = cases.labels[task][known], sets.members(cases.probabilities[task][known])
    hit = inside[np.arange(len(labels)), labels]
    return {
        "cases": len(labels),
        "coverage": float(hit.mean()),
        "mean_size": float(inside.sum(1).mean()),
        "singletons": float((inside.sum(1) == 1).mean()),
        "by_class": {
            name: float(hit[labels == c].mean()) if (labels == c).any() else None
            for c, name in enumerate(cases.tasks[task])
        },
    }


def _check(method: str, coverage: float) -> None:
    if method not in METHODS:
        raise ConfigError(f"unknown conformal method {method!r}; known: {', '.join(METHODS)}")
    if not isinstance(coverage, (int, float)) or not 0 < coverage < 1:
        raise ConfigError(f"the coverage must lie between 0 and 1, got {coverage!r}")


def _scores(probabilities: np.ndarray, method: str) -> np.ndarray:
    """(N, C) scores of every class."""
    if method == "lac":
        return 1 - probabilities
    # classes of equal probability enter together, so the order of the columns has no influence
    at_least = probabilities[:, None, :] >= probabilities[:, :, None]  # (N, C, C)
    return np.einsum("nij,nj->ni", at_least, probabilities)


def _rank(count: int, coverage: float) -> int:
    return math.ceil((count + 1) * coverage - 1e-9)


def _quantile(scores: np.ndarray, coverage: float) -> float:
    """The finite-sample quantile; everything, where there are too few cases to exclude any class."""
    rank = _rank(len(scores), coverage)
    return EVERYTHING if rank > len(scores) else float(np.sort(scores)[rank - 1])
