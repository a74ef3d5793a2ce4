"""What a compressed frame says about its own size, before a decoder believes it."""

from __future__ import annotations

import struct

_JPEG2000 = b"\xff\x4f\xff\x51"
_JPEG = b"\xff\xd8"
# SOF0 to SOF15 but for tables (C4, C8, CC), and JPEG-LS (F7)
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """(width, height) of a JPEG, JPEG-LS or JPEG 2000 codestream; None for what is none of these.

    Strict where decoders are lenient, so that none of them can find another size.

    Raises:
        ValueError, struct.error, IndexError: its headers are not sound.
    """
    if frame.startswith(_JPEG2000):
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        return right - left, bottom - top
    if frame.startswith(_JPEG):
        return _jpeg_size(frame)
    return None


def _jpeg_size(frame: bytes) -> tuple[int, int]:
    place = len(_JPEG)
    while True:
        if frame[place] != 0xFF:
            raise ValueError("no marker where one should be")
        marker = frame[place + 1]
        if marker == 0xFF:  # filler
            place += 1
            continue
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", frame, place + 5)
            return width, height
        if marker in _WITHOUT_LENGTH:
            raise ValueError("a marker that cannot stand before a frame")
        place += 2 + struct.unpack_from(">H", frame, place + 2)[0]
