"""Chunks of a PNG: whether they are sound, and whether they hold the whole picture; Pillow asks for neither."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from PIL import Image

from .damage import is_zero

_LARGE_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colour
# first column and row, and steps, of the passes of an interlaced picture
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20


def require_sound_chunks(data: bytes) -> None:
    """Check the checksums of a PNG's picture data, and its end."""
    for kind, chunk in _chunks(data):
        if kind[:1].isupper() and zlib.crc32(chunk[4:-4]).to_bytes(4, "big") != chunk[-4:]:  # needed for the picture
            raise OSError(f"checksum of chunk {kind!r} is wrong")


def require_all_rows(image: Image.Image, data: bytes) -> None:
    """Refuse a picture whose data are sound and end before its last row, which Pillow leaves black.

    Counting costs about half of what decoding does, so it is done for those alone whose last row, or last but one (of
    the last pass of an interlaced picture), is all zeros.
    """
    width, height = image.size
    if any(is_zero(image, (0, row, width, row + 1)) for row in (height - 1, height - 2)):
        needed = _size(data)
        found = _inflated(data, needed)
        if found < needed:
            raise OSError(f"the picture data hold {found} bytes of {needed}")


def without_large_chunks(data: bytes) -> bytes:
    """A PNG without its texts and profile."""
    return data[:8] + b"".join(chunk for kind, chunk in _chunks(data) if kind not in _LARGE_CHUNKS)


def _size(data: bytes) -> int:
    """Bytes of the picture's rows before they are compressed; each row of each pass has one more."""
    header = next(chunk for kind, chunk in _chunks(data) if kind == b"IHDR")[8:]
    width, height = (int.from_bytes(header[at : at + 4], "big") for at in (0, 4))
    bits = header[8] * _CHANNELS[header[9]]
    total = 0
    for left, top, across, down in _PASSES if header[12] else ((0, 0, 1, 1),):
        columns, rows = -((left - width) // across), -((top - height) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total


def _inflated(data: bytes, enough: int) -> int:
    """How many bytes the picture data unpack to, counted as far as `enough`, and never held at once."""
    unpack, total = zlib.decompressobj(), 0
    try:
        for kind, chunk in _chunks(data):
            part: bytes | memoryview = chunk[8:-4] if kind == b"IDAT" else b""
            while len(part) and total < enough:
                total += len(unpack.decompress(part, _PIECE))
                part = unpack.unconsumed_tail
        return total if total >= enough else total + len(unpack.flush())
    except zlib.error:  # Pillow has judged these
        return enough


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(kind, all its bytes) of the chunks of a PNG, up to its end."""
    view = memoryview(data)
    start, kind = 8, b""
    while kind != b"IEND":
        end = start + 12 + int.from_bytes(view[start : start + 4], "big")
        if end > len(data):
            raise OSError("the data end early")
        kind = bytes(view[start + 4 : start + 8])
        yield kind, view[start:end]
        start = end
