"""Which page of a TIFF is the picture, and whether it has one at all: camera raw files are TIFFs, too."""

from __future__ import annotations

from PIL import Image, TiffImagePlugin

from ..errors import ImageError

_SUBFILE, _SUB_PAGES, _FILTERS, _DNG = 254, 330, 33422, 50706  # tags of TIFF
_PAGES = 16  # that are looked at for the picture itself


def seek_picture(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Go to the first page that is no reduced version of another.

    Raises:
        ImageError: the file is camera raw.
    """
    refuse_raw(image, name, more_pages=True)
    if not _reduced(image):
        return
    pages_within = _SUB_PAGES in image.tag_v2
    for page in range(1, _PAGES):
        try:
            image.seek(page)  # not n_frames, which walks along all pages, in time quadratic in their number
        except EOFError:
            break
        if not _reduced(image):
            return
        pages_within |= _SUB_PAGES in image.tag_v2
    if pages_within:
        raise _raw(name)
    image.seek(0)


def refuse_raw(image: Image.Image, name: str, more_pages: bool = False) -> None:
    """Refuse an opened `image` that is the preview of a camera raw file; with `more_pages`, only if no other can be meant.

    Raises:
        ImageError: it is.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    tags = image.tag_v2
    if _DNG in tags or _FILTERS in tags or (not more_pages and _reduced(image) and _SUB_PAGES in tags):
        raise _raw(name)


def _reduced(image: TiffImagePlugin.TiffImageFile) -> bool:
    return bool(image.tag_v2.get(_SUBFILE, 0) & 1)


def _raw(name: str) -> ImageError:
    return ImageError(
        f"{name}: this is a camera raw file, of which only the preview can be read here; export it as JPEG or PNG"
    )
