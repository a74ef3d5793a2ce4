"""Painters of findings made of lines and dots: network, globules, streaks, vessels."""

from __future__ import annotations

import numpy as np

from .layers import Layer
from .lesion import SKIN_TONES, Lesion
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


def vascular_structures(lesion: Lesion, kind: str) -> list[Layer]:
    """Red vessels. Regular: branching trees and commas; irregular: dots and linear irregular ones."""
    rng, ink = lesion.stream("vascular structures"), Ink(lesion.frame)
    if kind == "regular":
        for turn in rng.uniform(0, 2 * np.pi) + np.array((0.0, 2.2, 4.1)) + rng.uniform(-0.3, 0.3, 3):
            x, y = lesion.point(turn, 0.9)
            _tree(ink, rng, float(x), float(y), float(turn + np.pi + rng.uniform(-0.5, 0.5)), 0.75, 0.017, 2)
        for turn, reach in zip(rng.uniform(0, 2 * np.pi, 7), rng.uniform(0.2, 0.8, 7)):
            _comma(ink, rng, *map(float, lesion.point(turn, reach)))
    else:
        _red_dots(ink, rng, lesion)
        for turn, reach in zip(rng.uniform(0, 2 * np.pi, 10), rng.uniform(0.15, 0.8, 10)):
            _wriggle(ink, rng, *map(float, lesion.point(turn, reach)))
    glow = 0.75 + 0.25 * lesion.skin_tone / (SKIN_TONES - 1)
    red = np.array((196, 38, 48), np.float32) * glow
    return [Layer(0.85 * ink.array(blur=0.004) * smoothstep(0.0, 0.06, lesion.depth), red, clinical=0.25)]


def _tree(
    ink: Ink, rng: np.random.Generator, x: float, y: float, heading: float, length: float, radius: float, depth: int
) -> None:
    """A vessel that thins along its way and sprouts side branches."""
    course = heading + np.cumsum(rng.normal(0, 0.3, 10))
    xs, ys = ink.walk(x, y, course, length / 10, np.linspace(radius, 0.6 * radius, 11))
    if depth == 0:
        return
    for at in (3, 5, 8, 10):
        side = rng.choice((-1.0, 1.0)) * rng.uniform(0.4, 0.9)
        _tree(ink, rng, xs[at], ys[at], course[at - 1] + side, 0.5 * length, 0.6 * radius, depth - 1)


def _comma(ink: Ink, rng: np.random.Generator, x: float, y: float) -> None:
    angle = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2.0, 10)
    bow = rng.uniform(0.05, 0.075)
    ink.stroke(x + bow * np.cos(angle), y + bow * np.sin(angle), np.linspace(0.02, 0.009, 10))


def _wriggle(ink: Ink, rng: np.random.Generator, x: float, y: float) -> None:
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.8, 9))
    ink.walk(x, y, heading, rng.uniform(0.022, 0.04), rng.uniform(0.007, 0.016, 10))


def _red_dots(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.2, 0.7, 4)):
        x0, y0 = lesion.point(turn, reach)
        for dx, dy, radius in zip(rng.normal(0, 0.11, 22), rng.normal(0, 0.11, 22), rng.uniform(0.012, 0.019, 22)):
            ink.dot(float(x0 + dx), float(y0 + dy), radius)
