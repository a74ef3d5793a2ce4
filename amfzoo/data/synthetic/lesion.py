"""What one lesion is before any finding is drawn: outline, colour, elevation, skin."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .habit import Habit
from .raster import Array, Frame, smooth_noise, smoothstep, stream

SKIN_TONES = 6
# sRGB of skin in daylight, from 0 (very dark) to 5 (very light).
_SKIN = np.array(
    [
        (92, 62, 48),
        (128, 88, 66),
        (166, 120, 92),
        (200, 154, 126),
        (220, 179, 156),
        (236, 202, 186),
    ],
    np.float32,
)
# Optical density of melanin in red, green and blue: blue is absorbed most, hence brown.
_MELANIN = np.array((0.50, 0.78, 1.00), np.float32)


@dataclass(frozen=True, eq=False)
class Lesion:
    """One lesion on the pixel grid of its dermoscopy picture; arrays are (H, W) float32.

    depth: 1 at the centre, 0 on the outline, negative outside.
    edge: 1 inside, 0 outside, soft across the outline.
    base: optical density of the lesion's plain brown.
    melanin: (3,) optical density of its pigment in red, green, blue.
    asymmetry: angle (radians) of the side on which irregular findings lie.
    elevation: 0 (flat) to 1 (nodular).
    radii: (N,) distance in units from the centre to the outline, over one turn from angle 0.
    tint: (3,) optical density in red, green, blue that lies over the whole lesion.
    freckles: spots on the skin around it, in the clinical photo.
    """

    frame: Frame
    seed: int
    skin_tone: int
    depth: Array
    edge: Array
    base: Array
    melanin: Array
    asymmetry: float
    elevation: float
    radii: Array
    tint: Array = field(default_factory=lambda: np.zeros(3, np.float32))
    freckles: int = 0

    @property
    def mask(self) -> Array:
        """(H, W) bool: inside the outline."""
        return self.depth > 0

    def radius(self, angle: Array | float) -> Array:
        """Distance in units from the centre to the outline at an angle in radians."""
        turn = np.linspace(0.0, 2 * np.pi, len(self.radii))
        return np.interp(np.mod(angle, 2 * np.pi), turn, self.radii)

    def point(self, angle: Array | float, reach: Array | float) -> tuple[Array, Array]:
        """Place (x, y) at a fraction `reach` of the way from the centre to the outline."""
        distance = self.radius(angle) * reach
        return distance * np.cos(angle), distance * np.sin(angle)

    def stream(self, element: str) -> np.random.Generator:
        """Random numbers of one drawn element of this lesion."""
        return stream(self.seed, element)


def skin_colour(tone: int) -> Array:
    """(3,) float32 sRGB of skin in a clinical photo."""
    return _SKIN[tone]


def dermoscopic_skin_colour(tone: int) -> Array:
    """(3,) float32 sRGB of skin under the dermatoscope's lamp: brighter, a little pinker."""
    return 255 * (_SKIN[tone] / 255) ** 0.85 * np.array((1.0, 0.95, 0.95), np.float32)


def draw_skin_tone(seed: int) -> int:
    """Skin tone for a seed where the caller chose none; light tones are more common."""
    return int(stream(seed, "skin tone").choice(SKIN_TONES, p=(0.08, 0.12, 0.2, 0.2, 0.2, 0.2)))


def make_lesion(frame: Frame, seed: int, skin_tone: int, habit: Habit | None = None) -> Lesion:
    """The lesion of a seed; `habit` is what its diagnosis does to it, None the plain one."""
    rng = stream(seed, "lesion")
    radii = _outline(rng, upright=frame.height > frame.width, lobes=habit.lobes if habit else 1.0)
    asymmetry = float(rng.uniform(0, 2 * np.pi))
    elevation = float(rng.uniform(0.1, 1.0))
    strength, softness = rng.uniform(0.45, 0.75), rng.uniform(0.08, 0.16)
    uneven = 0.15
    if habit:
        strength, softness, uneven = strength * habit.darkness, softness * habit.softness, uneven * habit.mottle
        elevation = habit.elevation
    melanin = (_MELANIN * rng.uniform(0.93, 1.07, 3)).astype(np.float32)
    angle = np.mod(np.arctan2(frame.y, frame.x), 2 * np.pi)
    outline = np.interp(angle, np.linspace(0.0, 2 * np.pi, len(radii)), radii)
    depth = (1 - np.hypot(frame.x, frame.y) / outline).astype(np.float32)
    edge = smoothstep(-softness / 2, softness, depth)
    mottle = smooth_noise(stream(seed, "lesion mottle"), frame, 0.5, octaves=5)
    base = strength * edge * np.clip(1 + uneven * mottle, 0.4, 1.6)
    extra = {"tint": habit.tint, "freckles": habit.freckles} if habit else {}
    return Lesion(
        frame, seed, skin_tone, depth, edge, base.astype(np.float32), melanin, asymmetry, elevation, radii, **extra
    )


def _outline(rng: np.random.Generator, upright: bool, lobes: float) -> Array:
    """(721,) radii over one full turn from angle 0: an ellipse with smooth lobes, `lobes` times as high as usual."""
    angle = np.linspace(0.0, 2 * np.pi, 721)
    long, short = rng.uniform(0.86, 0.95), rng.uniform(0.68, 0.74)
    tilt = rng.uniform(-0.25, 0.25) + (np.pi / 2 if upright else 0.0)
    radius = 1 / np.hypot(np.cos(angle - tilt) / long, np.sin(angle - tilt) / short)
    for count in range(2, 9):
        height = lobes * rng.normal(0, 0.045 / count**0.5)
        radius = radius * (1 + height * np.cos(count * angle + rng.uniform(0, 2 * np.pi)))
    return np.clip(radius, 0.35, 0.97)
