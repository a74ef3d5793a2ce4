"""Images whose content nobody else changes or closes, for whoever decodes them later."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError
from .read import read_image
from .source import MAX_PIXELS, encoded_bytes, source_name


class _NamedBytes(io.BytesIO):
    """The content of a file object, under its name in messages."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def own_copy(source: Any) -> Any:
    """An image source that stays as it is now: paths and bytes as they are; of arrays, PIL images and file objects a copy.

    What cannot be read is given back, so that reading it says what is wrong.
    """
    if isinstance(source, np.ndarray):
        # others are refused, and one that is a view may not fit into memory
        return source.copy() if source.dtype == np.uint8 and source.nbytes <= 4 * MAX_PIXELS else source
    try:
        if isinstance(source, (bytearray, memoryview)):
            return encoded_bytes(source, source_name(source))
        if isinstance(source, Image.Image):
            return read_image(source)
        if hasattr(source, "read"):
            name = source_name(source)
            return _NamedBytes(encoded_bytes(source, name), name)
    except ImageError:
        pass
    return source
