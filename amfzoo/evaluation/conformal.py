"""Conformal prediction sets: the classes among which the true one is, with a stated probability.

Split conformal prediction: on n calibration cases that were not trained on, a score says
how badly the probabilities fit the true class; its ceil((n + 1) coverage)-th smallest
value is the threshold. A new case's set holds every class whose score is within it. If
the new case and the calibration cases are exchangeable (same population, one case per
patient), the set holds the true class with at least the stated probability, whatever
the model.

The methods are described in `amfzoo.inference.sets`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..inference.sets import ConformalSets, check_method, class_scores
from .cases import Cases

EVERYTHING = 1.0  # a threshold that every class is within


def fit_conformal(
    cases: Cases, task: str, *, coverage: float = 0.9, method: str = "lac", by_class: bool = False
) -> ConformalSets:
    """Thresholds from calibration cases that the model was not trained on.

    Args:
        coverage: in (0, 1).
        method: "lac", the smallest sets on average, or "aps", which adapt to hard cases; see `amfzoo.inference.sets`.
        by_class: a threshold per class, so that each class is covered on its own; a
            class with fewer than coverage / (1 - coverage) cases is then in every set.

    Raises:
        ConfigError: a bad argument, no such task, or too few cases for the coverage.
    """
    check_method(method, coverage)
    known, classes = cases.known(task), cases.tasks[task]
    labels = cases.labels[task][known]
    own = class_scores(cases.probabilities[task][known], method)[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=len(classes))
    if by_class:
        thresholds = [_quantile(own[labels == c], coverage) for c in range(len(classes))]
    else:
        if _rank(len(own), coverage) > len(own):
            raise ConfigError(
                f"task {task!r}: a coverage of {coverage} needs at least {least_cases(coverage)} cases of known class, got {len(own)}"
            )
        thresholds = [_quantile(own, coverage)] * len(classes)
    return ConformalSets(
        method, coverage, dict(zip(classes, thresholds)), dict(zip(classes, counts.tolist())), by_class
    )


def least_cases(coverage: float) -> int:
    """How many cases of known class a coverage needs."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


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


def _rank(count: int, coverage: float) -> int:
    return math.ceil((count + 1) * coverage - 1e-9)


def _quantile(scores: np.ndarray, coverage: float) -> float:
    """The finite-sample quantile; everything, where there are too few cases to exclude any class."""
    rank = _rank(len(scores), coverage)
    return EVERYTHING if rank > len(scores) else float(np.sort(scores)[rank - 1])
