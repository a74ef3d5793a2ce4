"""Prediction sets: the classes among which the true one is, with a stated probability.

The thresholds were fitted by `amfzoo.evaluation.fit_conformal`, which says what they mean.

    lac   score 1 - p; the smallest sets on average (Sadinle et al., JASA 2019)
    aps   score: summed probability of the classes at least as probable; sets adapt to
          hard cases (Romano et al., NeurIPS 2020, without the random part, so that the
          answer is a function of the case; it covers more than stated)

The most probable class is always in the set, so no set is empty; this only adds coverage.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ConfigError

METHODS = ("lac", "aps")
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
        check_method(self.method, self.coverage)
        if set(self.thresholds) != set(self.cases) or not all(math.isfinite(v) for v in self.thresholds.values()):
            raise ConfigError(
                f"conformal: every class needs a finite threshold and a count, got {dict(self.thresholds)}"
            )

    def in_order(self, classes: Iterable[str]) -> ConformalSets:
        """The same sets, for columns of probabilities in this order of the same classes."""
        thresholds, cases = ({name: of[name] for name in classes} for of in (self.thresholds, self.cases))
        return replace(self, thresholds=thresholds, cases=cases)

    def members(self, probabilities: np.ndarray) -> np.ndarray:
        """(N, C) probabilities, columns in the order of `thresholds` -> (N, C) bool, the classes in each set."""
        probabilities = np.asarray(probabilities, dtype=float)
        inside = class_scores(probabilities, self.method) <= np.array(list(self.thresholds.values())) + _ROUNDING
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


def check_method(method: str, coverage: float) -> None:
    if method not in METHODS:
        raise ConfigError(f"unknown conformal method {method!r}; known: {', '.join(METHODS)}")
    if not isinstance(coverage, (int, float)) or not 0 < coverage < 1:
        raise ConfigError(f"the coverage must lie between 0 and 1, got {coverage!r}")


def class_scores(probabilities: np.ndarray, method: str) -> np.ndarray:
    """(N, C) scores of every class."""
    if method == "lac":
        return 1 - probabilities
    # classes of equal probability enter together, so the order of the columns has no influence
    at_least = probabilities[:, None, :] >= probabilities[:, :, None]  # (N, C, C)
    return np.einsum("nij,nj->ni", at_least, probabilities)
