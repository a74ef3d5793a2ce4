"""HEIC and AVIF: the pixels that a lossless file of the same picture gives, and files that cannot be read."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from image_case import AVIF
from PIL import Image, features

from amfzoo.errors import ImageError
from amfzoo.images import read_image
from amfzoo.images.damage import damage

KINDS = ["HEIC", AVIF]


def _difference(a: Image.Image, b: Image.Image) -> float:
    assert a.size == b.size
    return float(np.abs(np.asarray(a, float) - np.asarray(b, float)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_pixels(natural, encode, kind, tmp_path):
    picture = natural(320, 200)
    data = encode(picture, kind, quality=95)
    found = read_image(data)
    assert found.mode == "RGB" and damage(found) is None and _difference(found, picture) < 2
    path = tmp_path / "IMG_0001.jpg"  # told by its content
    path.write_bytes(data)
    assert np.array_equal(read_image(path), found)
    assert np.array_equal(read_image(path, min_size=(16, 16)), found)
    gray = picture.convert("L")
    assert _difference(read_image(encode(gray, kind, quality=95)), gray.convert("RGB")) < 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_once(natural, encode, kind, orientation):
    """Phones store pictures on their side, and say so both in the EXIF data and in a box of the container."""
    stored, exif = natural(160, 96), Image.Exif()
    exif[0x0112] = orientation
    upright = read_image(encode(stored, "PNG", exif=exif))
    assert _difference(read_image(encode(stored, kind, quality=95, exif=exif)), upright) < 2


@pytest.mark.parametrize("kind", KINDS)
def test_transparency_is_laid_over_white(natural, encode, kind):
    picture = natural(160, 96).convert("RGBA")
    picture.putalpha(0)
    assert np.asarray(read_image(encode(picture, kind, quality=95))).min() > 250


@pytest.mark.parametrize("kind", KINDS)
def test_cut_files(natural, encode, kind):
    data = encode(natural(320, 200), kind, quality=90)
    for keep in (0.02, 0.3, 0.6, 0.99):
        cut = int(len(data) * keep)
        for damaged in (data[:cut], *([] if keep > 0.9 else [data[:cut] + bytes(len(data) - cut)])):
            with pytest.raises(ImageError, match="truncated or damaged.*again"):
                read_image(damaged)
    assert read_image(data + bytes(len(data))).size == (320, 200)  # zeros behind the picture are none of it


def test_too_large_is_told_before_its_pixels_are_decoded(encode, monkeypatch):
    data = encode(Image.new("RGB", (512, 512), "white"), "HEIC")
    monkeypatch.setattr("amfzoo.images.source.MAX_PIXELS", 512 * 511)
    with pytest.raises(ImageError, match="512x512"):
        read_image(data, name="a.heic")


def test_with_a_pillow_that_is_too_old_for_it_the_photo_is_not_called_damaged(natural, encode, monkeypatch):
    data = encode(natural(64, 48), "HEIC")
    monkeypatch.setattr("PIL.__version__", "10.3.0")
    with pytest.raises(ImageError, match=r"a\.heic: .*Pillow 11\.1 or newer, here is 10\.3\.0"):
        read_image(data, name="a.heic")


def test_without_the_package(natural, encode, monkeypatch):
    data = encode(natural(64, 48), "HEIC")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"a\.heic: .*pip install 'amfzoo\[heic\]'.*JPEG"):
        read_image(data, name="a.heic")


def test_without_avif(natural, encode, monkeypatch):
    head = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(64)
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(ImageError, match="AVIF.*Pillow 11.3.*JPEG"):
        read_image(head)


def test_a_picture_that_somebody_opened(natural, encode):
    picture = natural(160, 96)
    opened = pytest.importorskip("pillow_heif").HeifImageFile(io.BytesIO(encode(picture, "HEIC", quality=95)), "")
    assert _difference(read_image(opened), picture) < 2
