"""Damage that leaves a file sound in its form: `read_image` marks the picture, whatever is done to it on the way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from amfzoo.images import read_image
from amfzoo.images.damage import GRAY, damage
from amfzoo.images.own import own_copy


def cut(jpeg: bytes, share: float = 0.6) -> bytes:
    """Only the first `share` of the coded pixels, closed as some programs do."""
    start = jpeg.rindex(b"\xff\xda")
    return jpeg[: start + int((len(jpeg) - start) * share)].rstrip(b"\xff") + b"\xff\xd9"


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def brighter_profile() -> bytes:
    """Another RGB profile than sRGB: its gray of 128 is none of sRGB's."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    place = made.index(b"para", 200)
    made[place + 12 : place + 16] = int(1.9 * 65536).to_bytes(4, "big")  # the exponent of its curve
    return bytes(made)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_that_ends_in_gray_in_every_orientation(natural, encode, orientation):
    data = encode(natural(160, 120), "JPEG", quality=90, exif=turned(orientation))
    for source in (cut(data), Image.open(io.BytesIO(cut(data)))):
        for options in ({}, {"min_size": (16, 16)}):
            assert damage(read_image(source, **options)) == GRAY
    assert damage(read_image(data)) is None and not read_image(data).info


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_whatever_its_colours_are(natural, encode, share):
    picture, profile = natural(160, 120), brighter_profile()
    for data in (
        encode(picture.convert("L"), "JPEG"),
        encode(picture.convert("CMYK"), "JPEG"),
        encode(picture, "JPEG", icc_profile=profile),
        encode(picture, "JPEG", icc_profile=profile, exif=turned(6)),
    ):
        assert damage(read_image(cut(data, share))) == GRAY
        assert damage(read_image(data)) is None
    assert np.any(np.asarray(read_image(cut(encode(picture, "JPEG", icc_profile=profile))))[-1, -1] != 128)


def test_the_mark_stays_with_the_picture(natural, encode):
    picture = read_image(cut(encode(natural(160, 120), "JPEG", exif=turned(6))))
    for other in (picture.copy(), picture.rotate(90, expand=True), picture.resize((80, 80)), own_copy(picture)):
        assert damage(other) == damage(read_image(other)) == GRAY


def test_gray_pictures_and_frames_are_sound(natural, encode):
    gray = Image.new("RGB", (160, 120), (128, 128, 128))
    for picture in (gray, gray.convert("L"), ImageOps.expand(natural(160, 120), 16, (128, 128, 128))):
        for orientation in (1, 6):
            data = encode(picture, "JPEG", quality=95, exif=turned(orientation))
            assert damage(read_image(data)) is None


def test_a_text_of_that_name_in_a_file_says_nothing(natural, encode):
    picture = Image.open(io.BytesIO(encode(natural(40, 30), "PNG")))
    picture.info["amfzoo_damage"] = "anything"
    assert damage(read_image(picture)) is None
