"""Painter of vascular structures: branching trees, commas, hairpins, wreaths, dots, irregular lines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .layers import Layer
from .lesion import SKIN_TONES, Lesion
from .raster import Ink, smoothstep

REGRESSION_TURN = 0.85 * np.pi  # of regression from the lesion's asymmetry; see areas.regression_structures

Sketch = Callable[[Ink, np.random.Generator, Lesion], None]


def vascular_structures(lesion: Lesion, kind: str) -> list[Layer]:
    """Red vessels. Regular: branching trees and commas; irregular: dots and linear irregular ones.

    `kind` is one of these classes or one raw label: arborizing, comma, hairpin, within
    regression, wreath; dotted, linear irregular.
    """
    rng, ink = lesion.stream("vascular structures"), Ink(lesion.frame)
    for sketch in _SKETCHES[kind]:
        sketch(ink, rng, lesion)
    glow = 0.75 + 0.25 * lesion.skin_tone / (SKIN_TONES - 1)
    red = np.array((196, 38, 48), np.float32) * glow
    return [Layer(0.85 * ink.array(blur=0.004) * smoothstep(0.0, 0.06, lesion.depth), red, clinical=0.25)]


def _trees(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    """Three trunks that enter from the outline and branch."""
    for turn in rng.uniform(0, 2 * np.pi) + np.array((0.0, 2.2, 4.1)) + rng.uniform(-0.3, 0.3, 3):
        x, y = lesion.point(turn, 0.9)
        _tree(ink, rng, float(x), float(y), float(turn + np.pi + rng.uniform(-0.5, 0.5)), 0.75, 0.017, 2)


def _commas(ink: Ink, rng: np.random.Generator, lesion: Lesion, count: int = 14) -> None:
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, count), rng.uniform(0.2, 0.8, count)):
        _comma(ink, rng, *map(float, lesion.point(turn, reach)))


def _few_commas(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    _commas(ink, rng, lesion, 7)


def _hairpins(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    """Narrow loops, all over."""
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, 15), rng.uniform(0.15, 0.85, 15)):
        x, y = map(float, lesion.point(turn, reach))
        angle, length, gap = rng.uniform(0, 2 * np.pi), rng.uniform(0.07, 0.11), rng.uniform(0.017, 0.024)
        bend = np.linspace(0, np.pi, 7)
        along = np.concatenate([[0.0], length + gap * np.sin(bend), [0.0]])
        across = np.concatenate([[gap], gap * np.cos(bend), [-gap]])
        xs = x + along * np.cos(angle) - across * np.sin(angle)
        ys = y + along * np.sin(angle) + across * np.cos(angle)
        ink.stroke(xs, ys, np.full(len(xs), 0.009))


def _wreath(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    """Short bowed vessels that reach in from the outline and never cross the middle."""
    for turn in np.linspace(0, 2 * np.pi, 18, endpoint=False) + rng.normal(0, 0.06, 18):
        reach = np.linspace(0.95, rng.uniform(0.62, 0.72), 7)
        xs, ys = lesion.point(turn + 0.12 * np.sin(np.linspace(0, np.pi, 7)), reach)
        ink.stroke(xs, ys, np.linspace(0.014, 0.008, 7))


def _within_regression(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    """Fine vessels where regression lies."""
    middle = lesion.asymmetry + REGRESSION_TURN + 0.4
    for turn, reach in zip(middle + rng.normal(0, 0.35, 10), rng.uniform(0.35, 0.7, 10)):
        x, y = map(float, lesion.point(turn, reach))
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.25, 7))
        ink.walk(x, y, heading, rng.uniform(0.02, 0.03), np.full(8, 0.009))


def _dotted(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    """Clusters of red dots."""
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, 4), rng.uniform(0.2, 0.7, 4)):
        x0, y0 = lesion.point(turn, reach)
        for dx, dy, radius in zip(rng.normal(0, 0.11, 22), rng.normal(0, 0.11, 22), rng.uniform(0.012, 0.019, 22)):
            ink.dot(float(x0 + dx), float(y0 + dy), radius)


def _wriggles(ink: Ink, rng: np.random.Generator, lesion: Lesion) -> None:
    """Lines of uneven course and thickness."""
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, 12), rng.uniform(0.15, 0.8, 12)):
        _wriggle(ink, rng, *map(float, lesion.point(turn, reach)))


_SKETCHES: dict[str, tuple[Sketch, ...]] = {
    "regular": (_trees, _few_commas),
    "irregular": (_dotted, _wriggles),
    "arborizing": (_trees,),
    "comma": (_commas,),
    "hairpin": (_hairpins,),
    "within regression": (_within_regression,),
    "wreath": (_wreath,),
    "dotted": (_dotted,),
    "linear irregular": (_wriggles,),
}


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
