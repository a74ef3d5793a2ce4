"""Damage that leaves a file sound in its form: `read_image` marks the picture, whatever is done to it on the way."""

from __future__ import annotations

import io
import re
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from amfzoo.errors import ImageError
from amfzoo.images import read_image
from amfzoo.images.damage import GRAY, SCANS, ZEROS, damage
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


def closed(jpeg: bytes, scans: int) -> bytes:
    """Only the first so many scans of a progressive JPEG."""
    starts = [found.start() for found in re.finditer(rb"\xff\xda", jpeg)]
    return jpeg[: starts[scans]] + b"\xff\xd9"


@pytest.mark.parametrize(("mode", "scans"), [("RGB", 10), ("L", 6), ("CMYK", 18)])
def test_a_progressive_jpeg_without_its_last_scans(natural, encode, mode, scans):
    picture = natural(160, 120).convert(mode)
    for quality, options in ((20, {"exif": turned(6)}), (95, {"subsampling": 0})):
        data = encode(picture, "JPEG", quality=quality, progressive=True, **options)
        assert damage(read_image(data)) is None
        assert damage(read_image(data + data[: len(data) // 2])) is None  # behind it there may be anything
        for count in range(1, scans):
            assert damage(read_image(closed(data, count), min_size=(16, 16))) == SCANS


def half_filled(data: bytes, share: float) -> bytes:
    """As an interrupted copy leaves a file whose room was taken first."""
    end = int(len(data) * share)
    return data[:end] + bytes(len(data) - end)


@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
@pytest.mark.parametrize(("kind", "options"), [("BMP", {}), ("TIFF", {}), ("TIFF", {"exif": turned(6)})])
def test_uncompressed_pixels_that_end_in_zeros(natural, encode, kind, options, mode):
    data = encode(natural(161, 120).convert(mode), kind, **options)
    for share in (0.3, 0.72, 0.91):
        broken = half_filled(data, share)
        for source in (broken, Image.open(io.BytesIO(broken))):
            assert damage(read_image(source)) == ZEROS
    assert damage(read_image(data)) is None
    assert damage(read_image(half_filled(data, 0.995))) is None  # too little to matter


def test_16_bits_that_end_in_zeros(natural, encode):
    gray = np.asarray(natural(161, 120).convert("L")).astype(np.uint16) * 257
    for values in (gray, gray.astype(">u2")):
        data = encode(Image.fromarray(values), "TIFF")
        assert damage(read_image(half_filled(data, 0.7))) == ZEROS and damage(read_image(data)) is None


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_black_borders_and_round_pictures_are_sound(natural, encode, kind):
    pixels = np.array(natural(160, 120)).clip(1)
    rows, columns = np.indices(pixels.shape[:2])
    for black in (
        rows > 90, rows < 30, columns < 20, columns > 130, (rows < 20) | (rows > 100), rows >= 0,
        (rows - 60) ** 2 + (columns - 80) ** 2 > 58**2, (rows - 30) ** 2 + (columns - 80) ** 2 > 70**2,
        (rows - 90) ** 2 + (columns - 80) ** 2 > 70**2, (rows - 30) ** 2 + (columns - 20) ** 2 > 80**2,
        (rows > 90) & (columns > 100), rows + columns > 200,
    ):  # fmt: skip
        picture = Image.fromarray(np.where(black[..., None], 0, pixels).astype(np.uint8))
        assert damage(read_image(encode(picture, kind))) is None
        assert damage(read_image(encode(picture, "PNG"))) is None


def png(pixels: np.ndarray, rows: int) -> bytes:
    """A gray PNG, sound but for the rows that it has."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    height, width = pixels.shape
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    content = zlib.compress(b"".join(b"\0" + row.tobytes() for row in pixels[:rows]))
    half = len(content) // 2
    chunks = ((b"IHDR", header), (b"IDAT", content[:half]), (b"IDAT", content[half:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def test_a_png_of_too_few_rows_is_refused(gray):
    assert np.array_equal(np.asarray(read_image(png(gray, 48)))[..., 0], gray)
    for rows in (1, 30, 47):
        with pytest.raises(ImageError, match="picture data hold.*copy or download the file again"):
            read_image(png(gray, rows))


def test_a_png_that_ends_in_black_is_read(gray, encode):
    black = gray * (np.arange(48) < 30)[:, None]
    for picture in (black, gray * 0):
        assert np.array_equal(np.asarray(read_image(png(picture, 48)))[..., 0], picture)
    for mode in ("1", "P", "RGB", "RGBA", "LA", "I;16"):
        picture = (
            Image.fromarray(black.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(black).convert(mode)
        )
        read_image(encode(picture, "PNG"))


@pytest.mark.parametrize("size", [(48, 64), (47, 61), (16, 17)])
def test_an_interlaced_png_of_too_few_rows_is_refused(size):
    """Zeros all over, interlaced by the definition: any rows and columns will do."""
    height, width = size
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    content = b""
    for left, top, across, down in passes:
        part = np.zeros(size, np.uint8)[top::down, left::across]
        content += b"".join(b"\0" + row.tobytes() for row in part)
    whole = png(np.zeros(size, np.uint8), 0)
    head, tail = whole[:16], whole[33:]
    fields = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 1])
    checksum = zlib.crc32(b"IHDR" + fields).to_bytes(4, "big")

    def made(data: bytes) -> bytes:
        packed = zlib.compress(data)
        chunk = len(packed).to_bytes(4, "big") + b"IDAT" + packed + zlib.crc32(b"IDAT" + packed).to_bytes(4, "big")
        return head + fields + checksum + chunk + tail[-12:]

    assert read_image(made(content)).size == (width, height)
    with pytest.raises(ImageError, match="picture data hold"):
        read_image(made(content[: -1 - width]))
