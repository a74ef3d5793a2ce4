"""`RegionMap`: a weight for each part of a picture, as an array or laid over the picture."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from ..errors import ConfigError
from .placement import Placement

# Viridis (van der Walt & Smith, matplotlib, CC0) at equal steps: brightness rises evenly, safe for the colour-blind.
_COLOURS = np.array(
    [(68, 1, 84), (65, 68, 135), (42, 120, 142), (34, 168, 132), (122, 209, 81), (253, 231, 37)], np.float32
)
OPACITY = 0.7


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class RegionMap:
    """How much each part of a picture counts for something.

    Attributes:
        cells: (h, w) float32, not negative: the map as fine as the network made it, over its whole input.
        title: what the map is of, in words.
        picture: as read: upright RGB.
        placement: from the network's input to the picture.
    """

    cells: np.ndarray
    title: str
    picture: Image.Image = field(repr=False)
    placement: Placement = field(repr=False)

    @property
    def empty(self) -> bool:
        """Whether no part counts at all."""
        return not self.cells.any()

    def array(self, max_side: int | None = None) -> np.ndarray:
        """(H, W) float32 in coordinates of the picture, 0..1 of the strongest part; all 0 if the map is empty.

        Args:
            max_side: longest side in pixels, where less than the picture's own is enough.

        Raises:
            ConfigError: `max_side` is less than 1.
        """
        found = self.placement.to_picture(self.cells, _fitting(self.picture.size, max_side))
        peak = found.max()
        return found / peak if peak > 0 else found

    def layer(self, max_side: int | None = None, opacity: float = OPACITY) -> Image.Image:
        """The map as RGBA to lay over the picture: dark violet (weak, transparent) to yellow (strong).

        Raises:
            ConfigError: `opacity`, of the strongest part, does not lie between 0 and 1, or `max_side` is less than 1.
        """
        heat = self.array(max_side)
        return Image.fromarray(_levels(opacity)[(255 * heat + 0.5).astype(np.uint8)])

    def overlay(self, max_side: int | None = None, opacity: float = OPACITY) -> Image.Image:
        """The picture, RGB, with the map laid over it."""
        layer = self.layer(max_side, opacity)
        base = self.picture.resize(layer.size, Image.Resampling.BICUBIC, reducing_gap=2.0).convert("RGBA")
        return Image.alpha_composite(base, layer).convert("RGB")


def _levels(opacity: float) -> np.ndarray:
    """(256, 4) uint8: the RGBA of each strength; looked up, since a large picture has few of them and many pixels."""
    if not 0 <= opacity <= 1:
        raise ConfigError(f"opacity must lie between 0 and 1, got {opacity!r}")
    strength = np.linspace(0, 1, 256)
    colours = [np.interp(strength, np.linspace(0, 1, len(_COLOURS)), channel) for channel in _COLOURS.T]
    return np.stack([*colours, 255 * opacity * strength**0.75], 1).round().astype(np.uint8)


def _fitting(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """`size` shrunk to `max_side`; never enlarged."""
    if max_side is not None and max_side < 1:
        raise ConfigError(f"max_side must be at least 1 pixel, got {max_side!r}")
    scale = min(1.0, (max_side or max(size)) / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
