"""Painters of findings that are areas: pigmentation, regression, blue-whitish veil."""

from __future__ import annotations

import numpy as np

from .layers import Layer
from .lesion import SKIN_TONES, Lesion, dermoscopic_skin_colour
from .raster import Array, Ink, smooth_noise, smoothstep
from .vessels import REGRESSION_TURN


def pigmentation(lesion: Lesion, kind: str) -> list[Layer]:
    """Regular: an even brown wash; irregular: dark blotches of uneven tone, off centre.

    `kind` is one of these classes or one raw label: diffuse regular (the wash), localized
    regular (an even spot in the middle), diffuse irregular (uneven tone all over),
    localized irregular (one ragged blotch off centre).
    """
    rng = lesion.stream("pigmentation")
    noise = smooth_noise(rng, lesion.frame, 0.4, octaves=4)
    if kind in ("regular", "diffuse regular"):
        return [Layer(0.75 * smoothstep(0.0, 0.4, lesion.depth) * (1 + 0.04 * noise))]
    if kind == "localized regular":
        return [Layer(0.9 * smoothstep(0.42, 0.62, lesion.depth) * (1 + 0.04 * noise))]
    if kind == "diffuse irregular":
        x, y = lesion.point(lesion.asymmetry, 1.0)
        side = (lesion.frame.x * float(x) + lesion.frame.y * float(y)) / float(np.hypot(x, y))  # dark on one side
        tone = smoothstep(-0.5, 1.0, 0.9 * side + 0.55 * noise)
        return [Layer(1.5 * tone * smoothstep(0.0, 0.12, lesion.depth))]
    amount = np.zeros_like(lesion.depth)
    turns = lesion.asymmetry + np.array((0.1, 0.9, -1.0, 2.4)) + rng.uniform(-0.25, 0.25, 4)
    blotches = list(zip(turns, (0.5, 0.55, 0.6, 0.45), (0.18, 0.07, 0.09, 0.035), (1.8, 1.2, 1.5, 1.0)))
    for turn, reach, share, dark in blotches[:1] if kind == "localized irregular" else blotches:
        area = _area(lesion, turn, reach, share * rng.uniform(0.9, 1.1), noise)
        amount = np.maximum(amount, dark * smoothstep(0.0, rng.uniform(0.06, 0.16), area))
    return [Layer(amount * smoothstep(0.02, 0.1, lesion.depth))]


def regression_structures(lesion: Lesion, kind: str) -> list[Layer]:
    """A white scar-like area, and beside it a grey-blue one with peppering.

    `kind` is the class, or one raw label: white areas, blue areas, combinations (both).
    """
    rng = lesion.stream("regression structures")
    noise = smooth_noise(rng, lesion.frame, 0.35, octaves=4)
    # Across from the irregular findings, so that neither hides the other.
    turn = lesion.asymmetry + REGRESSION_TURN + rng.uniform(-0.25, 0.25)
    inside = smoothstep(0.03, 0.12, lesion.depth)
    # Opposite noise: where the scar bulges the blue area draws back.
    scar = 0.82 * smoothstep(0.0, 0.16, _area(lesion, turn, 0.5, 0.18, noise)) * inside
    haze = 0.66 * smoothstep(0.0, 0.16, _area(lesion, turn + 0.85, 0.55, 0.17, -noise)) * inside
    pepper = 0.75 * _peppering(lesion, rng, turn + 0.7) * inside
    glow = _glow(lesion)
    white = dermoscopic_skin_colour(lesion.skin_tone) * 0.4 + _rgb(149, 144, 142) * glow
    blue = Layer(haze, _rgb(116, 130, 160) * glow, clinical=0.7)
    specks = Layer(pepper, _rgb(72, 80, 104) * glow, clinical=0.35)
    scars = [] if kind == "blue areas" else [Layer(scar, white, clinical=0.7)]
    return scars if kind == "white areas" else [blue, *scars, specks]


def blue_whitish_veil(lesion: Lesion, kind: str) -> list[Layer]:
    """A confluent structureless blue area under a white ground-glass haze."""
    rng = lesion.stream("blue-whitish veil")
    noise = smooth_noise(rng, lesion.frame, 0.5, octaves=4)
    haze = smoothstep(-1.4, 2.0, smooth_noise(rng, lesion.frame, 0.35, octaves=3))[..., None]
    turn = lesion.asymmetry + rng.uniform(-0.5, 0.5)
    area = _area(lesion, turn, 0.22, rng.uniform(0.32, 0.42), noise)
    blue, white = _rgb(78, 94, 134), _rgb(196, 206, 222)
    colour = (blue + (0.15 + 0.65 * haze) * (white - blue)) * _glow(lesion)
    return [Layer(0.93 * smoothstep(0.0, 0.2, area) * smoothstep(0.04, 0.15, lesion.depth), colour, clinical=0.75)]


def _area(lesion: Lesion, turn: float, reach: float, share: float, noise: Array) -> Array:
    """(H, W): positive in a ragged area around a place; it takes `share` of the lesion.

    The value grows inwards by about 1 per unit of length.
    """
    x, y = lesion.point(turn, reach)
    field = 0.12 * noise - np.hypot(lesion.frame.x - float(x), lesion.frame.y - float(y))
    sample = field[::2, ::2][lesion.mask[::2, ::2]]
    return field - np.float32(np.quantile(sample, 1 - share))


def _rgb(red: float, green: float, blue: float) -> Array:
    return np.array((red, green, blue), np.float32)


def _peppering(lesion: Lesion, rng: np.random.Generator, turn: float) -> Array:
    """(H, W) coverage by fine specks around a place."""
    ink = Ink(lesion.frame)
    x0, y0 = lesion.point(turn, 0.52)
    for dx, dy, radius in zip(rng.normal(0, 0.17, 170), rng.normal(0, 0.15, 170), rng.uniform(0.009, 0.015, 170)):
        ink.dot(x0 + dx, y0 + dy, radius, strength=0.9)
    return ink.array(blur=0.004)


def _glow(lesion: Lesion) -> float:
    """Dims colours on dark skin, where less light comes back."""
    return 0.68 + 0.32 * lesion.skin_tone / (SKIN_TONES - 1)
