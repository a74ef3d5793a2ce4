"""Images as base64 text, as web pages and JSON carry them: told from other text, not read."""

from __future__ import annotations

import base64
import re

_HEAD = 64  # characters, of 6 bits; enough for the first bytes of every format but DICOM
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{%d}" % _HEAD)
_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n": "PNG",
    b"RIFF": "WebP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF8": "GIF",
    b"BM": "BMP",
}


def base64_format(text: str | bytes) -> str | None:
    """Which format the base64 `text` holds; None if it is something else."""
    head = text[: 2 * _HEAD]
    head = b"".join((head.encode("ascii", "replace") if isinstance(head, str) else head).split())[:_HEAD]
    if not _BASE64.fullmatch(head):
        return None
    start = base64.b64decode(head)
    return next((kind for mark, kind in _STARTS.items() if start.startswith(mark)), None)
