"""Random, plausible combinations of findings."""

from __future__ import annotations

from amfzoo.labels import CHECKLIST

from .raster import stream

# Chance of each class, in the order of the checklist's classes, for a harmless and for a
# suspicious lesion. Findings go together, and the mixture has about the frequencies seen
# in practice.
_SUSPICIOUS = 0.3
_CHANCES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "pigment_network": ((0.42, 0.50, 0.08), (0.32, 0.10, 0.58)),
    "blue_whitish_veil": ((0.93, 0.07), (0.52, 0.48)),
    "vascular_structures": ((0.87, 0.11, 0.02), (0.66, 0.15, 0.19)),
    "pigmentation": ((0.68, 0.14, 0.18), (0.33, 0.07, 0.60)),
    "streaks": ((0.74, 0.13, 0.13), (0.43, 0.04, 0.53)),
    "dots_and_globules": ((0.23, 0.45, 0.32), (0.22, 0.06, 0.72)),
    "regression_structures": ((0.83, 0.17), (0.55, 0.45)),
}


def random_findings(seed: int) -> dict[str, str]:
    """A plausible combination of all seven findings: criterion -> class."""
    rng = stream(seed, "findings")
    column = int(rng.random() < _SUSPICIOUS)
    return {name: str(rng.choice(task.classes, p=_CHANCES[name][column])) for name, task in CHECKLIST.items()}
