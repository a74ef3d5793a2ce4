"""The clinical photo: the same lesion smaller, on a patch of skin, in slanting light."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from .layers import Layer, lay_over
from .lesion import Lesion, dermoscopic_skin_colour, skin_colour
from .raster import Array, Ink, smooth_noise, smoothstep


@dataclass(frozen=True)
class _View:
    """Where the camera sees the lesion: scale, turn in radians, place in units."""

    scale: float
    turn: float
    x: float
    y: float


def render_clinical(lesion: Lesion, layers: list[Layer]) -> Array:
    """The photo, (H, W, 3) float32 sRGB 0..255."""
    rng, view = lesion.stream("clinical view"), _view(lesion)
    rng.random(4)  # the view's
    angle = rng.uniform(0, 2 * np.pi)
    light = math.cos(angle), math.sin(angle)
    flat = np.broadcast_to(dermoscopic_skin_colour(lesion.skin_tone), (*lesion.depth.shape, 3))
    # As a ratio to bare skin the lesion can be laid on skin of another light.
    ratio = np.log(np.maximum(lay_over(flat, lesion, layers, naked_eye=True), 1) / flat)
    seen = np.stack([_see(ratio[..., channel], lesion, view) for channel in range(3)], axis=-1)
    dome = _see(smoothstep(-0.08, 0.75, lesion.depth), lesion, view)
    skin = _skin(lesion)
    if lesion.freckles:
        skin = skin * np.exp(-_freckles(lesion)[..., None] * lesion.melanin)
    rgb = skin * np.exp(seen) * _shading(lesion, dome, light)[..., None]
    rgb = rgb + _gloss(lesion, dome, light)[..., None]
    rgb = rgb * (1 - 0.75 * _hairs(lesion)[..., None])
    grain = 2 * lesion.stream("clinical grain").standard_normal(rgb.shape[:2], dtype=np.float32)
    return rgb + grain[..., None]


def clinical_mask(lesion: Lesion, mask: Array) -> Array:
    """(H, W) bool: where something of the dermoscopy picture, (H, W) bool, lies in the photo.

    More than half of a photo's pixel must be covered: of a fine mesh nothing may be left.
    """
    return _see(mask.astype(np.float32), lesion, _view(lesion)) > 0.5


def _view(lesion: Lesion) -> _View:
    rng = lesion.stream("clinical view")
    return _View(rng.uniform(0.5, 0.6), rng.uniform(-0.35, 0.35), rng.uniform(-0.12, 0.12), rng.uniform(-0.1, 0.1))


def _see(sheet: Array, lesion: Lesion, view: _View) -> Array:
    """A dermoscopy-coordinate sheet (H, W) as the camera sees it; 0 beyond its frame."""
    frame = lesion.frame
    # Without the dermatoscope's magnification, detail below 0.03 units is lost.
    pixel = max(1, round(0.03 * frame.unit))
    shrunk = Image.fromarray(np.ascontiguousarray(sheet, dtype=np.float32)).reduce(pixel)
    # Image.transform asks for the source place of each target pixel.
    cos, sin = np.cos(view.turn) / view.scale / pixel, np.sin(view.turn) / view.scale / pixel
    x0, y0 = frame.width / 2 + view.x * frame.unit, frame.height / 2 + view.y * frame.unit
    middle_x, middle_y = frame.width / 2 / pixel, frame.height / 2 / pixel
    matrix = (cos, sin, middle_x - cos * x0 - sin * y0, -sin, cos, middle_y + sin * x0 - cos * y0)
    seen = shrunk.transform((frame.width, frame.height), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return np.asarray(seen)


def _skin(lesion: Lesion) -> Array:
    """(H, W, 3): mottled skin with leathery relief and pores."""
    rng, frame = lesion.stream("clinical skin"), lesion.frame
    mottle = smooth_noise(rng, frame, 0.8, octaves=3)[..., None]
    slope_y, slope_x = np.gradient(smooth_noise(rng, frame, 0.08, octaves=2))
    slope = (slope_x + slope_y) * np.float32(frame.unit)
    pores = Ink(frame)
    for x, y, radius in zip(rng.uniform(-1.4, 1.4, 160), rng.uniform(-1.4, 1.4, 160), rng.uniform(0.006, 0.011, 160)):
        pores.dot(x, y, radius, strength=0.5)
    shade = 1 + 0.0009 * slope - 0.16 * pores.array(blur=0.008)
    tint = np.array((0.012, 0.030, 0.028), np.float32)
    return skin_colour(lesion.skin_tone) * (shade[..., None] + mottle * tint)


def _freckles(lesion: Lesion) -> Array:
    """(H, W) optical density of brown spots of sun-damaged skin."""
    rng, ink = lesion.stream("freckles"), Ink(lesion.frame)
    for _ in range(lesion.freckles):
        x, y, radius = rng.uniform(-1.4, 1.4), rng.uniform(-1.0, 1.0), rng.uniform(0.015, 0.06)
        ink.dot(x, y, radius, strength=rng.uniform(0.3, 1.0))
    return 0.35 * ink.array(blur=0.015)


def _shading(lesion: Lesion, dome: Array, light: tuple[float, float]) -> Array:
    """(H, W): brightness by slope of the lesion, fall-off of the lamp, dark corners."""
    frame = lesion.frame
    slope_y, slope_x = np.gradient(_soften(dome, frame.unit * 0.02) * np.float32(frame.unit * lesion.elevation))
    toward = slope_x * light[0] + slope_y * light[1]
    lamp = 1 - 0.09 * (frame.x * light[0] + frame.y * light[1]) - 0.1 * smoothstep(0.7, 1.7, np.hypot(frame.x, frame.y))
    return np.clip(1 + 0.11 * toward, 0.6, 1.4) * lamp


def _gloss(lesion: Lesion, dome: Array, light: tuple[float, float]) -> Array:
    """(H, W) sRGB to add: sheen where the raised lesion faces the lamp."""
    frame = lesion.frame
    slope_y, slope_x = np.gradient(_soften(dome, frame.unit * 0.04) * np.float32(frame.unit))
    toward = slope_x * light[0] + slope_y * light[1]
    flecks = smoothstep(-0.4, 1.6, smooth_noise(lesion.stream("gloss"), frame, 0.05))
    return 45 * lesion.elevation * smoothstep(0.8, 3.0, toward) * flecks


def _soften(sheet: Array, radius: float) -> Array:
    image = Image.fromarray(np.round(np.clip(sheet, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32) / 255


def _hairs(lesion: Lesion) -> Array:
    """(H, W) opacity of a few thin hairs, which mostly lie one way."""
    rng, ink = lesion.stream("hairs"), Ink(lesion.frame)
    lie = rng.uniform(0, np.pi)
    for _ in range(int(rng.integers(0, 11))):
        x, y = rng.uniform(-1.3, 1.3), rng.uniform(-1, 1)
        heading = lie + rng.normal(0, 0.25) + np.cumsum(rng.normal(0, 0.05, 12))
        ink.walk(x, y, heading, rng.uniform(0.03, 0.06), np.linspace(0.0065, 0.003, 13))
    return ink.array()
