"""Files whose picture data end in zeros: copied in part, where the room was taken first; their decoders make up the rest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from .heif import AVIF, HEIC

_BOX = 8  # bytes of a box before its content: length and kind


def refuse_zeros(kind: str, image: Image.Image, data: bytes) -> None:
    """Refuse a WebP, HEIC or AVIF file that would decode to other colours; what is behind the picture is none of it.

    A lossy WebP of one colour ends in zeros, too, for a twentieth of its length, and a lossless one of any kind with a black bar
    below for much of it; of what is missing the last row is never one colour.

    Args:
        kind: as `detect_format` gives it; files of other kinds pass.
        image: the loaded picture.

    Raises:
        OSError: the data end in zeros.
    """
    if kind == "WEBP":
        # of an animation the first picture counts
        chunk, content = next((one for one in _chunks(data, 12) if one[0] in (b"VP8 ", b"VP8L")), (b"", b""))
        lossless = chunk == b"VP8L"
        found = _ends_in_zeros(content, 8 if lossless else 16)
        found = found and not (lossless and not np.ptp(np.asarray(image)[-1], axis=0).any())
    else:
        found = kind in (HEIC, AVIF) and any(_ends_in_zeros(content) for box, content in _boxes(data) if box == b"mdat")
    if found:
        raise OSError("the data end in zeros")


def _ends_in_zeros(content: bytes, share: int = 16) -> bool:
    """Whether more than one part in `share` is zeros at the end."""
    return len(content) - len(content.rstrip(b"\0")) > 64 + len(content) // share


def _chunks(data: bytes, start: int) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of the chunks of a WebP as far as there are any, those within a frame of an animation as well."""
    while start + 8 <= len(data):
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        kind, content = data[start : start + 4], data[start + 8 : start + 8 + size]
        yield kind, content
        if kind == b"ANMF":
            yield from _chunks(content, 16)
        start += 8 + size + size % 2


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(kind, content) of the outermost boxes of HEIC and AVIF."""
    start = 0
    while start + _BOX <= len(data):
        size, head = int.from_bytes(data[start : start + 4], "big"), _BOX
        if size == 1:  # the length is longer, and behind the kind
            size, head = int.from_bytes(data[start + _BOX : start + 2 * _BOX], "big"), 2 * _BOX
        end = start + size if size else len(data)
        if end < start + head:
            return
        yield data[start + 4 : start + 8], data[start + head : end]
        start = end
