"""Every colour mode of Pillow to 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from ..errors import ImageError

_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
_GRAY_MODES = ("1", "L", "LA", "La", "I", "F")
_LEAST_BRIGHT = 1 / 12  # of the range, as for DICOM
_SAME = 2  # levels; a profile this close to sRGB is sRGB


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """`image` as a new RGB picture without metadata; ImageError where it has no 8-bit meaning.

    Transparency is laid over white. 16-bit gray is divided by 257. An embedded RGB or
    CMYK profile that differs from sRGB is converted to sRGB; a broken one is ignored.
    """
    try:
        rgb = _convert(image, name)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # for example a palette that is too short
        raise ImageError(
            f"{name}: mode {image.mode} cannot be converted to RGB ({error}); "
            'save the image as 8-bit RGB, or pass image.convert("RGB")'
        ) from error
    rgb.info = {}  # a new picture, even from RGB; orientation and profile have been applied
    return rgb


def _convert(image: Image.Image, name: str) -> Image.Image:
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        return _from_numbers(image, name).convert("RGB")
    if mode == "LAB":
        return _lab_to_srgb().apply(image)
    profile = image.info.get("icc_profile")
    if mode == "CMYK":
        transform = _to_srgb(profile, "CMYK")
        return transform.apply(image) if transform else image.convert("RGB")
    rgb = _over_white(image) if _has_alpha(image) else image.convert("RGB")
    transform = None if mode in _GRAY_MODES else _to_srgb(profile, "RGB")
    return transform.apply(rgb) if transform else rgb


def check_brightest(share: float, name: str) -> None:
    """Refuse 16-bit pixels of which the brightest has less than a twelfth of the range, such as 8 or 12 bits stored in 16.

    They would become a black picture. One that is black altogether is as it should be.
    """
    if 0 < share < _LEAST_BRIGHT:
        raise ImageError(
            f"{name}: the 16-bit pixels reach {share:.1%} of their range only, and would all become black; if they hold "
            "values of fewer bits, save (or pass) them as 8-bit pixels"
        )


def _from_numbers(image: Image.Image, name: str) -> Image.Image:
    """8-bit gray from 16-bit numbers (modes I and I;16)."""
    if image.mode == "F":
        raise ImageError(
            f"{name}: the pixels are floating-point numbers without a known range; "
            "scale them to 0..255 and save (or pass) 8-bit pixels"
        )
    values = np.asarray(image)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ImageError(
            f"{name}: the pixels range over {low}..{high}, beyond 16 bits; "
            "scale them to 0..255 and save (or pass) 8-bit pixels"
        )
    check_brightest(high / 65535, name)
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _has_alpha(image: Image.Image) -> bool:
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        return True
    return image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A")


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(rgba, mask=rgba.getchannel("A"))
    return white


def _to_srgb(profile: Any, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The conversion of `mode` pixels from `profile` to sRGB, None where there is none to make."""
    if not isinstance(profile, bytes) or profile[16:20] != mode.ljust(4).encode():
        return None
    return _transform(profile, mode)


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except MemoryError:
        raise
    except Exception:  # a broken profile, or Pillow without littlecms: take it for sRGB
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    # Judged by what it does: names of profiles do not say whether they are sRGB.
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
    changed = np.asarray(transform.apply(Image.fromarray(grid)))
    return int(np.abs(changed.astype(int) - grid).max()) <= _SAME


@lru_cache(maxsize=1)
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB")
