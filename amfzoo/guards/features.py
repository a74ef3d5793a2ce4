"""Cheap numbers that describe a picture: colours, shading, and texture at several scales.

All are computed on a square thumbnail of fixed size, so that the resolution and the aspect
ratio of the file hardly matter, and none changes when the picture is turned or mirrored.
Several thumbnails at once take less time than one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

SIDE = 128  # pixels of the thumbnail
RINGS = 6
_SMALL = 1e-4
_FLAT = 8  # levels that a frame of one colour may differ by, after compression
_BLURRED = 4  # rows over which compression blurs the end of a frame
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_WHOLE = np.array([[[3060], [1020], [2040]]], np.float32)  # makes whole numbers of `_opponent` of halved planes
_BINS = 4  # per channel of the colour histogram

# places of some percentiles of lightness among the numbers: 1, 25, 75, 99
_LIGHT = 28 + 9
DARKEST, LIGHT_LOW, LIGHT_HIGH, LIGHTEST = (_LIGHT + _PERCENTILES.index(p) for p in (1, 25, 75, 99))


def thumbnail(picture: Image.Image | np.ndarray) -> np.ndarray:
    """An RGB picture, or its pixels (H, W, 3), as (SIDE, SIDE, 3) uint8, its aspect ratio given up; in memory one colour
    after the other.

    A frame of one colour is left out, such as a picture gets when it is made square.
    """
    pixels = picture if isinstance(picture, np.ndarray) else np.array(picture)
    pixels = torch.from_numpy(within_frame(pixels)).permute(2, 0, 1)[None]
    # a third of the time that Pillow takes, and the same but for one level here and there
    small = interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return small[0].permute(1, 2, 0).numpy()


def within_frame(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 without rows, and then columns, of one colour on two opposite sides; a view."""
    for _ in range(2):
        colour = pixels[0, 0].astype(np.int16)
        # the four corners tell most pictures from framed ones, in no time
        corners = np.abs(pixels[[0, -1, -1], [-1, 0, -1]] - colour).max() <= _FLAT
        if corners and _flat(pixels[0]) and _flat(pixels[-1]):
            pixels = _inner_rows(pixels, _other_than(colour, pixels))
        pixels = pixels.transpose(1, 0, 2)
    return pixels


