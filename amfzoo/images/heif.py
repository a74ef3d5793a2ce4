"""HEIC, as iPhones store photos (needs the extra `heic`), and AVIF: one container of boxes, ISO/IEC 23008-12."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import PIL
from PIL import Image

from ..errors import ImageError

HEIC, AVIF = "HEIC", "AVIF"
_BRANDS = {
    AVIF: {b"avif", b"avis"},
    HEIC: {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"},
}


def container_format(data: bytes) -> str | None:
    """Which of the two `data` is, or None: what its first box says it may be read as."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), 1024)
    brands = {data[start : start + 4] for start in (8, *range(16, end, 4))}  # between them stands a version
    return next((kind for kind, known in _BRANDS.items() if brands & known), None)


def opener(kind: str, name: str) -> Callable[[IO[bytes], str], Image.Image]:
    """What opens a file of this kind, its picture not decoded yet; it is called as Pillow's own plugins are.

    Both tell the size before the pixels and the first of several pictures, turn a HEIC file upright, and leave the orientation of an AVIF
    file in its EXIF data.

    Raises:
        ImageError: the package is not there, or Pillow is too old for it.
    """
    if kind == AVIF:
        try:
            from PIL import AvifImagePlugin, features

            if features.check("avif"):
                return AvifImagePlugin.AvifImageFile
        except ImportError:
            pass
        raise ImageError(
            f"{name}: this Pillow does not read AVIF; install Pillow 11.3 or newer, or export the photo as JPEG"
        )
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise ImageError(
            f"{name}: reading HEIC needs pillow-heif: pip install 'amfzoo[heic]', or export the photo as JPEG (iPhone: "
            "Settings, Camera, Formats, Most Compatible)"
        ) from error
    # pillow-heif asks for it, but Pillow may have been put back since; every photo would seem damaged then
    if [int(part) for part in PIL.__version__.split(".")[:2]] < [11, 1]:
        raise ImageError(
            f"{name}: reading HEIC needs Pillow 11.1 or newer, here is {PIL.__version__}: pip install --upgrade pillow"
        )
    return HeifImageFile
