"""Which file format some bytes are, told from their content and never from the name."""

from __future__ import annotations

import base64
import codecs
import re

from ..errors import ImageError
from .heif import container_format

SUPPORTED = "JPEG, PNG, WebP, TIFF, GIF, BMP, HEIC, AVIF and DICOM"

_OTHERS = {
    b"%PDF": "PDF",
    b"%!PS": "PostScript",
    b"8BPS": "Photoshop",
    b"PK\x03\x04": "ZIP archive",
    b"\x1f\x8b": "gzip archive",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x00\x00\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\x93NUMPY": "NumPy array",
}


_HEAD = 64  # characters of base64, of 6 bits; enough for the first bytes of every format but DICOM
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{%d}" % _HEAD)


def detect_format(data: bytes, name: str) -> str:
    """The format of `data`: "DICOM", "HEIC" or Pillow's name; ImageError where it is not a supported one."""
    found = _format(data)
    if found is None:
        raise ImageError(f"{name}: {_reason(data)}")
    return found


def base64_format(text: str | bytes) -> str | None:
    """Which format the base64 `text` holds, as web pages and JSON carry images; None if it is something else."""
    head = text[: 2 * _HEAD]
    head = b"".join((head.encode("ascii", "replace") if isinstance(head, str) else head).split())[:_HEAD]
    return _format(base64.b64decode(head)) if _BASE64.fullmatch(head) else None


def _format(data: bytes) -> str | None:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"  # also MPO: its first picture is a plain JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data.startswith(b"BM"):
        return "BMP"
    if data[128:132] == b"DICM":
        return "DICOM"
    return container_format(data)


def _reason(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "this seems to be a video; export a picture as JPEG or PNG"
    for start, kind in _OTHERS.items():
        if data.startswith(start):
            return f"{kind} is not read here; convert it to one of {SUPPORTED}"
    if data[:4] in (
        b"\x02\0\0\0",
        b"\x08\0\x05\0",
        b"\x08\0\x08\0",
        b"\x08\0\x16\0",
    ):  # first tags of a file, of a data set
        return "this seems to be DICOM without its preamble; save it as a DICOM file (PS3.10), or export the photo as PNG or JPEG"
    if data.startswith(b"version https://git-lfs"):
        return "this is a Git LFS pointer and not the image; run `git lfs pull`"
    if data[:5].lower() == b"data:" and _is_text(data):
        return (
            "this is a data: URI, text that holds an image; pass what base64.b64decode makes of what follows its comma"
        )
    if kind := base64_format(data):
        return f"this is base64 text of a {kind}; decode it first (base64.b64decode)"
    if _is_text(data):
        return "the content is text and not an image (an error page saved by a download?); get the image itself"
    if not any(data):
        return "the content is all zeros (an interrupted copy?); copy or download it again"
    return (
        f"the content is no image format known here; use one of {SUPPORTED}, or open it yourself and pass a PIL image"
    )


def _is_text(data: bytes) -> bool:
    head = data[:512]
    if any(byte < 32 and byte not in b"\t\n\r\f" for byte in head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # may end within a character
    except UnicodeDecodeError:
        return False
    return True
