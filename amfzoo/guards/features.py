"""Cheap numbers that describe a picture: colours, shading, and texture at several scales.

All are computed on a square thumbnail of fixed size, so that the resolution and the aspect
ratio of the file hardly matter, and none changes when the picture is turned or mirrored.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

SIDE = 128  # pixels of the thumbnail
RINGS = 6
_SMALL = 1e-4
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_BINS = 4  # per channel of the colour histogram

# places of some percentiles of lightness among the numbers: 1, 25, 75, 99
_LIGHT = 28 + 9
DARKEST, LIGHT_LOW, LIGHT_HIGH, LIGHTEST = (_LIGHT + _PERCENTILES.index(p) for p in (1, 25, 75, 99))


def thumbnail(picture: Image.Image) -> np.ndarray:
    """An RGB picture as (SIDE, SIDE, 3) uint8, its aspect ratio given up."""
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0))


def difference(first: np.ndarray, second: np.ndarray) -> float:
    """Mean difference of two thumbnails, in levels of 255, fine detail left out: compression changes that."""
    side = SIDE // 4
    coarse = [thumb.reshape(side, 4, side, 4, 3).mean((1, 3), dtype=np.float32) for thumb in (first, second)]
    return float(np.abs(coarse[0] - coarse[1]).mean())


def describe(thumb: np.ndarray) -> np.ndarray:
    """The numbers of a thumbnail, (COUNT,) float32."""
    colours = np.ascontiguousarray(thumb.transpose(2, 0, 1), np.float32) * np.float32(1 / 255)
    smaller = _halved(colours)
    found = [*_texture(_opponent(colours)), *_colours(smaller), *_shading(_opponent(_halved(smaller)))]
    return np.concatenate(found, dtype=np.float32)


def _opponent(colours: np.ndarray) -> np.ndarray:
    """(3, ...) values 0..1 of R, G, B to lightness, red against green, yellow against blue."""
    red, green, blue = colours
    both = red + green
    return np.stack([(both + blue) * np.float32(1 / 3), red - green, both * np.float32(0.5) - blue])


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of blocks of 2 x 2 of the last two axes."""
    rows = values[..., 0::2, :] + values[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25)


def _mean_cube(values: np.ndarray) -> np.ndarray:
    return (values * values * values).mean(-1)


def _texture(planes: np.ndarray) -> list[np.ndarray]:
    """For each scale: detail by channel, its concentration, whether it lies in the middle, runs one way, is bright."""
    found = []
    while planes.shape[-1] > 8:
        coarser = _halved(planes)
        # root mean square of what halving loses
        lost = np.sqrt(np.maximum(_halved(planes * planes) - coarser * coarser, 0))
        light = planes[0]
        middle, edge = _middle_and_edge(lost[0])
        side = coarser.shape[-1]
        residue = light.reshape(side, 2, side, 2) - coarser[0][:, None, :, None]
        found += [
            np.log(lost.mean((1, 2)) + _SMALL),
            [
                np.log((middle + _SMALL) / (edge + _SMALL)),
                np.log((lost[0].std() + _SMALL) / (lost[0].mean() + _SMALL)),
                _one_way(light),
                np.arcsinh(_mean_cube(residue.ravel() / (residue.std() + _SMALL))),
            ],
        ]
        planes = coarser
    return found


def _middle_and_edge(values: np.ndarray) -> tuple[float, float]:
    """Mean of the middle quarter, and of the rest."""
    side = values.shape[0]
    middle = values[side // 4 : side - side // 4, side // 4 : side - side // 4]
    inner = float(middle.sum())
    return inner / middle.size, (float(values.sum()) - inner) / (values.size - middle.size)


def _one_way(light: np.ndarray) -> float:
    """How much the structures run one way, 0 to 1 (coherence of the structure tensor)."""
    falling, rising = light[1:, 1:] - light[:-1, :-1], light[:-1, 1:] - light[1:, :-1]
    across, down = (falling + rising).ravel(), (falling - rising).ravel()
    xx, yy, xy = float(across @ across), float(down @ down), float(across @ down)
    return float(np.hypot(xx - yy, 2 * xy) / (xx + yy + _SMALL))


def _colours(colours: np.ndarray) -> list[np.ndarray]:
    """Distribution of the colours, (3, n, n) of R, G, B."""
    values = _opponent(colours).reshape(3, -1)
    mean, std = values.mean(1), values.std(1)
    skew = _mean_cube((values - mean[:, None]) / (std[:, None] + np.float32(0.01)))
    places = np.array(_PERCENTILES) * (values.shape[1] - 1) // 100
    steps = np.minimum((colours * _BINS).astype(np.intp), _BINS - 1).reshape(3, -1)
    cells = (steps[0] * _BINS + steps[1]) * _BINS + steps[2]
    share = np.bincount(cells, minlength=_BINS**3) / cells.size
    highest, lowest = colours.max(0), colours.min(0)
    extremes = [
        (lowest > 0.9).mean(),
        (highest > 0.97).mean(),
        (highest < 0.1).mean(),
        ((lowest > 0.75) & (highest - lowest < 0.1)).mean(),
    ]
    return [mean, std, skew, np.sort(values, 1)[:, places].ravel(), np.sqrt(share), np.sqrt(extremes)]


def _shading(planes: np.ndarray) -> list[np.ndarray]:
    """Rings from the middle to the corners, corners and edges against the middle, slopes; (3, 32, 32)."""
    side = planes.shape[-1]
    rings, slopes = _rings(side), _slopes(side)
    flat = planes.reshape(3, -1).astype(np.float64)
    mean = flat @ rings
    std = np.sqrt(np.maximum(flat**2 @ rings - mean**2, 0))
    part = side // 8
    first, last = slice(None, part), slice(-part, None)
    corners = [planes[:, rows, columns].mean((1, 2)) for rows in (first, last) for columns in (first, last)]
    edges = [
        planes[:, first].mean((1, 2)),
        planes[:, last].mean((1, 2)),
        planes[:, :, first].mean((1, 2)),
        planes[:, :, last].mean((1, 2)),
    ]
    middle = planes[:, side // 4 : -side // 4, side // 4 : -side // 4].mean((1, 2))
    return [
        mean[:, 0],
        (mean[:, 1:] - mean[:, :1]).ravel(),
        std.ravel(),
        (np.sort(corners, 0) - middle).ravel(),
        (np.sort(edges, 0) - middle).ravel(),
        np.hypot(*(flat @ slopes).T)[[0, 2]],
    ]


@lru_cache(maxsize=1)
def _rings(side: int) -> np.ndarray:
    """(side * side, RINGS): weights that average over rings of equal width."""
    x, y = _slopes(side).T * side**2
    ring = np.minimum((np.hypot(x, y) / np.sqrt(2) * RINGS).astype(int), RINGS - 1)
    inside = ring[:, None] == np.arange(RINGS)
    return inside / inside.sum(0)


@lru_cache(maxsize=1)
def _slopes(side: int) -> np.ndarray:
    """(side * side, 2): weights that give the mean of values times x and y, -1 to 1."""
    places = (np.arange(side) + 0.5) / side * 2 - 1
    x, y = np.meshgrid(places, places)
    return np.stack([x.ravel(), y.ravel()], 1) / side**2
