"""`Preprocess`: geometry, normalisation, settings; the reader is tested in tests/images."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amfzoo.errors import ConfigError, ImageError
from amfzoo.images import Preprocess, read_image

FILTERS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
PHOTO = np.asarray(Image.fromarray(RNG.integers(0, 256, (12, 17, 3), dtype=np.uint8)).resize((170, 120), 3))


def _jpeg(array: np.ndarray, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _quadrants(height: int, width: int) -> np.ndarray:
    """Red, green / blue, white."""
    array = np.zeros((height, width, 3), np.uint8)
    array[: height // 2, : width // 2, 0] = 255
    array[: height // 2, width // 2 :, 1] = 255
    array[height // 2 :, : width // 2, 2] = 255
    array[height // 2 :, width // 2 :] = 255
    return array


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("border", [0, 0.1])
def test_output_is_the_formula(fit, border):
    preprocess = Preprocess(size=(40, 60), fit=fit, border=border)
    resized = preprocess.resized(PHOTO)
    assert resized.shape == (40, 60, 3) and resized.dtype == np.uint8
    got = preprocess(PHOTO)
    assert got.shape == (3, 40, 60) and got.dtype == np.float32 and got.flags.c_contiguous
    for channel in range(3):
        mean = (0.485, 0.456, 0.406)[channel]
        std = (0.229, 0.224, 0.225)[channel]
        expected = (resized[:, :, channel] / 255.0 - mean) / std
        np.testing.assert_allclose(got[channel], expected, rtol=1e-6, atol=5e-7)


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("name", FILTERS)
def test_a_call_is_its_steps(fit, name):
    preprocess = Preprocess(size=(20, 28), fit=fit, filter=name, border=0.05)
    data = _jpeg(np.tile(PHOTO, (3, 3, 1)))
    read = read_image(data, min_size=preprocess.min_size)
    expected = preprocess.normalise(preprocess.resized(read))
    np.testing.assert_array_equal(preprocess(data), expected)
    np.testing.assert_array_equal(preprocess.fitted(preprocess.read(data)), expected)


@pytest.mark.parametrize("name", FILTERS)
def test_squash_is_pillows_resize(name):
    filters = {f.name.lower(): f for f in Image.Resampling}
    expected = Image.fromarray(PHOTO).resize((50, 30), filters[name])
    got = Preprocess(size=(30, 50), filter=name).resized(PHOTO)
    np.testing.assert_array_equal(got, np.asarray(expected))


@pytest.mark.parametrize("size", [(40, 40), (40, 80), (80, 40)])
@pytest.mark.parametrize("shape", [(60, 120), (120, 60), (80, 80)])
def test_squash_keeps_every_part(size, shape):
    got = Preprocess(size=size, filter="box").resized(_quadrants(*shape))
    np.testing.assert_array_equal(got, _quadrants(*size))


def test_crop_takes_the_centre():
    array = np.zeros((60, 120, 3), np.uint8)
    array[:, 30:90] = _quadrants(60, 60)
    got = Preprocess(size=(60, 60), fit="crop").resized(array)
    np.testing.assert_array_equal(got, _quadrants(60, 60))
    got = Preprocess(size=(60, 60), fit="crop").resized(array.swapaxes(0, 1))
    np.testing.assert_array_equal(got, _quadrants(60, 60).swapaxes(0, 1))
    got = Preprocess(size=(30, 60), fit="crop").resized(array)
    assert got.shape == (30, 60, 3) and (got[:, 0] == 0).all()  # same aspect ratio: nothing cut


def test_crop_takes_the_centre_in_the_shape_of_the_input():
    tall = np.zeros((200, 120, 3), np.uint8)
    tall[70:130] = _quadrants(60, 120)
    got = Preprocess(size=(60, 120), fit="crop").resized(tall)
    np.testing.assert_array_equal(got, _quadrants(60, 120))
    got = Preprocess(size=(120, 60), fit="crop").resized(tall.swapaxes(0, 1))
    np.testing.assert_array_equal(got, _quadrants(60, 120).swapaxes(0, 1))


def test_crop_of_an_odd_remainder_stays_centred():
    array = np.zeros((20, 33, 3), np.uint8)
    array[:, 16] = 255
    got = Preprocess(size=(20, 20), fit="crop", filter="bilinear").resized(array).astype(int)
    np.testing.assert_array_equal(got, got[:, ::-1])


@pytest.mark.parametrize("shape", [(40, 80), (80, 40)])
def test_pad_keeps_the_whole_picture_on_black(shape):
    got = Preprocess(size=(80, 80), fit="pad").resized(_quadrants(*shape))
    top, left = (80 - shape[0]) // 2, (80 - shape[1]) // 2
    expected = np.zeros((80, 80, 3), np.uint8)
    expected[top : top + shape[0], left : left + shape[1]] = _quadrants(*shape)
    np.testing.assert_array_equal(got, expected)


def test_pad_rounds_to_the_nearest_pixel():
    got = Preprocess(size=(64, 64), fit="pad").resized(np.full((67, 100, 3), 255, np.uint8))
    rows = [row for row in range(64) if got[row].any()]
    assert (rows[0], rows[-1]) == (10, 52)  # 64 * 0.67 = 42.88, so 43 rows


def test_pad_of_an_extreme_shape():
    got = Preprocess(size=(24, 24), fit="pad").resized(np.full((16, 3000, 3), 255, np.uint8))
    assert [row for row in range(24) if got[row].any()] == [11]
    for size in ((3000, 1), (1, 3000)):  # of which less than a pixel would be left
        assert min(Preprocess(size=(24, 24), fit="pad").geometry(size)[1]) == 1


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_border_is_cut_from_each_side(fit):
    array = np.zeros((100, 100, 3), np.uint8)
    array[20:80, 20:80] = _quadrants(60, 60)
    got = Preprocess(size=(60, 60), fit=fit, border=0.2).resized(array)
    np.testing.assert_array_equal(got, _quadrants(60, 60))
    assert Preprocess(border=0.1).geometry((300, 200))[0] == pytest.approx((30, 20, 270, 180))


def test_nearest_reads_every_pixel_and_others_what_they_need():
    assert Preprocess(filter="nearest").min_size is None
    assert Preprocess(size=(100, 200)).min_size == (200, 100)
    assert Preprocess(size=(100, 200), border=0.25).min_size == (400, 200)
    data = _jpeg(np.tile(PHOTO, (4, 4, 1)))
    preprocess = Preprocess(size=(30, 30), filter="nearest")
    expected = preprocess.resized(read_image(data))
    np.testing.assert_array_equal(preprocess.resized(data), expected)


def test_normalise_takes_batches_and_other_statistics():
    preprocess = Preprocess(size=(8, 9), mean=(0.5, 0, 0.25), std=(0.5, 1, 2))
    pixels = RNG.integers(0, 256, (2, 5, 8, 9, 3), dtype=np.uint8)
    expected = (pixels / 255 - np.array([0.5, 0, 0.25])) / np.array([0.5, 1, 2])
    got = preprocess.normalise(pixels)
    assert got.dtype == np.float32 and got.flags.c_contiguous
    np.testing.assert_allclose(got, np.moveaxis(expected, -1, -3), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(preprocess.normalise(pixels[1, 2]), got[1, 2])
    assert preprocess.normalise(pixels[:, :0]).shape == (2, 0, 3, 8, 9)


@pytest.mark.parametrize(
    "pixels", [np.zeros((8, 8, 3)), np.zeros((3, 8, 8), np.uint8), np.zeros((8, 3), np.uint8), None]
)
def test_normalise_refuses_other_arrays(pixels):
    with pytest.raises(ImageError, match="uint8"):
        Preprocess().normalise(pixels)


def test_results_are_the_callers_own():
    preprocess = Preprocess(size=(20, 20))
    first, pixels = preprocess(PHOTO), preprocess.resized(PHOTO)
    kept = first.copy()
    first += 1
    pixels += 1
    np.testing.assert_array_equal(preprocess(PHOTO), kept)


def test_errors_of_the_reader_pass_through(tmp_path):
    with pytest.raises(ImageError, match="gone.jpg"):
        Preprocess()(tmp_path / "gone.jpg")


def test_settings_round_trip_through_json():
    for preprocess in (
        Preprocess(),
        Preprocess((96, 128), (0, 0.5, 1), (1, 1, 0.5), "pad", "lanczos", 0.125),
    ):
        text = json.dumps(preprocess.to_dict(), allow_nan=False)
        again = Preprocess.from_dict(json.loads(text))
        assert again == preprocess and hash(again) == hash(preprocess)
        assert again.to_dict() == preprocess.to_dict()
        assert isinstance(again.size, tuple) and isinstance(again.mean, tuple)
    assert Preprocess.from_dict({}) == Preprocess()
    assert Preprocess.from_dict({"size": [64, 32]}).size == (64, 32)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", 224),
        ("size", [224]),
        ("size", [224, 224, 3]),
        ("size", [0, 224]),
        ("size", [224.0, 224]),
        ("size", [True, 224]),
        ("size", "ab"),
        ("size", None),
        ("size", [10**6, 10]),
        ("mean", 0.5),
        ("mean", [0.5, 0.5]),
        ("mean", ["a", "b", "c"]),
        ("mean", "abc"),
        ("mean", [0.5, 0.5, float("nan")]),
        ("mean", [True, 0, 0]),
        ("mean", [1e9, 0, 0]),
        ("std", [0, 1, 1]),
        ("std", [-1, 1, 1]),
        ("std", [float("inf"), 1, 1]),
        ("std", None),
        ("fit", "stretch"),
        ("fit", None),
        ("fit", ["crop"]),
        ("filter", "cubic"),
        ("filter", 3),
        ("filter", "BICUBIC"),
        ("border", 0.5),
        ("border", -0.1),
        ("border", "0.1"),
        ("border", None),
        ("border", True),
        ("border", float("nan")),
        ("crop_pct", 0.9),
        (3, 4),
    ],
)
def test_wrong_settings_name_the_key(key, value):
    with pytest.raises(ConfigError, match=str(key)):
        Preprocess.from_dict({key: value})
    if isinstance(key, str) and key != "crop_pct":
        with pytest.raises(ConfigError, match=f"^{key}: "):
            Preprocess(**{key: value})


@pytest.mark.parametrize("values", [None, [], "size", 3])
def test_settings_must_be_a_mapping(values):
    with pytest.raises(ConfigError, match="mapping"):
        Preprocess.from_dict(values)


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Preprocess().size = (1, 1)  # type: ignore[misc]


def test_reading_images_imports_no_torch():
    code = "import sys, amfzoo.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
