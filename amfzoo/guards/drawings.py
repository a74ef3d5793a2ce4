"""Drawn pictures that are no skin at all: what the guards are measured on beside photographs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = (320, 240)
_WORDS = ("patient", "name", "date", "of", "birth", "invoice", "total", "page", "the", "and", "with", "from", "result")
_Random = np.random.Generator


def draw_other(kind: str, seed: int) -> Image.Image:
    """A picture of one of `KINDS`, the same for the same seed.

    Args:
        kind: "shapes", "gradient", "noise", "clouds", "chart", "text", "screen", "landscape" or "board".
    """
    return KINDS[kind](np.random.default_rng([seed, *kind.encode()]))


def _colour(random: _Random) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in random.integers(0, 256, 3))
    return red, green, blue


def _shapes(random: _Random) -> Image.Image:
    picture = Image.new("RGB", SIZE, _colour(random))
    pen = ImageDraw.Draw(picture)
    for _ in range(random.integers(3, 25)):
        x, y = random.integers(0, SIZE[0]), random.integers(0, SIZE[1])
        box = [(int(x), int(y)), (int(x + random.integers(8, 160)), int(y + random.integers(8, 120)))]
        draw = (pen.rectangle, pen.ellipse, pen.line)[random.integers(3)]
        draw(box, fill=_colour(random), width=int(random.integers(1, 12)))
    return picture


def _gradient(random: _Random) -> Image.Image:
    first, second = random.uniform(0, 255, (2, 3))
    angle = random.uniform(0, 2 * np.pi)
    x, y = np.meshgrid(np.linspace(-1, 1, SIZE[0]), np.linspace(-1, 1, SIZE[1]))
    share = np.clip((x * np.cos(angle) + y * np.sin(angle)) / 2 + 0.5, 0, 1)[..., None]
    return _picture(first + (second - first) * share)


def _noise(random: _Random) -> Image.Image:
    mean, strength = random.uniform(50, 205, 3), random.uniform(15, 90)
    channels = 3 if random.random() < 0.5 else 1
    return _picture(mean + strength * random.standard_normal((SIZE[1], SIZE[0], channels)))


def _clouds(random: _Random) -> Image.Image:
    """Noise of all scales in colours of its own, like stone, cloth or foliage."""
    values = np.zeros((SIZE[1], SIZE[0], 3))
    for scale in (4, 8, 16, 32, 64, 128):
        grain = random.uniform(0, 255, (SIZE[1] // scale + 2, SIZE[0] // scale + 2, 3)).astype(np.uint8)
        large = np.asarray(Image.fromarray(grain).resize(SIZE, Image.Resampling.BICUBIC), float) - 127
        values += large * (scale / 64) ** random.uniform(0.2, 1)
    return _picture(random.uniform(30, 225, 3) + values * random.uniform(0.3, 1))


def _chart(random: _Random) -> Image.Image:
    picture = Image.new("RGB", SIZE, (255, 255, 255))
    pen = ImageDraw.Draw(picture)
    pen.line([(30, 10), (30, 215), (310, 215)], fill=(0, 0, 0), width=2)
    heights = random.uniform(20, 195, random.integers(4, 14))
    step = 270 / len(heights)
    bars, colour = random.random() < 0.5, _colour(random)
    points = [(35 + step * (i + 0.5), 214 - height) for i, height in enumerate(heights)]
    for x, y in points:
        if bars:
            pen.rectangle([x - step / 3, y, x + step / 3, 214], fill=colour)
        else:
            pen.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
    if not bars:
        pen.line(points, fill=colour, width=2)
    pen.text((120, 224), "result by group", fill=(0, 0, 0), font=ImageFont.load_default())
    return picture


def _text(random: _Random) -> Image.Image:
    paper = tuple(int(v) for v in random.integers(225, 256) - random.integers(0, 12, 3))
    picture = Image.new("RGB", SIZE, paper)
    _write(picture, random, (12, 10), SIZE)
    return picture


def _write(picture: Image.Image, random: _Random, start: tuple[int, int], end: tuple[int, int]) -> None:
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default()
    for y in range(start[1], end[1] - 10, 14):
        line = " ".join(random.choice(_WORDS, random.integers(2, 9)))
        pen.text((start[0], y), line[: (end[0] - start[0]) // 7], fill=(20, 20, 30), font=font)


def _screen(random: _Random) -> Image.Image:
    picture = Image.new("RGB", SIZE, _colour(random))
    pen = ImageDraw.Draw(picture)
    for _ in range(random.integers(1, 4)):
        x, y = int(random.integers(0, 150)), int(random.integers(0, 110))
        far = x + int(random.integers(110, 170)), y + int(random.integers(80, 130))
        pen.rectangle([(x, y), far], fill=(245, 245, 245), outline=(90, 90, 90))
        pen.rectangle([(x, y), (far[0], y + 14)], fill=_colour(random))
        _write(picture, random, (x + 5, y + 20), far)
    return picture


def _landscape(random: _Random) -> Image.Image:
    sky, ground = random.integers((90, 150, 200), (190, 215, 256)), random.integers((30, 70, 20), (140, 160, 90))
    values = np.tile(sky, (SIZE[1], SIZE[0], 1)) + np.linspace(-20, 40, SIZE[1])[:, None, None]
    x = np.linspace(0, 2 * np.pi, SIZE[0])
    for layer in range(3):
        hills = sum(np.sin(x * random.uniform(0.5, 4) + random.uniform(0, 6)) for _ in range(3)) * 12
        below = np.arange(SIZE[1])[:, None] > 110 + 40 * layer + hills
        grain = random.normal(0, 14, (SIZE[1], SIZE[0], 1))
        values = np.where(below[..., None], ground * (0.6 + 0.25 * layer) + grain, values)
    return _picture(values)


def _board(random: _Random) -> Image.Image:
    side = int(random.integers(6, 48))
    x, y = np.meshgrid(np.arange(SIZE[0]) // side, np.arange(SIZE[1]) // side)
    first, second = random.uniform(0, 255, (2, 3))
    return _picture(np.where(((x + y) % 2)[..., None], first, second))


def _picture(values: np.ndarray) -> Image.Image:
    shape = (SIZE[1], SIZE[0], 3)
    return Image.fromarray(np.broadcast_to(np.clip(values, 0, 255), shape).astype(np.uint8))


KINDS: dict[str, Callable[[_Random], Image.Image]] = {
    "shapes": _shapes,
    "gradient": _gradient,
    "noise": _noise,
    "clouds": _clouds,
    "chart": _chart,
    "text": _text,
    "screen": _screen,
    "landscape": _landscape,
    "board": _board,
}
