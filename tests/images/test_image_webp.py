"""WebP whose data end in zeros: half-copied files, which decode to other colours, and those that end so of themselves."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from amfzoo.errors import ImageError
from amfzoo.images import read_image


def _refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="truncated or damaged.*again"):
        read_image(data)


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}])
def test_half_written_webp_padded_with_zeros(natural, encode, options):
    """Its decoder sees nothing wrong, and the picture has other colours from there on."""
    data = encode(natural(200, 150), "WEBP", **options)
    for keep in (0.1, 0.5, 0.8, *([] if "lossless" in options else [0.9])):
        cut = int(len(data) * keep)
        _refused(data[:cut] + bytes(len(data) - cut))
    assert read_image(data + bytes(len(data))).size == (200, 150)  # zeros behind the picture are none of it
    for colour in ("black", "white"):  # whose last twentieth are zeros
        for side in (16, 1500):
            assert read_image(encode(Image.new("RGB", (side, side), colour), "WEBP", **options)).size == (side, side)


def test_zeros_that_a_webp_has_of_itself(natural, encode):
    """Black below a photo, and metadata with room to grow."""
    framed = Image.new("RGB", (400, 400))
    framed.paste(natural(400, 150), (0, 50))
    data = encode(framed, "WEBP", lossless=True, quality=0, method=0)
    assert len(data) - len(data.rstrip(b"\0")) > len(data) // 8
    assert np.array_equal(read_image(data), framed)
    exif = Image.Exif()
    exif[0x927C] = bytes(8000)  # MakerNote
    data = encode(natural(100, 75), "WEBP", exif=exif)
    assert len(data) - len(data.rstrip(b"\0")) > len(data) // 8
    assert read_image(data).size == (100, 75)


@pytest.mark.parametrize("options", [{"quality": 80}, {"lossless": True}])
def test_an_animation_cut_within_its_first_picture(natural, encode, options):
    first = natural(200, 150)
    data = encode(first, "WEBP", save_all=True, append_images=[first.transpose(Image.Transpose.ROTATE_180)], **options)
    assert b"ANMF" in data and read_image(data).size == (200, 150)
    cut = len(data) // 4
    _refused(data[:cut] + bytes(len(data) - cut))
