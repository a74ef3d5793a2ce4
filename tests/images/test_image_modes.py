"""Colour modes, transparency, bit depths and profiles, against plain formulas."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from image_case import rgb_pixels
from PIL import Image, PngImagePlugin

from amfzoo.errors import ImageError
from amfzoo.images import read_image


def _gray(image) -> np.ndarray:
    return np.repeat(np.asarray(image).astype(int)[:, :, None], 3, axis=2)


def _over_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    part = alpha[..., None] / 255
    return rgb * part + 255 * (1 - part)


def _alpha(small) -> Image.Image:
    ramp = np.tile(np.linspace(0, 255, small.width).astype(np.uint8), (small.height, 1))
    return Image.fromarray(ramp)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", None])
def test_rgb_is_kept(small, encode, kind):
    source = small if kind is None else encode(small, kind)
    np.testing.assert_array_equal(rgb_pixels(source), np.asarray(small))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", None])
def test_bilevel_and_gray(small, encode, kind):
    bilevel, gray = small.convert("1"), small.convert("L")
    for image in (bilevel, gray):
        source = image if kind is None else encode(image, kind)
        np.testing.assert_array_equal(rgb_pixels(source), _gray(image.convert("L")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", None])
def test_transparency_is_laid_over_white(small, encode, kind):
    rgba = small.copy()
    rgba.putalpha(_alpha(small))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    source = rgba if kind is None else encode(rgba, kind, **options)
    expected = _over_white(np.asarray(small).astype(int), np.asarray(_alpha(small)).astype(int))
    assert np.abs(rgb_pixels(source) - expected).max() <= 1
    assert (rgb_pixels(source)[:, 0] == 255).all()


@pytest.mark.parametrize("mode", ["RGBa", "La", "LA", "PA"])
def test_other_alpha_modes(small, mode):
    alpha = _alpha(small)
    base = {"RGBa": small, "PA": small.quantize(16)}.get(mode, small.convert("L"))
    if mode == "PA":
        image = base.convert("PA")
        image.putalpha(alpha)
    else:
        image = base.convert("LA" if mode in ("LA", "La") else "RGBA")
        image.putalpha(alpha)
        image = image.convert(mode)
    assert image.mode == mode
    colour = np.asarray(base.convert("RGB")).astype(int)
    expected = _over_white(colour, np.asarray(alpha).astype(int))
    assert np.abs(rgb_pixels(image) - expected).max() <= 2  # premultiplied modes round twice


def test_la_png(small, encode):
    image = small.convert("L")
    expected = _over_white(_gray(image), np.asarray(_alpha(small)).astype(int))
    image.putalpha(_alpha(small))
    assert np.abs(rgb_pixels(encode(image, "PNG")) - expected).max() <= 1


def test_palette(small, encode):
    image = small.quantize(16)
    colours = np.array(image.getpalette()[:48]).reshape(16, 3)
    expected = colours[np.asarray(image)]
    np.testing.assert_array_equal(rgb_pixels(encode(image, "PNG")), expected)
    clear = encode(image, "PNG", transparency=3)
    expected = np.where((np.asarray(image) == 3)[..., None], 255, expected)
    np.testing.assert_array_equal(rgb_pixels(clear), expected)
    image.putpalette(np.c_[colours, np.where(np.arange(16) == 3, 0, 255)].astype(np.uint8).tobytes(), "RGBA")
    np.testing.assert_array_equal(rgb_pixels(image), expected)


def test_transparent_colour_of_an_rgb_png(encode):
    pixels = np.full((20, 20, 3), 40, np.uint8)
    pixels[:5] = (1, 2, 3)
    source = encode(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3))
    assert (rgb_pixels(source)[:5] == 255).all() and (rgb_pixels(source)[5:] == 40).all()


def test_rgbx_ycbcr_and_hsv(small):
    np.testing.assert_array_equal(rgb_pixels(small.convert("RGBX")), np.asarray(small))
    for mode, slack in (("YCbCr", 3), ("HSV", 8)):
        assert np.abs(rgb_pixels(small.convert(mode)) - np.asarray(small)).max() <= slack


@pytest.fixture(scope="module")
def deep():
    return (np.arange(40 * 50, dtype=np.uint32).reshape(40, 50) * 32).astype(np.uint16)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", None])
def test_16_bit_gray(deep, encode, kind):
    image = Image.fromarray(deep)
    source = image if kind is None else encode(image, kind)
    np.testing.assert_array_equal(rgb_pixels(source), _gray(np.round(deep / 257)))
    black = Image.fromarray(np.zeros_like(deep))
    assert not rgb_pixels(black if kind is None else encode(black, kind)).any()  # no 8-bit numbers by mistake


def test_16_bit_gray_where_white_is_zero(deep):
    data = io.BytesIO()
    Image.fromarray(deep).save(data, "TIFF", tiffinfo={262: 0, 274: 6})
    turned = np.rot90(np.round((65535 - deep.astype(int)) / 257), -1)
    opened = Image.open(io.BytesIO(data.getvalue()))
    for source in (data.getvalue(), opened, opened):  # the second time it is loaded
        np.testing.assert_array_equal(rgb_pixels(source), _gray(turned))


def test_16_bit_big_endian_and_32_bit_gray(deep, encode):
    big = Image.frombytes("I;16B", (50, 40), deep.astype(">u2").tobytes())
    wide = Image.fromarray(deep.astype(np.int32))
    assert wide.mode == "I"
    for source in (big, encode(big, "TIFF"), wide, encode(wide, "TIFF")):
        np.testing.assert_array_equal(rgb_pixels(source), _gray(np.round(deep / 257)))


def _png_16_bit(pixels: np.ndarray, colour_type: int) -> bytes:
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("what", ["text", "profile"])
def test_png_with_a_large_text_or_profile(small, encode, what, before):
    text = PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 2_000_000, zip=True)
    options = {"pnginfo": text} if what == "text" else {"icc_profile": b"\0" * 2_000_000}
    data = io.BytesIO()
    small.save(data, "PNG", **options)
    data = data.getvalue()
    if not before:  # behind the picture
        chunks = dict(_chunks(data))
        moved = [chunks.pop(name) for name in (b"iTXt", b"iCCP") if name in chunks]
        end = chunks.pop(b"IEND")
        data = data[:8] + b"".join([*chunks.values(), *moved, end])
    np.testing.assert_array_equal(rgb_pixels(data), np.asarray(small))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = 8
    while start < len(png):
        end = start + 12 + int.from_bytes(png[start : start + 4], "big")
        yield png[start + 4 : start + 8], png[start:end]
        start = end


def test_16_bit_colour_png():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    assert np.abs(rgb_pixels(_png_16_bit(rgb, 2)) - rgb / 257).max() <= 1
    opaque = np.concatenate([rgb, np.full((20, 30, 1), 65535, np.uint16)], axis=2)
    assert np.abs(rgb_pixels(_png_16_bit(opaque, 6)) - rgb / 257).max() <= 1
    for source in (low := _png_16_bit(rgb >> 8, 2), Image.open(io.BytesIO(low))):  # 8 bits in 16: Pillow keeps nothing
        with pytest.raises(ImageError, match="of their range only"):
            rgb_pixels(source)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.full((20, 20), 70000, np.int32), "beyond 16 bits"),
        (np.full((20, 20), -5, np.int32), "beyond 16 bits"),
        (np.full((20, 20), 200, np.int32), "8-bit"),
        (np.full((20, 20), 0.5, np.float32), "scale them to 0..255"),
    ],
)
def test_numbers_without_an_8_bit_meaning(values, words, encode):
    image = Image.fromarray(values)
    for source in (image, encode(image, "TIFF")):
        with pytest.raises(ImageError, match=words):
            read_image(source)


def test_first_frame_of_animations(small, files, encode):
    first, turned = np.asarray(small).astype(int), np.asarray(small.rotate(90)).astype(int)
    for kind in ("gif animated", "webp animated", "mpo"):
        got = rgb_pixels(files[kind])
        assert np.abs(got - first).mean() < 8 < np.abs(got - turned).mean()
    apng = encode(small, "PNG", save_all=True, append_images=[small.rotate(90)])
    np.testing.assert_array_equal(rgb_pixels(apng), first)


def test_arrays_like_files(small, encode):
    rgb = np.asarray(small)
    np.testing.assert_array_equal(rgb_pixels(rgb), rgb)
    np.testing.assert_array_equal(rgb_pixels(rgb[::-1, ::-2]), rgb[::-1, ::-2])
    np.testing.assert_array_equal(rgb_pixels(rgb[..., 0]), _gray(rgb[..., 0]))
    np.testing.assert_array_equal(rgb_pixels(rgb[..., :1]), _gray(rgb[..., 0]))
    rgba = np.dstack([rgb, np.asarray(_alpha(small))])
    np.testing.assert_array_equal(rgb_pixels(rgba), rgb_pixels(encode(Image.fromarray(rgba), "PNG")))


def test_an_array_may_be_read_only_and_stays_apart(small):
    array = np.asarray(small)
    assert not array.flags.writeable
    own = array.copy()
    image = read_image(own)
    own[:] = 0
    np.testing.assert_array_equal(np.asarray(image), array)
