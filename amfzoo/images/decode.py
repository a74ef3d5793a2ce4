"""From the bytes of an image file to an upright Pillow image in the file's own mode."""

from __future__ import annotations

import io

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from ..errors import ImageError
from . import damage, heif
from .dicom import dicom_image
from .formats import detect_format
from .jpeg_scans import lacks_scans, refuse_many_scans
from .padding import refuse_zeros
from .png import require_all_rows, require_sound_chunks, without_large_chunks
from .sixteen_bits import load, white_is_zero
from .source import check_size
from .tiff import seek_picture

# Called directly rather than through Image.open, whose check against decompression
# bombs warns, raises or is off depending on a global of Pillow.
_OPENERS = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_MARGIN = 3  # a reduced decode keeps at least this many times the pixels asked for, a side


class _Stream(io.BytesIO):
    """Bytes that, once `strict`, refuse to be read past their end.

    Pillow fills the missing part of a truncated file with grey where a program has
    set ImageFile.LOAD_TRUNCATED_IMAGES; refusing here does not depend on that global.
    """

    strict = False

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if self.strict and not data and size is not None and size > 0:
            raise OSError("the data end too early")
        return data


def decode(data: bytes, name: str, min_size: tuple[int, int] | None) -> tuple[Image.Image, str | None]:
    """The first picture in `data`, loaded and upright, at reduced scale if that is allowed; and its `damage`."""
    kind = detect_format(data, name)
    if kind == "DICOM":
        image = dicom_image(data, name)
        return image, damage.find(image)
    try:
        try:
            image = _loaded(kind, data, name, min_size)
        except ValueError as error:  # Pillow refuses texts and profiles of over a megabyte, which some programs write
            if kind != "PNG" or isinstance(error, ImageError):
                raise
            image = _loaded(kind, without_large_chunks(data), name, min_size)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged data
        if "unknown pixel mode" in str(error):
            raise ImageError(
                f"{name}: {kind} with pixels of this kind is not supported; save the picture with 8 bits a channel"
            ) from error
        state = (
            "truncated or damaged"
            if kind != "TIFF"
            else "truncated, damaged or of a kind of TIFF that is not read here"
        )
        raise ImageError(
            f"{name}: the {kind} data are {state} ({_short(error)}); copy or download the file again"
            + (", or save it as PNG or JPEG" if kind == "TIFF" else "")
        ) from error
    return upright(image), damage.find(image)


def _loaded(kind: str, data: bytes, name: str, min_size: tuple[int, int] | None) -> Image.Image:
    stream = _Stream(data)
    if kind == "PNG":
        require_sound_chunks(data)
    image = (_OPENERS.get(kind) or heif.opener(kind, name))(stream, "")
    if kind == "TIFF":
        seek_picture(image, name)
    check_size(image.size, name)
    if kind == "JPEG":
        start = stream.tell()  # the header of the first scan has been read
        _require_end(data, start)
        refuse_many_scans(data, start, name)
        if image.info.get("progressive") and lacks_scans(data, start, (layer[0] for layer in image.layer)):
            damage.mark(image, damage.SCANS)
        _reduce(image, min_size)
    stream.strict = True
    load(image, name)
    if kind == "PNG":
        require_all_rows(image, data)
    refuse_zeros(kind, image, data)
    return image


def upright(image: Image.Image) -> Image.Image:
    """The loaded `image` turned as its EXIF orientation says, white being bright; the image itself where it is so."""
    method = _UPRIGHT.get(_orientation(image))
    turned = image if method is None else image.transpose(method)
    return Image.fromarray(65535 - np.asarray(turned)) if white_is_zero(image) else turned


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except MemoryError:
        raise
    except Exception:  # damaged metadata do not make the pixels unreadable
        return 1
    return value if isinstance(value, int) else 1


def _reduce(image: Image.Image, min_size: tuple[int, int] | None) -> None:
    if min_size is None:
        return
    width, height = min_size
    if _orientation(image) >= 5:  # stored on its side
        width, height = height, width
    image.draft(None, (_MARGIN * width, _MARGIN * height))


def _require_end(data: bytes, scan: int) -> None:
    """Refuse a JPEG without an end marker after its first scan starts.

    A half-written file padded with zeros would otherwise decode to a smear.
    """
    if data.find(b"\xff\xd9", scan) < 0:
        raise OSError("there is no end-of-image marker")


def _short(error: Exception) -> str:
    return str(error).split("\n")[0][:160] or type(error).__name__
