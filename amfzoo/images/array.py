"""Pixel arrays given in place of an image file."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..errors import ImageError
from .source import check_size

_WANTED = "pass uint8 values 0..255 of shape (H, W, 3)"


def array_image(array: np.ndarray, name: str) -> Image.Image:
    """A picture of a uint8 array: gray (H, W) or (H, W, 1), (H, W, 3) or RGBA (H, W, 4)."""
    _check_values(array, name)
    _check_shape(array, name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    check_size((array.shape[1], array.shape[0]), name)
    return Image.fromarray(np.ascontiguousarray(array))


def _check_values(array: np.ndarray, name: str) -> None:
    if array.dtype == np.uint8:
        return
    mend = _WANTED
    if array.dtype.kind == "f" and array.size:
        low, high = float(array.min()), float(array.max())
        if 0 <= low and high <= 1:
            mend = "the values lie in 0..1: pass (array * 255).round().astype(numpy.uint8)"
        elif 0 <= low and high <= 255:
            mend = "the values lie in 0..255: pass array.round().astype(numpy.uint8)"
        else:
            mend = f"{_WANTED}, not values that are normalised already"
    elif array.dtype == bool:
        mend = "pass array.astype(numpy.uint8) * 255"
    elif array.dtype.kind in "iu" and array.size and 0 <= array.min() and array.max() <= 255:
        mend = "the values lie in 0..255: pass array.astype(numpy.uint8)"
    elif array.dtype.kind in "OUS":
        mend = "of many images pass a list, array.tolist()"
    elif array.dtype == np.uint16:
        mend = "scale the values to 0..255 and pass uint8 (full 16-bit range: array // 257)"
    raise ImageError(f"{name}: the array holds {array.dtype}, not uint8; {mend}")


def _check_shape(array: np.ndarray, name: str) -> None:
    shape = array.shape
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4)):
        return
    mend = _WANTED
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        mend = "the channels come first: pass array.transpose(1, 2, 0)"
    elif len(shape) == 4:
        mend = "this looks like a batch: pass one image at a time, array[i]"
    raise ImageError(f"{name}: the array has shape {shape}, not (H, W, 3); {mend}")
