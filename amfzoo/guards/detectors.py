"""Small networks on the numbers of a thumbnail, and their limits, as `examples/train_guards.py` fitted them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..files import replacing
from .features import DARKEST, LIGHT_HIGH, LIGHT_LOW, LIGHTEST

FILE = Path(__file__).with_name("detectors.npz")
NETS = ("dermoscopy", "other", "blur")
_WIDEST = 5.0  # standard deviations; features beyond are drawn in, so that one of them decides nothing alone


class Scores(NamedTuple):
    """What the detectors say of one picture; higher is more so.

    dermoscopy: log odds that it is dermoscopy rather than a clinical photograph.
    other: log odds that it is no lesion at all, but a page, a chart, a landscape, ...
    blur: log odds that it is out of focus.
    distance: from the nearer of the two kinds of training images, in standard deviations.
    dark, bright: lightness, 0 to 1, that three quarters of it do not reach (negated), or exceed.
    flat: range of lightness, 0 to 1 (negated).
    """

    dermoscopy: float
    other: float
    blur: float
    distance: float
    dark: float
    bright: float
    flat: float


class Limits(NamedTuple):
    """From which score on a warning is given.

    pair: log odds of the dermoscopy image less those of the clinical one; swapped below.
    clinical, dermoscopy: log odds above (below) which the one image alone is of the wrong kind.
    other, blur, distance, dark, bright, flat: scores above which a picture is warned of.
    same: mean difference of two thumbnails, in levels of 255, below which they are one picture.
    """

    pair: float
    clinical: float
    dermoscopy: float
    other: float
    blur: float
    distance: float
    dark: float
    bright: float
    flat: float
    same: float


class Detectors:
    """All of them, from plain arrays.

    Args:
        arrays: `mean`, `scale` (F,) of the features; for each net of `NETS` its
            `_in` (F, H), `_bias` (H,), `_out` (H,) and `_start` (); for the two kinds of
            images `centre` (2, F), `axes` (2, F, K), `variance` (2, K) and `rest` (2,);
            `limits`, in the order of `Limits`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.arrays = {name: np.asarray(values, np.float32) for name, values in arrays.items()}
        self.limits = Limits(*self.arrays["limits"].tolist())

    def scores(self, features: np.ndarray) -> list[Scores]:
        """Of the features of each thumbnail, (N, F)."""
        return [Scores(*row) for row in self.scores_array(features).tolist()]

    def scores_array(self, features: np.ndarray) -> np.ndarray:
        """(N, F) features to (N, len(Scores._fields))."""
        values = standardised(features, self.arrays["mean"], self.arrays["scale"])
        nets = [self._net(name, values) for name in NETS]
        low, high = features[:, LIGHT_LOW], features[:, LIGHT_HIGH]
        return np.stack([*nets, self._distance(values), -high, low, features[:, DARKEST] - features[:, LIGHTEST]], 1)

    def _net(self, name: str, values: np.ndarray) -> np.ndarray:
        weights, bias, out, start = (self.arrays[f"{name}_{part}"] for part in ("in", "bias", "out", "start"))
        return np.maximum(values @ weights + bias, 0) @ out + start

    def _distance(self, values: np.ndarray) -> np.ndarray:
        """Mahalanobis distance along the main axes of a kind; the other axes share their mean variance."""
        found = []
        for centre, axes, variance, rest in zip(*(self.arrays[n] for n in ("centre", "axes", "variance", "rest"))):
            moved = values - centre
            along = moved @ axes
            left = np.maximum((moved**2).sum(1) - (along**2).sum(1), 0)
            found.append((along**2 / variance).sum(1) + left / rest)
        return np.sqrt(np.minimum(*found))

    def save(self, file: Path) -> None:
        with replacing(file) as unfinished, open(unfinished, "wb") as stream:
            np.savez_compressed(stream, **self.arrays)


def standardised(features: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return (np.tanh((features - mean) / scale / _WIDEST) * _WIDEST).astype(np.float32)


def load(file: Path) -> Detectors:
    with np.load(file, allow_pickle=False) as arrays:
        return Detectors(dict(arrays))


@lru_cache(maxsize=1)
def bundled() -> Detectors:
    """Those that come with the package."""
    return load(FILE)
