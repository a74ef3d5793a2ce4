"""Checks of the arrays of `Cases`; what is wrong is named with its task and lesion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError

UNKNOWN = -1  # the label index of a case whose class is not known
SUM_TOLERANCE = 0.02  # of a row of probabilities; files of other programs hold few decimals
_ROUNDING = 0.005  # for each class: two decimals


def checked_labels(task: str, ids: Sequence[str], given: object, classes: int, least: int = UNKNOWN) -> np.ndarray:
    """(N,) class indices from `least` on as int64, or ConfigError."""
    labels = np.asarray(given)
    if labels.shape != (len(ids),) or (labels.size and labels.dtype.kind not in "iu"):
        raise ConfigError(
            f"task {task!r}: labels must be {len(ids)} integers, got {labels.dtype} of shape {labels.shape}"
        )
    wrong = np.flatnonzero((labels < least) | (labels >= classes))
    if len(wrong):
        raise ConfigError(f"task {task!r}, lesion {ids[wrong[0]]!r}: no class has the index {labels[wrong[0]]}")
    return labels.astype(np.int64)


def checked_rows(task: str, ids: Sequence[str], given: object, classes: int) -> np.ndarray:
    """(N, C) probabilities as float64, rows that sum to 1, or ConfigError."""
    values = np.asarray(given, dtype=np.float64)
    shape = (len(ids), classes)
    if values.shape != shape:
        raise ConfigError(f"task {task!r}: probabilities have the shape {values.shape}, expected {shape}")
    bad = ~((values >= 0) & (values <= 1 + SUM_TOLERANCE)).all(1)  # NaN compares false
    if bad.any():
        case = int(np.flatnonzero(bad)[0])
        raise ConfigError(f"task {task!r}, lesion {ids[case]!r}: {values[case].tolist()} are not probabilities")
    sums = values.sum(1)
    tolerance = max(SUM_TOLERANCE, _ROUNDING * classes)
    wrong = np.flatnonzero(np.abs(sums - 1) > tolerance + 1e-9)
    if len(wrong):
        raise ConfigError(
            f"task {task!r}, lesion {ids[wrong[0]]!r}: the probabilities sum to {sums[wrong[0]]:.4g}, not 1 "
            f"(within {tolerance:.3g}, for rounding); a task's classes exclude each other (softmax, not sigmoid)"
        )
    # rows that sum to 1 stay bit by bit, so that a selection of cases has the same ties and thresholds
    return np.where(np.abs(sums - 1)[:, None] > 1e-12, values / sums[:, None], values)
