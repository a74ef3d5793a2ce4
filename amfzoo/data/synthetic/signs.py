"""Painters of what belongs to a diagnosis and to none of the seven criteria.

Cysts and plugs of a seborrheic keratosis, ulcers and ovoid nests of a basal cell
carcinoma, the white centre of a dermatofibroma, lacunae of a vascular lesion. They lie
below the findings, so that the mask of a finding stays what it is. Each shows in most
lesions of its diagnosis, not in all.
"""

from __future__ import annotations

import numpy as np

from amfzoo.labels import DERM7PT, DIAGNOSIS

from .layers import Layer
from .lesion import SKIN_TONES, Lesion, dermoscopic_skin_colour
from .raster import Array, Ink, smooth_noise, smoothstep


def diagnosis_signs(lesion: Lesion, diagnosis: str) -> list[Layer]:
    """Layers from below to above; none for most diagnoses.

    Args:
        lesion: to draw on.
        diagnosis: a class of the Derm7pt diagnosis, or a raw label of it.
    """
    family = DERM7PT.tasks[DIAGNOSIS].group(diagnosis)
    rng = lesion.stream("signs")
    layers: list[Layer] = []
    for chance, paint in _SIGNS.get(diagnosis.strip().lower(), _SIGNS.get(family, ())):
        if rng.random() < chance:
            layers += paint(lesion)
    return layers


def _cysts(lesion: Lesion) -> list[Layer]:
    """Milia-like cysts: small, round, whitish."""
    rng = lesion.stream("cysts")
    return [
        _dots(lesion, rng, int(rng.integers(8, 22)), (0.016, 0.034), (236, 224, 196), 0.85, clinical=0.6, blur=0.008)
    ]


def _plugs(lesion: Lesion) -> list[Layer]:
    """Comedo-like openings: dark plugs with a sharp rim."""
    rng = lesion.stream("plugs")
    return [_dots(lesion, rng, int(rng.integers(5, 14)), (0.026, 0.055), (70, 46, 30), 0.9, clinical=0.7, blur=0.004)]


def _nests(lesion: Lesion) -> list[Layer]:
    """Large blue-grey ovoid nests."""
    rng, ink = lesion.stream("nests"), Ink(lesion.frame)
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, 5), rng.uniform(0.35, 0.8, 5)):
        x, y = map(float, lesion.point(turn, reach))
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.2, 4))
        ink.walk(x, y, heading, 0.03, np.full(5, rng.uniform(0.035, 0.07)))
    amount = 0.75 * ink.array(blur=0.012) * smoothstep(0.02, 0.1, lesion.depth)
    return [Layer(amount, _colour(lesion, (92, 92, 112)), clinical=0.6)]


def _ulcer(lesion: Lesion) -> list[Layer]:
    """A ragged raw area with a crust, seen as well in the photo."""
    rng = lesion.stream("ulcer")
    noise = smooth_noise(rng, lesion.frame, 0.25, octaves=3)
    x, y = map(float, lesion.point(rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.4)))
    distance = np.hypot(lesion.frame.x - x, lesion.frame.y - y) + 0.05 * noise
    size = rng.uniform(0.12, 0.24)
    inside = smoothstep(0.03, 0.1, lesion.depth)
    raw, crust = smoothstep(size, size - 0.06, distance), smoothstep(0.3, 1.2, noise)
    return [
        Layer(0.85 * raw * inside, _colour(lesion, (150, 44, 36)), clinical=0.95),
        Layer(0.8 * raw * crust * inside, _colour(lesion, (120, 84, 40)), clinical=0.9),
    ]


def _white_centre(lesion: Lesion) -> list[Layer]:
    """A white scar-like patch in the middle."""
    rng = lesion.stream("white centre")
    noise = smooth_noise(rng, lesion.frame, 0.3, octaves=3)
    area = smoothstep(0.5, 0.72, lesion.depth + 0.07 * noise)
    white = 0.3 * dermoscopic_skin_colour(lesion.skin_tone) + 0.7 * _colour(lesion, (232, 220, 214))
    return [Layer(0.75 * area, white, clinical=0.4)]


def _lacunae(lesion: Lesion) -> list[Layer]:
    """Red to purple lagoons with sharp outlines."""
    rng = lesion.stream("lacunae")
    red = _dots(lesion, rng, int(rng.integers(9, 16)), (0.07, 0.14), (150, 22, 42), 0.85, clinical=0.9, blur=0.01)
    purple = _dots(lesion, rng, int(rng.integers(2, 6)), (0.06, 0.12), (72, 28, 74), 0.85, clinical=0.9, blur=0.01)
    return [red, purple]


_SIGNS = {
    "SK": ((0.85, _cysts), (0.7, _plugs)),
    "BCC": ((0.5, _nests), (0.4, _ulcer)),
    "dermatofibroma": ((0.85, _white_centre),),
    "vascular lesion": ((0.9, _lacunae),),
}


def _dots(
    lesion: Lesion,
    rng: np.random.Generator,
    count: int,
    radii: tuple[float, float],
    colour: tuple[int, int, int],
    opacity: float,
    *,
    clinical: float,
    blur: float,
) -> Layer:
    """Discs of one colour strewn over the lesion; radii in units."""
    ink = Ink(lesion.frame)
    for turn, reach in zip(rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.uniform(0.0, 0.75, count))):
        x, y = map(float, lesion.point(turn, reach))
        ink.dot(x, y, rng.uniform(*radii))
    amount = opacity * ink.array(blur=blur) * smoothstep(0.01, 0.06, lesion.depth)
    return Layer(amount, _colour(lesion, colour), clinical=clinical)


def _colour(lesion: Lesion, rgb: tuple[int, int, int]) -> Array:
    """(3,) float32 sRGB, dimmed on dark skin, where less light comes back."""
    return np.array(rgb, np.float32) * (0.7 + 0.3 * lesion.skin_tone / (SKIN_TONES - 1))
