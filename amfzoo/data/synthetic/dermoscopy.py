"""The dermoscopy picture: the lesion close up, in even light, every layer visible."""

from __future__ import annotations

import numpy as np

from .layers import Layer, lay_over
from .lesion import Lesion, dermoscopic_skin_colour
from .raster import Array, smooth_noise, smoothstep


def render_dermoscopy(lesion: Lesion, layers: list[Layer]) -> Array:
    """(H, W, 3) float32 sRGB 0..255."""
    rgb = lay_over(_skin(lesion), lesion, layers)
    frame = lesion.frame
    corner = np.hypot(frame.x / frame.half_width, frame.y / frame.half_height)
    vignette = 1 - 0.4 * smoothstep(0.75, 1.45, corner)
    grain = 1.6 * lesion.stream("dermoscopy grain").standard_normal(lesion.depth.shape, dtype=np.float32)
    return rgb * vignette[..., None] + grain[..., None]


def _skin(lesion: Lesion) -> Array:
    """(H, W, 3): skin with faint blotches and fine furrows."""
    rng, frame = lesion.stream("dermoscopy skin"), lesion.frame
    blotch = smooth_noise(rng, frame, 0.7, octaves=2)
    furrow = -np.abs(smooth_noise(rng, frame, 0.09)) + 0.5 * smooth_noise(rng, frame, 0.04)
    tint = np.array((0.006, 0.016, 0.014), np.float32)  # blotches are blood: green and blue vary most
    shade = 1 + 0.025 * furrow[..., None] + blotch[..., None] * tint
    return dermoscopic_skin_colour(lesion.skin_tone) * shade
