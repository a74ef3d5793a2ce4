"""Orientation, reduced decoding, damaged bytes and threads."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from amfzoo.errors import ImageError
from amfzoo.images import Preprocess, read_image

# EXIF orientation -> how the stored pixels become upright, as plain array operations.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def _exif(orientation: object) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "MPO"])
def test_exif_orientation(kind, orientation, small, encode):
    options = {"WEBP": {"lossless": True}, "MPO": {"save_all": True, "append_images": [small]}}
    data = encode(small, kind, exif=_exif(orientation), **options.get(kind, {}))
    plain = np.asarray(read_image(encode(small, kind, **options.get(kind, {}))))
    expected = UPRIGHT[orientation](plain)
    got = read_image(data)
    np.testing.assert_array_equal(np.asarray(got), expected)
    # Once: neither the result nor an opened image is turned twice.
    np.testing.assert_array_equal(np.asarray(read_image(got)), expected)
    np.testing.assert_array_equal(np.asarray(read_image(Image.open(io.BytesIO(data)))), expected)


def test_senseless_orientations_are_ignored(small, encode):
    for data in (
        encode(small, "PNG", exif=_exif(9)),
        encode(small, "PNG", exif=_exif(0)),
        encode(small, "PNG", exif=b"Exif\0\0garbage"),
        encode(small, "PNG", exif=b""),
    ):
        np.testing.assert_array_equal(np.asarray(read_image(data)), np.asarray(small))


def test_pil_images_are_not_modified(small, encode):
    image = Image.open(io.BytesIO(encode(small, "PNG", exif=_exif(6))))
    image.load()
    before = image.tobytes(), dict(image.info), image.mode, image.size
    result = read_image(image, min_size=(16, 16))
    result.paste((0, 0, 0), (0, 0, 20, 20))
    assert (image.tobytes(), dict(image.info), image.mode, image.size) == before
    own = small.copy()
    read_image(own).paste((0, 0, 0), (0, 0, 20, 20))
    assert own == small


def test_reduced_decode_keeps_what_was_asked_for(natural, encode):
    image = natural(800, 400)
    for orientation in (1, 6):
        data = encode(image, "JPEG", exif=_exif(orientation))
        assert read_image(data).size == ((800, 400) if orientation == 1 else (400, 800))
        for min_size in ((20, 20), (60, 30), (30, 60), (100, 66), (300, 10), (2000, 2000)):
            width, height = read_image(data, min_size=min_size).size
            full = (800, 400) if orientation == 1 else (400, 800)
            for got, whole, asked in zip((width, height), full, min_size):
                assert got >= min(whole, 3 * asked)
    assert read_image(encode(image, "JPEG"), min_size=(16, 16)).size == (100, 50)
    assert read_image(encode(image, "JPEG", exif=_exif(8)), min_size=(60, 120)).size == (200, 400)
    assert read_image(encode(image, "PNG"), min_size=(20, 20)).size == (800, 400)


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(100, 100), (64, 80), (33, 33)])
def test_reduced_decode_is_close_to_a_full_one(natural, encode, quality, name, size):
    preprocess = Preprocess(size=size, filter=name)
    data = encode(natural(800, 640, seed=quality), "JPEG", quality=quality)
    whole = read_image(data)
    assert read_image(data, min_size=preprocess.min_size).width < whole.width
    difference = np.abs(preprocess.resized(data).astype(int) - preprocess.resized(whole))
    assert difference.mean() < 1.6
    assert np.percentile(difference, 99) <= 20


def _damaged(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        # Half of the changes hit the headers, where decoders are most easily misled.
        reach = len(changed) if rng.random() < 0.5 else min(200, len(changed))
        changed[int(rng.integers(reach))] = int(rng.integers(256))
    if rng.random() < 0.3:
        del changed[int(rng.integers(1, len(changed))) :]
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tolerant", [False, True])
def test_damaged_files_give_an_error_or_a_picture(files, tolerant, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    rng = np.random.default_rng(1 + tolerant)
    errors = 0
    for data in files.values():
        for _ in range(25):
            try:
                image = read_image(_damaged(data, rng), min_size=(16, 16))
                assert image.mode == "RGB" and min(image.size) > 0
            except ImageError as error:
                errors += 1
                assert str(error).startswith("<bytes>: ") and len(str(error)) < 600
    assert errors > 100


@pytest.mark.filterwarnings("ignore")
def test_random_bytes_after_a_signature():
    rng = np.random.default_rng(3)
    heads = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8 ", b"II*\0", b"MM\0*", b"GIF89a", b"BM")
    for head in heads:
        for size in (0, 1, 20, 500):
            with pytest.raises(ImageError):
                read_image(head + rng.bytes(size))


def test_many_threads_read_what_one_reads(files, small):
    preprocess = Preprocess(size=(32, 32))
    sources = [*files.values(), small, np.asarray(small)] * 8
    expected = [preprocess(source) for source in sources]
    lazy = Image.open(io.BytesIO(files["png"]))
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(preprocess, sources))
        shared = list(pool.map(preprocess, [lazy] * 16))
    for one, other in zip(got, expected):
        np.testing.assert_array_equal(one, other)
    for one in shared:
        np.testing.assert_array_equal(one, preprocess(files["png"]))
