"""The example pair that is bundled with the package: how it is drawn and written."""

from __future__ import annotations

import os
from pathlib import Path

from .pair import SyntheticPair, draw_pair

EXAMPLE_FINDINGS = {
    "pigment_network": "atypical",
    "blue_whitish_veil": "present",
    "streaks": "irregular",
    "dots_and_globules": "irregular",
}
EXAMPLE_SEED = 12
EXAMPLE_SIZE = (512, 384)
EXAMPLE_SKIN_TONE = 4


def draw_example() -> SyntheticPair:
    """The pair of which `amfzoo/data/example` holds the pictures."""
    return draw_pair(EXAMPLE_FINDINGS, seed=EXAMPLE_SEED, size=EXAMPLE_SIZE, skin_tone=EXAMPLE_SKIN_TONE)


def write_example(folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Draw the example pair into `clinical.jpg` and `dermoscopy.jpg` in a folder.

    The folder is made if missing, the files are replaced.

    Returns:
        Paths of the clinical and the dermoscopy picture.
    """
    pair, folder = draw_example(), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "clinical.jpg", folder / "dermoscopy.jpg"
    for image, path in zip((pair.clinical, pair.dermoscopy), paths):
        image.save(path, quality=90)
    return paths
