"""What the pixels tell of a damaged file that is sound in its form: a picture that ends in the gray of missing JPEG data."""

from __future__ import annotations

from PIL import Image

GRAY = "gray"
KINDS = (GRAY,)
_KEY = "amfzoo_damage"  # in the `info` of a picture
# Of each colour: what decoders of JPEG leave where the data run out before the picture ends, and for CMYK,
# which is stored inverted, its complement.
_UNDECODED = {"L": (128, 128), "RGB": (128, 128), "CMYK": (127, 128)}

_Box = tuple[int, int, int, int]


def damage(picture: Image.Image) -> str | None:
    """Of a picture that `read_image` gave, or a copy of it: how its file looks damaged, `GRAY`; None where it does not."""
    found = picture.info.get(_KEY)
    return found if found in KINDS else None  # a text in a PNG may have any name


def mark(picture: Image.Image, found: str | None) -> Image.Image:
    """`picture` itself, which `damage` then tells of; nothing is added to a sound one."""
    if found is not None:
        picture.info[_KEY] = found
    return picture


def find(image: Image.Image) -> str | None:
    """How the file of a loaded `image` looks damaged; the image is not changed.

    To be asked before the picture is turned, which hides where the data end, and before its colours are converted,
    which makes another gray of it.
    """
    return damage(image) or (GRAY if _ends_in_gray(image) else None)  # the first where it was read before


def _ends_in_gray(image: Image.Image) -> bool:
    """The last quarter of the last row; a frame of that gray lies above the picture, too."""
    if image.mode not in _UNDECODED:
        return False
    width, height = image.size
    return _undecoded(image, (width * 3 // 4, height - 1, width, height)) and not _undecoded(
        image, (width * 3 // 4, 0, width, 1)
    )


def _undecoded(image: Image.Image, box: _Box) -> bool:
    low, high = _UNDECODED[image.mode]
    return all(low <= darkest and brightest <= high for darkest, brightest in _ranges(image, box))


def _ranges(image: Image.Image, box: _Box) -> list[tuple[int, int]]:
    """(lowest, highest) value of each channel within `box`, without a copy of the rest of the picture."""
    part = image.crop(box)
    return [part.getextrema()] if len(part.getbands()) == 1 else list(part.getextrema())
