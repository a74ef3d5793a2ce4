"""What a diagnosis does to a lesion as a whole: outline, colour, elevation, the skin around it.

The ranges overlap, so that a diagnosis can be guessed from a picture but not read off it:
a benchmark on which every network is right tells none from another. They follow what
textbooks of dermoscopy describe, and are drawn, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from amfzoo.labels import DERM7PT, DIAGNOSIS

from .raster import Array, stream

Range = tuple[float, float]

_BLOOD = np.array((0.05, 0.60, 0.50), np.float32)  # optical density of a lesion full of blood
_DEEP = np.array((0.62, 0.30, 0.00), np.float32)  # of melanin deep in the skin, seen blue (Tyndall effect)


@dataclass(frozen=True)
class Habit:
    """How one lesion differs from a plain one; 1 is plain for every factor.

    lobes: factor of the outline's irregularity.
    darkness: factor of its brown.
    mottle: factor of the unevenness of that brown.
    softness: factor of the width of its edge.
    elevation: 0 (flat) to 1 (nodular).
    tint: (3,) optical density in red, green, blue that lies over the whole lesion.
    freckles: spots of sun-damaged skin in the clinical photo.
    """

    lobes: float
    darkness: float
    mottle: float
    softness: float
    elevation: float
    tint: Array
    freckles: int


_PLAIN: dict[str, Range] = {
    "lobes": (0.5, 1.2), "darkness": (0.7, 1.2), "mottle": (0.7, 1.2), "softness": (0.8, 1.6), "elevation": (0.1, 0.7),
    "redness": (0.0, 0.08), "blueness": (0.0, 0.0), "freckles": (0, 8),
}  # fmt: skip
# Diagnosis, a class or a raw label, -> where it differs from the plain one; a raw label starts from its class.
_HABITS: dict[str, dict[str, Range]] = {
    "NEV": {},
    "MEL": {"lobes": (1.0, 2.3), "darkness": (0.8, 1.6), "mottle": (1.0, 2.4), "freckles": (0, 22)},
    "BCC": {"lobes": (0.8, 1.6), "darkness": (0.15, 0.6), "elevation": (0.4, 1.0), "redness": (0.15, 0.5),
            "freckles": (6, 36)},
    "SK": {"lobes": (0.7, 1.4), "darkness": (0.5, 1.2), "softness": (0.2, 0.6), "elevation": (0.5, 1.0),
           "freckles": (4, 30)},
    "MISC": {"darkness": (0.4, 1.1), "elevation": (0.0, 0.8), "redness": (0.0, 0.2)},
    "blue nevus": {"darkness": (0.3, 0.6), "blueness": (0.7, 1.2), "elevation": (0.3, 0.8), "lobes": (0.3, 0.7)},
    "clark nevus": {"elevation": (0.05, 0.35)},
    "dermal nevus": {"darkness": (0.3, 0.8), "elevation": (0.7, 1.0), "redness": (0.02, 0.15)},
    "congenital nevus": {"lobes": (0.6, 1.4), "elevation": (0.2, 0.7)},
    "melanoma (in situ)": {"lobes": (0.8, 1.8), "mottle": (0.9, 1.7), "elevation": (0.05, 0.4)},
    "melanoma (more than 1.5 mm)": {"elevation": (0.6, 1.0), "redness": (0.0, 0.25)},
    "melanoma metastasis": {"lobes": (0.4, 0.9), "elevation": (0.6, 1.0), "blueness": (0.2, 0.9)},
    "dermatofibroma": {"darkness": (0.35, 0.7), "elevation": (0.3, 0.7), "redness": (0.05, 0.25)},
    "lentigo": {"darkness": (0.5, 1.0), "elevation": (0.0, 0.08), "freckles": (8, 40)},
    "melanosis": {"darkness": (0.8, 1.3), "elevation": (0.0, 0.08)},
    "vascular lesion": {"darkness": (0.05, 0.25), "redness": (0.7, 1.2), "elevation": (0.3, 0.9)},
}  # fmt: skip


def draw_habit(diagnosis: str, seed: int) -> Habit:
    """The habit of the lesion of a seed.

    Args:
        diagnosis: a class of the Derm7pt diagnosis, or a raw label of it.
        seed: of the lesion.

    Raises:
        ConfigError: unknown diagnosis; the message names the nearest known one.
    """
    family = DERM7PT.tasks[DIAGNOSIS].group(diagnosis)
    ranges = {**_PLAIN, **_HABITS[family], **_HABITS.get(diagnosis.strip().lower(), {})}
    rng = stream(seed, "habit")
    drawn = {name: float(rng.uniform(*limits)) for name, limits in ranges.items()}
    tint = drawn.pop("redness") * _BLOOD + drawn.pop("blueness") * _DEEP
    return Habit(freckles=round(drawn.pop("freckles")), tint=tint.astype(np.float32), **drawn)
