"""Drawing primitives shared by the renderer: random streams, noise, cells, ink.

Lengths are in *units*: half the shorter side of the picture is 1, the origin is
the centre of the picture. A lesion drawn at two sizes of one aspect ratio is
therefore the same lesion.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Array = np.ndarray


def stream(seed: int, element: str) -> np.random.Generator:
    """Random generator of one drawn element.

    Each element has its own stream, so that adding or changing one never shifts
    the numbers that another draws. CRC-32 because `hash` differs between runs.
    """
    sequence = np.random.SeedSequence([seed, zlib.crc32(element.encode())])
    return np.random.Generator(np.random.PCG64(sequence))


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


@dataclass(frozen=True)
class Frame:
    """Pixel grid of a picture of `width` x `height` pixels, measured in units."""

    width: int
    height: int

    @property
    def unit(self) -> float:
        """Pixels per unit."""
        return min(self.width, self.height) / 2

    @property
    def half_width(self) -> float:
        return self.width / 2 / self.unit

    @property
    def half_height(self) -> float:
        return self.height / 2 / self.unit

    @cached_property
    def x(self) -> Array:
        """(H, W) float32: distance right of the centre."""
        row = (np.arange(self.width, dtype=np.float32) + 0.5) / self.unit - self.half_width
        return np.broadcast_to(row.astype(np.float32), (self.height, self.width))

    @cached_property
    def y(self) -> Array:
        """(H, W) float32: distance below the centre."""
        column = (np.arange(self.height, dtype=np.float32) + 0.5) / self.unit - self.half_height
        return np.broadcast_to(column.astype(np.float32)[:, None], (self.height, self.width))


def smooth_noise(rng: np.random.Generator, frame: Frame, scale: float, octaves: int = 1) -> Array:
    """(H, W) float32 noise of about zero mean and unit spread, features `scale` units wide."""
    total = np.zeros((frame.height, frame.width), np.float32)
    for octave in range(octaves):
        total += np.float32(0.5**octave) * _lattice_noise(rng, frame, scale / 2**octave)
    return total * np.float32(2 / np.sqrt(sum(0.25**octave for octave in range(octaves))))


def _lattice_noise(rng: np.random.Generator, frame: Frame, step: float) -> Array:
    """Random values on a lattice, joined smoothly. The lattice is turned, lest it show as squares."""
    angle = rng.uniform(0, np.pi / 2)
    nodes = int(np.ceil(2 * np.hypot(frame.half_width, frame.half_height) / step)) + 6
    values = rng.standard_normal((nodes + 2, nodes + 2))
    for _ in range(2):  # smoothing the values rounds off the noise's square bumps
        values = (values[:-2] + 4 * values[1:-1] + values[2:]).T / 6
    lattice = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    # Broad features are drawn on few pixels, then enlarged: several times faster.
    shrink = max(1, int(step * frame.unit / 3))
    width, height = frame.width / shrink, frame.height / shrink
    cos, sin = (float(turn) * shrink / (frame.unit * step) for turn in (np.cos(angle), np.sin(angle)))
    # The lattice place of each pixel; the middles of both coincide.
    x0 = nodes / 2 - cos * width / 2 - sin * height / 2
    y0 = nodes / 2 + sin * width / 2 - cos * height / 2
    size, matrix = (int(np.ceil(width)), int(np.ceil(height))), (cos, sin, x0, -sin, cos, y0)
    noise = lattice.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    if shrink > 1:
        noise = noise.resize((frame.width, frame.height), Image.Resampling.BICUBIC, box=(0, 0, width, height))
    return np.asarray(noise)


def cell_borders(rng: np.random.Generator, x: Array, y: Array, cell: float, jitter: float, spread: float) -> Array:
    """Distance of points to the nearest border of a honeycomb, in fractions of a cell.

    `x`, `y`: flat arrays in units. `jitter` moves the cell centres (0 = perfect
    honeycomb), `spread` makes some cells larger at the cost of their neighbours.
    """
    row_height = cell * np.sqrt(3) / 2
    reach = 3.0  # beyond any lesion; fixed, so that the mesh does not depend on the picture
    rows, columns = int(2 * reach / row_height) + 4, int(2 * reach / cell) + 4
    shift = rng.uniform(-jitter, jitter, (2, rows, columns)).astype(np.float32)
    weight = rng.uniform(-spread, spread, (rows, columns)).astype(np.float32)
    u, v = (x + reach) / cell, (y + reach) / row_height
    first = np.full(x.shape, np.inf, np.float32)
    second = first.copy()
    base_row = np.floor(v).astype(np.int32)
    for row in (base_row - 1, base_row, base_row + 1):
        row = np.clip(row, 0, rows - 1)
        offset = 0.5 * (row & 1)
        base_column = np.floor(u - offset).astype(np.int32)
        for column in (base_column - 1, base_column, base_column + 1):
            column = np.clip(column, 0, columns - 1)
            dx = column + 0.5 + offset + shift[0, row, column] - u
            dy = (row + 0.5 + shift[1, row, column] - v) * np.float32(row_height / cell)
            distance = dx * dx + dy * dy - weight[row, column]
            second = np.minimum(second, np.maximum(first, distance))
            first = np.minimum(first, distance)
    return (second - first) / 2


class Ink:
    """Supersampled one-channel sheet for lines and dots whose places are in units."""

    def __init__(self, frame: Frame) -> None:
        self._oversample = int(np.clip(round(400 / frame.unit), 2, 4))
        self._unit = frame.unit
        self._scale = frame.unit * self._oversample
        self._x0, self._y0 = frame.half_width * self._scale, frame.half_height * self._scale
        self._image = Image.new("L", (frame.width * self._oversample, frame.height * self._oversample))
        self._draw = ImageDraw.Draw(self._image)

    def dot(self, x: float, y: float, radius: float, strength: float = 1.0) -> None:
        px, py, r = x * self._scale + self._x0, y * self._scale + self._y0, max(radius * self._scale, 0.5)
        self._draw.ellipse((px - r, py - r, px + r, py + r), fill=round(255 * strength))

    def stroke(self, x: Array, y: Array, radius: Array) -> None:
        """Round-ended line through the points, as thick as `radius` at each."""
        points = list(zip((x * self._scale + self._x0).tolist(), (y * self._scale + self._y0).tolist()))
        radii = np.maximum(radius * self._scale, 0.5).tolist()
        for (px, py), r in zip(points, radii):
            self._draw.ellipse((px - r, py - r, px + r, py + r), fill=255)
        for start, end, r in zip(points, points[1:], radii):
            self._draw.line((start, end), fill=255, width=max(1, round(2 * r)))

    def walk(self, x: float, y: float, heading: Array, step: float, radius: Array) -> tuple[Array, Array]:
        """Stroke from (x, y) with one step along each heading (radians); returns its points."""
        xs = x + np.concatenate([[0.0], np.cumsum(np.cos(heading))]) * step
        ys = y + np.concatenate([[0.0], np.cumsum(np.sin(heading))]) * step
        self.stroke(xs, ys, radius)
        return xs, ys

    def array(self, blur: float = 0.0) -> Array:
        """(H, W) float32 coverage from 0 to 1, softened by `blur` units."""
        image = self._image.reduce(self._oversample)
        if blur > 0:
            image = image.filter(ImageFilter.GaussianBlur(blur * self._unit))
        return np.asarray(image, dtype=np.float32) / 255