def _other_than(colour: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(H, W) bool, the pixels of another colour; one channel at a time, since a picture may have a hundred million."""
    found = np.zeros(pixels.shape[:2], bool)
    for channel, value in enumerate(colour.tolist()):
        low, high = max(value - _FLAT, 0), min(value + _FLAT, 255)
        found |= (pixels[..., channel] < low) | (pixels[..., channel] > high)
    return found


def _inner_rows(pixels: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The rows from the first to the last that have `other` pixels, (H, W) bool, than the frame's.

    A frame ends at once; where only few pixels differ at first, it is the picture itself that is so bright, or plain.
    """
    found = np.flatnonzero(other.any(1))
    if len(found) < len(pixels) / 4:
        return pixels
    first, last = found[0], found[-1]
    ends = other[[min(first + _BLURRED, last), max(last - _BLURRED, first)]].mean(1)
    return pixels[first : last + 1] if ends.min() > 0.5 else pixels


def _flat(line: np.ndarray) -> bool:
    """Whether (n, 3) is of one colour."""
    return bool((line.max(0) - line.min(0)).max() <= _FLAT)


def stacked(thumbs: Iterable[np.ndarray]) -> np.ndarray:
    """(N, SIDE, SIDE, 3) of what `thumbnail` gave, laid out in the same way, which spares `describe` a transposition."""
    return np.stack([thumb.transpose(2, 0, 1) for thumb in thumbs]).transpose(0, 2, 3, 1)


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Mean differences of thumbnails, (N, SIDE, SIDE, 3), in levels of 255, (N,); compression changes fine detail,
    so that is left out."""
    apart = _planes(first) - _planes(second)
    return 255 * np.abs(_halved(_halved(apart))).mean((1, 2, 3))


def describe(thumbs: np.ndarray) -> np.ndarray:
    """The numbers of thumbnails, (N, SIDE, SIDE, 3) uint8 to (N, COUNT) float32."""
    colours = _planes(thumbs)
    smaller = _halved(colours)
    found = [*_texture(_opponent(colours)), *_colours(smaller), *_shading(_opponent(_halved(smaller)))]
    return np.concatenate([numbers.reshape(len(thumbs), -1) for numbers in found], axis=1, dtype=np.float32)


def _planes(thumbs: np.ndarray) -> np.ndarray:
    """(N, 3, SIDE, SIDE) float32, values 0..1 of R, G, B."""
    planes = np.ascontiguousarray(thumbs.transpose(0, 3, 1, 2)).astype(np.float32)
    planes *= np.float32(1 / 255)
    return planes


def _opponent(colours: np.ndarray) -> np.ndarray:
    """(N, 3, ...) values 0..1 of R, G, B to lightness, red against green, yellow against blue."""
    red, green, blue = colours[:, 0], colours[:, 1], colours[:, 2]
    found = np.empty_like(colours)
    both = red + green
    np.add(both, blue, out=found[:, 0])
    found[:, 0] *= np.float32(1 / 3)
    np.subtract(red, green, out=found[:, 1])
    both *= np.float32(0.5)
    np.subtract(both, blue, out=found[:, 2])
    return found


def _halved(values: np.ndarray) -> np.ndarray:
    """Means of blocks of 2 x 2 of the last two axes."""
    rows = values[..., 0::2, :] + values[..., 1::2, :]
    blocks = rows[..., 0::2] + rows[..., 1::2]
    blocks *= np.float32(0.25)
    return blocks


def _mean_product(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", first, second) / first.shape[-1]


def _texture(planes: np.ndarray) -> list[np.ndarray]:
    """For each scale: detail by channel, its concentration, whether it lies in the middle, runs one way, is bright."""
    found = []
    while planes.shape[-1] > 8:
        coarser = _halved(planes)
        # root mean square of what halving loses
        lost = _halved(planes * planes)
        lost -= coarser * coarser
        np.sqrt(np.maximum(lost, 0, out=lost), out=lost)
        light, lost_light = planes[:, 0], lost[:, 0]
        middle, edge = _middle_and_edge(lost_light)
        residue = _residue(light, coarser[:, 0])
        squares = residue * residue  # its mean is 0: the coarser one has it
        spread = np.sqrt(squares.mean(1))
        found += [
            np.log(lost.mean((2, 3)) + _SMALL),
            np.log((middle + _SMALL) / (edge + _SMALL)),
            np.log((lost_light.std((1, 2)) + _SMALL) / (lost_light.mean((1, 2)) + _SMALL)),
            _one_way(light),
            np.arcsinh(_mean_product(squares, residue) / (spread + _SMALL) ** 3),
        ]
        planes = coarser
    return found


def _residue(light: np.ndarray, coarser: np.ndarray) -> np.ndarray:
    """What (N, 2n, 2n) has more than its blocks' means, (N, n, n), as (N, 4 n n) in no order that matters."""
    found = np.empty((len(light), 4, *coarser.shape[1:]), np.float32)
    for corner in range(4):
        np.subtract(light[:, corner // 2 :: 2, corner % 2 :: 2], coarser, out=found[:, corner])
    return found.reshape(len(light), -1)


def _middle_and_edge(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the middle quarter of (N, n, n), and of the rest."""
    side = values.shape[-1]
    middle = values[:, side // 4 : side - side // 4, side // 4 : side - side // 4]
    inner, inside, all_of_it = middle.sum((1, 2)), (side // 2) ** 2, side**2
    return inner / inside, (values.sum((1, 2)) - inner) / (all_of_it - inside)


def _one_way(light: np.ndarray) -> np.ndarray:
    """How much the structures of (N, n, n) run one way, 0 to 1 (coherence of the structure tensor)."""
    falling = (light[:, 1:, 1:] - light[:, :-1, :-1]).reshape(len(light), -1)
    rising = (light[:, :-1, 1:] - light[:, 1:, :-1]).reshape(len(light), -1)
    ff, rr, fr = (np.einsum("ni,ni->n", a, b) for a, b in ((falling, falling), (rising, rising), (falling, rising)))
    # the tensor of the slopes across, falling + rising, and down, falling - rising
    return np.hypot(4 * fr, 2 * (ff - rr)) / (2 * (ff + rr) + _SMALL)


def _colours(colours: np.ndarray) -> list[np.ndarray]:
    """Distribution of the colours, (N, 3, n, n) of R, G, B."""
    count = len(colours)
    values = _opponent(colours).reshape(count, 3, -1)
    mean = values.mean(2)
    moved = values - mean[..., None]
    squares = moved * moved
    std = np.sqrt(squares.mean(2))
    skew = _mean_product(squares, moved) / (std + np.float32(0.01)) ** 3
    places = np.array(_PERCENTILES) * (values.shape[2] - 1) // 100
    steps = np.minimum((colours * _BINS).astype(np.intp), _BINS - 1).reshape(count, 3, -1)
    cells = (steps[:, 0] * _BINS + steps[:, 1]) * _BINS + steps[:, 2] + np.arange(count)[:, None] * _BINS**3
    share = np.bincount(cells.ravel(), minlength=count * _BINS**3).reshape(count, -1) / cells.shape[1]
    highest, lowest = colours.max(1), colours.min(1)
    extremes = [
        (lowest > 0.9).mean((1, 2)),
        (highest > 0.97).mean((1, 2)),
        (highest < 0.1).mean((1, 2)),
        ((lowest > 0.75) & (highest - lowest < 0.1)).mean((1, 2)),
    ]
    # sums of four pixels are whole numbers, and these are sorted four times as fast
    ordered = np.sort(np.rint(values * _WHOLE).astype(np.int16), 2, kind="stable")[:, :, places] / _WHOLE
    return [mean, std, skew, ordered, np.sqrt(share), np.sqrt(np.stack(extremes, 1))]


def _shading(planes: np.ndarray) -> list[np.ndarray]:
    """Rings from the middle to the corners, corners and edges against the middle, slopes; (N, 3, 32, 32)."""
    count, side = len(planes), planes.shape[-1]
    rings, slopes = _rings(side), _slopes(side)
    flat = planes.reshape(count, 3, -1).astype(np.float64)
    mean = flat @ rings
    std = np.sqrt(np.maximum(flat**2 @ rings - mean**2, 0))
    part = side // 8
    first, last = slice(None, part), slice(-part, None)
    corners = [planes[..., rows, columns].mean((2, 3)) for rows in (first, last) for columns in (first, last)]
    edges = [
        planes[..., first, :].mean((2, 3)),
        planes[..., last, :].mean((2, 3)),
        planes[..., first].mean((2, 3)),
        planes[..., last].mean((2, 3)),
    ]
    middle = planes[..., side // 4 : -side // 4, side // 4 : -side // 4].mean((2, 3))
    # (N, 4, 3): of the four corners (edges) the order of their size, not of their place
    return [
        mean[..., 0],
        mean[..., 1:] - mean[..., :1],
        std,
        np.sort(np.stack(corners, 1), 1) - middle[:, None],
        np.sort(np.stack(edges, 1), 1) - middle[:, None],
        np.hypot(*np.moveaxis(flat @ slopes, -1, 0))[:, [0, 2]],
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
