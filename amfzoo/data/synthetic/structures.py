"""Painters of findings made of brown lines and dots: network, globules, streaks."""

from __future__ import annotations

import numpy as np

from .layers import Layer
from .lesion import Lesion
from .raster import Array, Ink, cell_borders, smooth_noise, smoothstep


def pigment_network(lesion: Lesion, kind: str) -> list[Layer]:
    """Honeycomb of brown lines.

    Typical: an even mesh that thins out towards the outline. Atypical: holes of
    all sizes, thick dark lines, patches that end abruptly.
    """
    rng, frame = lesion.stream("pigment network"), lesion.frame
    patch = smooth_noise(rng, frame, 0.5, octaves=2)
    warp_x, warp_y = smooth_noise(rng, frame, 0.6), smooth_noise(rng, frame, 0.6)
    fine_x, fine_y = smooth_noise(rng, frame, 0.12), smooth_noise(rng, frame, 0.12)
    thickness = smooth_noise(rng, frame, 0.3, octaves=2)
    inside = lesion.depth > 0
    atypical = kind == "atypical"
    warp, cell, jitter, spread = (0.06, 0.15, 0.34, 0.16) if atypical else (0.02, 0.105, 0.2, 0.0)
    curl = 0.022 if atypical else 0.005  # bends the straight walls between cells
    x = (frame.x + warp * warp_x + curl * fine_x)[inside]
    y = (frame.y + warp * warp_y + curl * fine_y)[inside]
    border = np.ones_like(lesion.depth)
    border[inside] = cell_borders(rng, x, y, cell, jitter, spread)
    if atypical:
        width = np.clip(0.12 + 0.035 * thickness, 0.05, 0.18)
        lines = 1 - smoothstep(0.0, 1.4, border / width)
        bare = np.quantile(patch[inside], 0.25)  # a quarter of the lesion has no mesh
        cover = smoothstep(bare, bare + 0.2, patch) * smoothstep(0.015, 0.04, lesion.depth)
        return [Layer(lines * cover * np.clip(1.35 + 0.25 * thickness, 0.8, 1.9), clinical=0.1)]
    lines = 1 - smoothstep(0.02, 0.2, border)
    return [Layer(0.85 * lines * (1 + 0.12 * patch) * smoothstep(0.0, 0.3, lesion.depth), clinical=0.1)]


def dots_and_globules(lesion: Lesion, kind: str) -> list[Layer]:
    """Round brown dots. Regular: even in size and spread; irregular: uneven, clustered off centre."""
    rng, ink = lesion.stream("dots and globules"), Ink(lesion.frame)
    for x, y, radius in _regular_dots(rng) if kind == "regular" else _clustered_dots(rng, lesion):
        ink.dot(x, y, radius, strength=rng.uniform(0.65, 1.0))
    return [Layer(1.5 * ink.array(blur=0.006) * smoothstep(0.02, 0.12, lesion.depth), clinical=0.15)]


def _regular_dots(rng: np.random.Generator) -> Array:
    """(N, 3) x, y, radius on a slightly shaken lattice."""
    step = 0.155
    row, column = (axis.ravel() for axis in np.mgrid[-9:10, -9:10])
    x = step * (column + 0.5 * (row & 1)) + rng.normal(0, 0.014, row.size)
    y = step * row * np.sqrt(3) / 2 + rng.normal(0, 0.014, row.size)
    return np.stack([x, y, rng.normal(0.032, 0.002, row.size)], axis=1)


def _clustered_dots(rng: np.random.Generator, lesion: Lesion) -> Array:
    """(N, 3): a dense group on one side, a few strays, all sizes."""
    groups = []
    for turn, reach, spread, count in ((-0.5, 0.5, 0.17, 34), (1.4, 0.68, 0.1, 14), (3.0, 0.3, 0.4, 9)):
        x, y = lesion.point(lesion.asymmetry + turn, reach)
        radius = np.clip(0.028 * np.exp(rng.normal(0, 0.55, count)), 0.011, 0.075)
        groups.append(np.stack([rng.normal(x, spread, count), rng.normal(y, spread, count), radius], axis=1))
    return np.concatenate(groups)


def streaks(lesion: Lesion, kind: str) -> list[Layer]:
    """Radial lines and pseudopods across the outline. Regular: all around; irregular: in one sector."""
    rng, ink = lesion.stream("streaks"), Ink(lesion.frame)
    if kind == "regular":
        turns = np.linspace(0, 2 * np.pi, 56, endpoint=False) + rng.normal(0, 0.016, 56)
        outer, lean, radius, knob = rng.uniform(0.06, 0.11, 56), rng.normal(0, 0.012, 56), np.full(56, 0.014), 1.0
    else:
        turns = lesion.asymmetry + np.linspace(-0.75, 0.75, 15) + rng.normal(0, 0.035, 15)
        outer, lean = rng.uniform(0.03, 0.2, 15), rng.normal(0, 0.05, 15)
        radius, knob = rng.uniform(0.013, 0.024, 15), 1.7
    for turn, length, bend, thick in zip(turns, outer, lean, radius):
        along = np.linspace(0.0, 1.0, 8)
        reach = 0.78 + (0.22 + length) * along
        x, y = lesion.point(turn + bend * along**2, reach)
        ink.stroke(x, y, thick * (0.6 + 0.4 * along))
        ink.dot(float(x[-1]), float(y[-1]), thick * knob)
    fade = smoothstep(0.24, 0.1, lesion.depth)  # they grow out of the lesion's own brown
    return [Layer(1.3 * ink.array(blur=0.012) * fade, clinical=0.2)]
