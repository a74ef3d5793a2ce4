"""What a compressed frame says about itself, before a decoder believes it."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pydicom import Dataset

_JPEG2000 = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP  "  # boxes around a JPEG 2000 codestream, which the standard forbids and some writers leave
_JPEG = b"\xff\xd8"
# SOF0 to SOF15 but for tables (C4, C8, CC), and JPEG-LS (F7)
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_MARKS = {0xE0, 0xEE}  # APP0 of JFIF, APP14 of Adobe
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}
_RLE_HEADER, _MOST_SEGMENTS = 64, 15  # bytes; PS3.5 annex G


def stored(dataset: Dataset) -> np.ndarray:
    """The first frame of uncompressed pixels as it is stored: (rows, columns, bytes of one).

    Pixels stored by colour have rows of their own for each. Nothing of YBR_FULL_422, whose colours are of two pixels.
    """
    rows, samples = dataset.Rows, dataset.SamplesPerPixel
    if dataset.get("PlanarConfiguration") == 1:
        rows, samples = rows * samples, 1
    if dataset.PhotometricInterpretation == "YBR_FULL_422":
        samples = 0
    shape = rows, dataset.Columns, samples * dataset.BitsAllocated // 8
    return np.frombuffer(dataset.PixelData, np.uint8, count=math.prod(shape)).reshape(shape)


def coded_shape(frame: bytes) -> tuple[int, int, int]:
    """(width, height, samples per pixel) of a JPEG, JPEG-LS or JPEG 2000 codestream.

    Strict where decoders are lenient, so that none of them can find another size.

    Raises:
        ValueError, struct.error, IndexError: it is none of these, or its headers are not sound.
    """
    if frame.startswith(_JPEG):
        return _jpeg_shape(frame)
    start = _codestream(frame) if frame.startswith(_JP2) else 0
    if frame[start : start + len(_JPEG2000)] != _JPEG2000:
        raise ValueError("neither a JPEG nor a JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    (samples,) = struct.unpack_from(">H", frame, start + 40)
    return right - left, bottom - top, samples


def check_run_lengths(frame: bytes, pixels: int) -> None:
    """Refuse RLE data that would not unpack to one byte for each pixel and segment, without unpacking them.

    Two bytes in a file can stand for 128, so a decoder that unpacks before it counts may
    take 64 times the memory of the file. Up to twice the pixels pass: some writers pad.

    Raises:
        ValueError, struct.error: too few or too many bytes, or the header is not sound.
    """
    count, *offsets = struct.unpack_from(f"<{1 + _MOST_SEGMENTS}I", frame)
    if not 0 < count <= _MOST_SEGMENTS:
        raise ValueError("no RLE frame has so many segments")
    ends = [*offsets[1:count], len(frame)]
    for start, end in zip(offsets, ends):
        if not _RLE_HEADER <= start <= end <= len(frame):
            raise ValueError("the RLE segments overlap or lie outside the frame")
        if not pixels <= _unpacked(frame, start, end, 2 * pixels) <= 2 * pixels:
            raise ValueError("an RLE segment has another size than the header")


def _unpacked(frame: bytes, start: int, end: int, limit: int) -> int:
    """How many bytes a segment unpacks to, counted no further than just beyond `limit`."""
    total = 0
    while start < end and total <= limit:
        head = frame[start]
        if head < 128:  # so many and one bytes follow as they are; a padding zero at the end has none
            total += min(head + 1, end - start - 1)
            start += head + 2
        elif head > 128:  # one byte follows, to be repeated
            total += 257 - head if start + 1 < end else 0
            start += 2
        else:
            start += 1
    return total


def _codestream(frame: bytes) -> int:
    """Where the codestream begins in a JP2 file."""
    place = 0
    while True:
        length, kind = struct.unpack_from(">I4s", frame, place)
        header = 8
        if length == 1:  # a longer number follows
            (length,) = struct.unpack_from(">Q", frame, place + 8)
            header = 16
        if kind == b"jp2c":
            return place + header
        if length < header:
            raise ValueError("a JP2 box that has no end stands before the codestream")
        place += length


def is_subsampled_without_marker(frame: bytes) -> bool:
    """Whether `frame`, whose `coded_shape` was found, is a JPEG of components 1, 2 and 3, the last two at less resolution
    than the first, and neither JFIF nor Adobe says which colours they are."""
    if not frame.startswith(_JPEG):
        return False
    before, place = _frame_header(frame)
    if before & _MARKS or frame[place + 9] != 3:
        return False
    first, *others = ((frame[at], divmod(frame[at + 1], 16)) for at in range(place + 10, place + 19, 3))
    sampled = math.prod(first[1])
    return (first[0], *(kind for kind, _ in others)) == (1, 2, 3) and all(math.prod(of) < sampled for _, of in others)


def _jpeg_shape(frame: bytes) -> tuple[int, int, int]:
    _, place = _frame_header(frame)
    height, width, samples = struct.unpack_from(">HHB", frame, place + 5)
    return width, height, samples


def _frame_header(frame: bytes) -> tuple[set[int], int]:
    """The markers before the header of the frame of a JPEG, and where that begins."""
    place = len(_JPEG)
    before: set[int] = set()
    while True:
        if frame[place] != 0xFF:
            raise ValueError("no marker where one should be")
        marker = frame[place + 1]
        if marker == 0xFF:  # filler
            place += 1
            continue
        if marker in _FRAME_HEADERS:
            return before, place
        if marker in _WITHOUT_LENGTH:
            raise ValueError("a marker that cannot stand before a frame")
        before.add(marker)
        place += 2 + struct.unpack_from(">H", frame, place + 2)[0]
