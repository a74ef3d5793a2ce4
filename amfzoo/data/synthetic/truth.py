"""Where each finding was drawn, on disk: one small PNG per picture, and boxes.

A picture's PNG has its size and one channel of eight bits: bit i (of value 2**i) is the
i-th criterion of the checklist, in the order of `amfzoo.labels.CHECKLIST`, bit 7 the inside
of the lesion's outline. `read_masks` takes it apart. A mask says where a finding was drawn;
what lies above, as the veil does, may hide a part of it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping

import numpy as np
from PIL import Image

from amfzoo.errors import ImageError
from amfzoo.labels import CHECKLIST

from .raster import Array

LESION = "lesion"  # the key of the outline's inside among the masks
NAMES = (*CHECKLIST, LESION)  # in the order of the bits


def masks_png(masks: Mapping[str, Array], lesion: Array) -> bytes:
    """PNG of the masks of one picture.

    Args:
        masks: criterion -> (H, W) bool.
        lesion: (H, W) bool.
    """
    packed = np.zeros(lesion.shape, np.uint8)
    for bit, name in enumerate(NAMES):
        packed |= (lesion if name == LESION else masks[name]).astype(np.uint8) << bit
    stream = io.BytesIO()
    Image.fromarray(packed).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def read_masks(path: str | os.PathLike[str]) -> dict[str, Array]:
    """{criterion, or "lesion": (H, W) bool} of a file that `draw_set` wrote.

    Raises:
        ImageError: the file cannot be read, or has not one channel of eight bits.
    """
    try:
        with Image.open(path) as image:
            if image.mode != "L":
                raise ImageError(f"{path}: not a file of masks: mode {image.mode}, expected one channel of 8 bits")
            packed = np.asarray(image)
    except OSError as error:
        raise ImageError(f"{path}: the masks cannot be read: {error}") from error
    return {name: (packed >> bit & 1).astype(bool) for bit, name in enumerate(NAMES)}


def box(mask: Array) -> tuple[int, int, int, int] | None:
    """Smallest (left, top, right, bottom) in pixels around a mask, right and bottom exclusive; None if it is empty."""
    if not mask.any():
        return None
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
