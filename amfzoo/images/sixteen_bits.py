"""Pictures of 16 bits a channel, or of signed numbers: what Pillow reads wrongly of them is refused or set right,
whoever opened the file."""

from __future__ import annotations

from typing import Any

from PIL import Image, TiffImagePlugin

from ..errors import ImageError
from .colour import check_brightest

_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANES, _NUMBERS = 258, 259, 262, 284, 339  # tags of TIFF
_SIGNED = 2


def load(image: Image.Image, name: str) -> None:
    """Load the pixels.

    Of 16-bit colours Pillow keeps the high bytes. A PNG that was loaded before no longer tells that it had them.

    Raises:
        ImageError: all high bytes are 0, though the low ones need not be; or uncompressed planes of 16 bits, which
            Pillow reads as if they had 8; or signed numbers, whose range is another than Pillow and `to_rgb` take it for.
    """
    tags = _tags(image)
    bits = tags.get(_BITS, (8,))
    if max(bits) > 8 and len(bits) > 1 and tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1:
        raise ImageError(
            f"{name}: TIFF with 16 bits in separate planes is not read; save the picture with 8 bits a channel"
        )
    if max(bits) <= 16 and _SIGNED in tags.get(_NUMBERS, ()):
        raise ImageError(
            f"{name}: TIFF with signed numbers of {max(bits)} bits is not read, as it does not say which is black and "
            "which white; save the picture with unsigned 8 bits a channel"
        )
    # of each tile the arguments, which have no name before Pillow 11
    wide = max(bits) > 8 or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    image.load()
    if wide and image.mode in ("RGB", "RGBA"):
        check_brightest(max(0.5, *(high for _, high in image.getextrema()[:3])) / 255, name)


def white_is_zero(image: Image.Image) -> bool:
    """Whether the picture is stored inverted and was loaded so: Pillow sets it right with 8 bits alone."""
    return image.mode.startswith("I;16") and _tags(image).get(_PHOTOMETRIC) == 0


def _tags(image: Image.Image) -> Any:
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
