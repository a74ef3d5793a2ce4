"""Checks of the arrays and columns of `Cases`; what is wrong is named with its task and lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..data.values import as_text, says_nothing
from ..errors import ConfigError

PATIENT_GROUP = "patient:"  # what the name of a group begins with that is a patient
UNKNOWN = -1  # the label index of a case whose class is not known
SUM_TOLERANCE = 0.02  # of a row of probabilities; files of other programs hold few decimals
_ROUNDING = 0.005  # for each class: two decimals


def as_texts(column: Iterable[Any]) -> tuple[str, ...]:
    """The cells of a column as text, "" for those that say nothing."""
    return tuple(cell if isinstance(cell, str) else "" if says_nothing(cell) else as_text(cell) for cell in column)


def check_groups(ids: Sequence[str], groups: Sequence[Any]) -> None:
    """Raise ConfigError if a name does not say whether it is that of a patient or of a lesion, which tables and reports tell apart."""
    for name, group in zip(ids, groups):
        if not str(group).startswith((PATIENT_GROUP, "lesion:")):
            raise ConfigError(
                f"cases, lesion {name!r}: the group {group!r} must be 'patient:NAME', or 'lesion:NAME' where the patient is not known"
            )


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
    shape = (len(ids), classes)
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:  # words, or rows of several lengths
        raise ConfigError(f"task {task!r}: probabilities must be {shape} numbers: {error}") from error
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
