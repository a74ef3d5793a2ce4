"""What a painter of a finding returns, and how layers are laid over a lesion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .lesion import Lesion
from .raster import Array

_FAINTEST = 0.04  # thinner paint is invisible: cut, so that a finding's mask is what one sees


@dataclass(frozen=True, eq=False)
class Layer:
    """A finding, or a part of one, drawn in dermoscopy coordinates.

    amount: (H, W) float32; optical density of melanin where `colour` is None, else opacity 0..1.
    colour: (H, W, 3) or (3,) sRGB 0..255 of an opaque structure, or None for melanin.
    clinical: how much of it the naked eye sees, 0..1.
    """

    amount: Array
    colour: Array | None = None
    clinical: float = 1.0

    def __post_init__(self) -> None:
        amount = self.amount.astype(np.float32)
        object.__setattr__(self, "amount", np.where(amount < _FAINTEST, np.float32(0), amount))

    @property
    def mask(self) -> Array:
        """(H, W) bool: where the finding is drawn."""
        return self.amount > 0


# (lesion, class or raw label of it) -> layers from below to above; never called for "absent".
Painter = Callable[[Lesion, str], list[Layer]]


def lay_over(skin: Array, lesion: Lesion, layers: list[Layer], naked_eye: bool = False) -> Array:
    """(H, W, 3) sRGB 0..255 of skin (H, W, 3) or (3,) with the lesion and its layers, in order.

    Melanin lies below all opaque structures. Each step is pointwise, so a layer changes
    no pixel outside its mask.
    """
    density = lesion.base.copy()
    for layer in layers:
        if layer.colour is None:
            density += layer.amount * np.float32(layer.clinical if naked_eye else 1.0)
    absorbed = density[..., None] * lesion.melanin
    if lesion.tint.any():
        absorbed += lesion.edge[..., None] * lesion.tint
    rgb = skin * np.exp(-absorbed)
    for layer in layers:
        if layer.colour is not None:
            opacity = layer.amount[..., None] * np.float32(layer.clinical if naked_eye else 1.0)
            rgb += opacity * (layer.colour - rgb)
    return rgb
