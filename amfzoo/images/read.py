"""Any accepted image source to an upright 8-bit RGB picture."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np
from PIL import Image

from ..errors import ConfigError, ImageError
from . import damage
from .array import array_image
from .colour import to_rgb
from .decode import decode, upright
from .sixteen_bits import load
from .source import ImageSource, check_size, encoded_bytes, is_encoded, source_name
from .tiff import refuse_raw

# Two threads must not load one lazily opened image at once; several locks, so that
# different images seldom wait for each other.
_LOADING = tuple(threading.Lock() for _ in range(16))


def read_image(
    source: ImageSource,
    *,
    min_size: tuple[int, int] | None = None,
    name: str | None = None,
) -> Image.Image:
    """Read one image as upright RGB.

    Args:
        source: a path, the bytes of an image file, a binary file object (read from
            where it stands, left open), a PIL image (never modified; its current frame)
            or a uint8 array: (H, W, 3) RGB, (H, W) or (H, W, 1) gray, (H, W, 4) RGBA.
        min_size: (width, height) in pixels, after orientation, that the caller needs.
            A JPEG may then be decoded at 1/2, 1/4 or 1/8 scale, keeping at least three
            times these numbers. Once resized (bicubic) to `min_size`, 120 photographs
            with detail down to the pixel differed from a full decode by 0.4 of 255
            levels on average (the worst by 1.6), and 99 % of their values by at most 2
            (the worst by 20); photographs straight from a camera differ less.
        name: what to call the source in error messages.

    Returns:
        A new picture of mode "RGB" without metadata; `amfzoo.images.damage` tells whether its file looks damaged.

    Files may be JPEG (also MPO), PNG, WebP, TIFF, GIF, BMP or AVIF, HEIC (extra `heic`) or DICOM (extra `dicom`),
    told by their content; of several frames the first is read. EXIF orientation is applied.
    Transparency is laid over white. 16-bit gray is divided by 257; of 16-bit colour Pillow
    keeps the high byte. Of a DICOM file only pixels are taken, nothing of the patient. Colours are taken as sRGB unless an embedded RGB or CMYK profile (Display P3,
    Adobe RGB, ...) says otherwise: these are converted to sRGB. Profiles of gray images
    and broken profiles are ignored.

    Raises:
        ImageError: the source is missing, unreadable, truncated, damaged, of another
            format or type, smaller than `MIN_SIDE` or larger than `MAX_PIXELS`.
    """
    if name is None:
        name = source_name(source)
    _check_min_size(min_size)
    if isinstance(source, Image.Image):
        image, found = _loaded(source, name)
        return damage.mark(to_rgb(image, name), found)
    if isinstance(source, np.ndarray):
        return to_rgb(array_image(source, name), name)
    if is_encoded(source):
        image, found = decode(encoded_bytes(source, name), name, min_size)
        return damage.mark(to_rgb(image, name), found)
    raise ImageError(f"{name}: {_wrong_type(source)}")


def _loaded(image: Image.Image, name: str) -> tuple[Image.Image, str | None]:
    check_size(image.size, name)
    try:
        with _LOADING[id(image) // 64 % len(_LOADING)]:
            refuse_raw(image, name)
            load(image, name)
            return upright(image), damage.find(image)  # reading its metadata changes it, too
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders raise nearly anything on damaged data
        raise ImageError(
            f"{name}: its pixels cannot be loaded ({str(error) or type(error).__name__}); the file is damaged or was closed before it was read"
        ) from error


def _wrong_type(source: object) -> str:
    if source is None:
        return "there is no image; pass a path, bytes, a PIL image or a uint8 array"
    if isinstance(source, (list, tuple)):
        return "a sequence is not an image; pass one image at a time"
    # also a subclass of another package, such as torchvision's
    if any(kind.__module__.split(".")[0] == "torch" for kind in type(source).__mro__):
        return "a tensor is not read here; pass a uint8 array (H, W, 3), for example tensor.permute(1, 2, 0).numpy()"
    if isinstance(source, Iterable):
        return f"a {type(source).__name__} is not an image; of many images pass a list, or `predict_stream` pairs"
    return "this type is not an image; pass a path, bytes, a binary file object, a PIL image or a uint8 array (H, W, 3)"


def _check_min_size(min_size: tuple[int, int] | None) -> None:
    if min_size is None:
        return
    ok = isinstance(min_size, (tuple, list)) and len(min_size) == 2
    if not (ok and all(isinstance(side, int) and side > 0 for side in min_size)):
        raise ConfigError(f"min_size: {min_size!r} is not two positive integers (width, height)")
