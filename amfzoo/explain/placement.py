"""Where a network's input lies in the picture that it was made from: `Preprocess`, undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..images import Preprocess

_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """The part of a picture that a network saw, and where in its input that part lies.

    Attributes:
        size: (width, height) of the picture, pixels.
        source: (left, top, right, bottom) of the part, pixels.
        target: the same of its place in the input, as shares (0..1) of width and height.
    """

    size: tuple[int, int]
    source: _Box
    target: _Box

    @classmethod
    def of(cls, preprocess: Preprocess, size: tuple[int, int]) -> Placement:
        """Of a picture of `size` (width, height) pixels."""
        height, width = preprocess.size
        box, (across, down), (left, top) = preprocess.geometry(size)
        return cls(size, box, (left / width, top / height, (left + across) / width, (top + down) / height))

    def to_picture(self, cells: np.ndarray, size: tuple[int, int] | None = None) -> np.ndarray:
        """Spread a map over the picture.

        Args:
            cells: (h, w), covers the whole network input.
            size: (width, height) to give the result; default the picture's own.

        Returns:
            (H, W) float32, bilinear between the middles of the cells; 0 where the network saw nothing.
        """
        width, height = size or self.size
        a, c = self._line(0, self.size[0] / width, cells.shape[1])
        e, f = self._line(1, self.size[1] / height, cells.shape[0])
        sheet = Image.fromarray(np.ascontiguousarray(cells, np.float32))
        spread = sheet.transform((width, height), Image.Transform.AFFINE, (a, 0, c, 0, e, f), Image.Resampling.BILINEAR)
        found = np.array(spread)
        for axis, length in ((1, width), (0, height)):
            middles = (np.arange(length) + 0.5) * self.size[1 - axis] / length
            unseen = (middles < self.source[1 - axis]) | (middles > self.source[3 - axis])
            found[(slice(None), unseen) if axis else unseen] = 0
        return found

    def _line(self, axis: int, step: float, cells: int) -> tuple[float, float]:
        """(slope, offset) from a place in the result, in pixels of `step` of the picture's, to one in cells."""
        scale = cells * (self.target[axis + 2] - self.target[axis]) / (self.source[axis + 2] - self.source[axis])
        return scale * step, cells * self.target[axis] - scale * self.source[axis]

    def cell(self, x: float, y: float, shape: tuple[int, int]) -> tuple[int, int] | None:
        """(row, column) of the cell of a map of `shape` (h, w) that a picture's point lies in; None where unseen."""
        found = []
        for axis, place in enumerate((x, y)):
            if not self.source[axis] <= place <= self.source[axis + 2]:
                return None
            scale, offset = self._line(axis, 1.0, shape[1 - axis])
            found.append(min(shape[1 - axis] - 1, int(scale * place + offset)))
        return found[1], found[0]
