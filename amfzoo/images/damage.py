"""Damage of a file that is sound in its form: a picture that ends in the gray of missing JPEG data, or in the zeros of room
that was taken first and never filled, or whose finer scans are missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

GRAY, ZEROS, SCANS = "gray", "zeros", "scans"
KINDS = (GRAY, ZEROS, SCANS)
_KEY = "amfzoo_damage"  # in the `info` of a picture
# Of each colour: what decoders of JPEG leave where the data run out before the picture ends, and for CMYK,
# which is stored inverted, its complement.
_UNDECODED = {"L": (128, 128), "RGB": (128, 128), "CMYK": (127, 128)}
_BLOCK = 16  # pixels; of a small picture a few may be of that gray by chance
_PLAIN = {"TIFF": ("raw",), "BMP": (0, 3)}  # formats whose pixels may be stored as they are: what Pillow calls that
_LEAST = 1 / 40  # of the rows; less is lost within the margin of a lesion

_Box = tuple[int, int, int, int]


def damage(picture: Image.Image) -> str | None:
    """Of a picture that `read_image` gave, or a copy of it: how its file looks damaged, one of `KINDS`; None where it does not."""
    found = picture.info.get(_KEY)
    return found if found in KINDS else None  # a text in a PNG may have any name


def mark(picture: Image.Image, found: str | None) -> Image.Image:
    """`picture` itself, which `damage` then tells of; nothing is added to a sound one."""
    if found is not None:
        picture.info[_KEY] = found
    return picture


def find(image: Image.Image) -> str | None:
    """How the file of a loaded `image` looks damaged; the image is not changed.

    To be asked before the picture is turned, which hides where the data end, and before its colours are converted,
    which makes another gray of it.
    """
    if found := damage(image):  # it was read before, or its data told
        return found
    if _ends_in_gray(image):
        return GRAY
    return ZEROS if _ends_in_zeros(image) else None


def _ends_in_gray(image: Image.Image) -> bool:
    """The last quarter of the last row; a frame of that gray lies above the picture, too."""
    if image.mode not in _UNDECODED:
        return False
    width, height = image.size
    left = width - max(width // 4, _BLOCK)
    return _undecoded(image, (left, height - 1, width, height)) and not _undecoded(image, (left, 0, width, 1))


def _undecoded(image: Image.Image, box: _Box) -> bool:
    low, high = _UNDECODED[image.mode]
    values = _values(image, box)
    return bool(low <= values.min() and values.max() <= high)


def _ends_in_zeros(image: Image.Image) -> bool:
    """Whether uncompressed pixels stop within a row, and all rows from there on are zero; a black border begins with a row.

    On any side: a BMP begins with its last row, and Pillow turns a TIFF.
    """
    if image.info.get("compression") not in _PLAIN.get(image.format or "", ()):
        return False
    width, height = image.size
    boxes = (0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height)
    top, bottom, left, right = (is_zero(image, box) for box in boxes)
    if top == bottom and left == right:  # all but a few pictures; a frame is on both sides
        return False
    pixels = np.asarray(image)
    filled = pixels if pixels.ndim == 2 else pixels.any(axis=2)
    return any(map(_stops, _ends(filled != 0, top, bottom, left, right)))


def _ends(filled: np.ndarray, top: bool, bottom: bool, left: bool, right: bool) -> Iterator[np.ndarray]:
    """`filled` with each side that is zero, and its opposite not, as the last row, as stored and mirrored."""
    for wanted, turned in (
        (top and not bottom, filled[::-1]),
        (bottom and not top, filled),
        (left and not right, filled.T[::-1]),
        (right and not left, filled.T),
    ):
        if wanted:
            yield from (turned, turned[:, ::-1])


def _stops(filled: np.ndarray) -> bool:
    height, width = filled.shape
    last = int(np.flatnonzero(filled.any(axis=1))[-1])  # the first row is not zero
    stop = int(np.flatnonzero(filled[last])[-1]) + 1
    if height - 1 - last < max(1, height * _LEAST) or last == 0 or stop > width - 2:
        return False
    # the round end of a picture on black is no longer than about the row before it
    return filled[last, :stop].mean() > 0.5 and filled[last - 1, stop:].mean() > 0.5


def stops(stored: np.ndarray) -> bool:
    """Whether pixels as they are stored, (rows, columns, values of one), stop within a row, and all are zero from there on."""
    if stored[-1].any() or not stored[0].any():  # at once of all but a few pictures
        return False
    return _stops(stored.any(axis=2))


def is_zero(image: Image.Image, box: _Box) -> bool:
    """Whether all that is stored of the pixels within `box` is zero."""
    return not _values(image, box).any()


def _values(image: Image.Image, box: _Box) -> np.ndarray:
    """All that is stored of the pixels within `box`, without a copy of the others."""
    left, top, right, bottom = box
    part = Image.new(image.mode, (right - left, bottom - top))
    part.paste(image, (-left, -top))  # `crop` refuses what a global of Pillow says, and getextrema some modes
    return np.asarray(part)
