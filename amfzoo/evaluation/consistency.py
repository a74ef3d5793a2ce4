"""How large the calibration error is by chance alone.

A set of cases is finite, so bins show errors even where every probability is exactly right. Drawing
whether each prediction is right from its own probability ("consistency resampling", Bröcker & Smith,
Weather and Forecasting 2007; Vaicenavicius et al., AISTATS 2019) shows what to expect then. An
error within that range is no sign of miscalibration, and none smaller can be asked of so few cases.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .metrics import ECE_BINS, Score, confidence_bins, undefined

IF_CALIBRATED = "ece_if_calibrated"  # name of the score
DRAWS = 1000
_CELLS = 4_000_000  # draws in memory at a time: 32 MB


def ece_if_calibrated(probabilities: np.ndarray, *, seed: int = 0, level: float = 0.95) -> Score:
    """The ECE that these predictions would have were they calibrated: the median of draws, and where `level` of them lie.

    Args:
        probabilities: (N, C); N = 0 gives NaN.

    Cases are drawn independently, also those of one patient, which makes the range rather too narrow.
    """
    if not len(probabilities):
        return undefined("no case of known class")
    draws = np.concatenate([abs_error.sum(1) for abs_error, _ in _drawn(np.max(probabilities, axis=1), ECE_BINS, seed)])
    low, median, high = np.percentile(draws, [50 * (1 - level), 50, 50 * (1 + level)])
    return Score(float(median), float(low), float(high))


def accuracy_range(
    probabilities: np.ndarray, bins: int = ECE_BINS, *, seed: int = 0, level: float = 0.95
) -> np.ndarray:
    """(2, bins): between which shares correct each bin of `reliability` would lie; NaN where it is empty."""
    shares = np.concatenate([accuracy for _, accuracy in _drawn(np.max(probabilities, axis=1), bins, seed)])
    return np.percentile(shares, [50 * (1 - level), 50 * (1 + level)], axis=0)


def _drawn(top: np.ndarray, bins: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(R, bins) twice: each bin's part of the ECE, and its share correct, NaN where it is empty."""
    top = np.sort(top)  # so that the same draws meet the same cases, in whatever order these come
    index = confidence_bins(top, bins)
    member = np.eye(bins)[index]
    counts, expected = member.sum(0), top @ member
    rng = np.random.default_rng(seed)
    rows = max(1, min(DRAWS, _CELLS // len(top)))
    for start in range(0, DRAWS, rows):
        right = rng.random((min(rows, DRAWS - start), len(top))) < top
        found = right.astype(np.float64) @ member
        with np.errstate(invalid="ignore"):
            yield np.abs(found - expected) / len(top), found / counts
