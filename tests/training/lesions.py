"""Drawn lesions for the tests of training and for the processes that these start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from amfzoo.data.records import Lesion, LesionSet

COLOURS = ("red", "green", "blue")
# no blank margin, no light changes that could hide the colour; a rate for some twenty steps from random weights
TINY = {
    "epochs": 3, "batch_size": 8, "image_size": 64, "crop_start": 1.0, "crop_end": 1.0, "lr": 3e-3, "ema": 0.5, "valid": 0.25,
    "light": 0.05, "channel_gain": 0.0, "saturation": 0.1, "dropout": 0.0, "workers": 2, "checkpoint_minutes": 0.0,
}  # fmt: skip


def squares(folder: Path, count: int, task: str = "colour", gaps: bool = True) -> LesionSet:
    """Grey pictures of 64 x 48 pixels with a square in the class's colour; with `gaps` images and labels are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(count)
    lesions = []
    for number in range(count):
        label = number % 3
        paths = []
        for branch in ("clinical", "dermoscopy"):
            pixels = np.full((48, 64, 3), 90) + random.integers(-15, 15, (48, 64, 3))
            pixels[10:38, 14:50, label] += 120
            paths.append(folder / f"{number}_{branch}.png")
            Image.fromarray(pixels.astype(np.uint8)).save(paths[-1])
        labels: dict = {task: COLOURS[label]}
        if gaps and number % 10 == 7:
            labels = {}
        elif gaps and number % 10 == 8:
            labels = {task: (COLOURS[label], COLOURS[(label + 1) % 3])}
        clinical = None if gaps and number % 6 == 4 else paths[0]
        dermoscopy = None if gaps and number % 6 == 5 else paths[1]
        lesions.append(
            Lesion(
                f"L{number}", clinical, dermoscopy, labels, patient=f"P{number // 2}" if gaps and number < 12 else None
            )
        )
    return LesionSet(f"squares-{task}", tuple(lesions), {task: COLOURS})
