"""DICOM files whose tags do not fit their pixels: read as the pixels are, or refused with the tag's name."""

from __future__ import annotations

import io

import numpy as np
import pytest
from dicom_case import dataset, encoded, jpeg
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from amfzoo.errors import ImageError
from amfzoo.images import read_image


def read(made: Dataset) -> np.ndarray:
    return np.asarray(read_image(encoded(made), name="photo.dcm")).astype(int)


def palette(indexed: Image.Image, bits: int, factor: int) -> Dataset:
    made = dataset(np.asarray(indexed), "PALETTE COLOR")
    colours = np.zeros((256, 3), "<u2")
    found = np.array(indexed.getpalette(), "<u2").reshape(-1, 3)
    colours[: len(found)] = found * factor
    for i, name in enumerate(("Red", "Green", "Blue")):
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        made[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(made, f"{name}PaletteColorLookupTableData", colours[:, i].tobytes())
    return made


@pytest.mark.parametrize("factor", [1, 16])  # 8 and 12 bits
def test_colours_of_fewer_bits_than_declared_are_no_black_picture(rgb, small, factor):
    for made in (dataset(rgb.astype(np.uint16) * factor, "RGB"), palette(small.quantize(64), 16, factor)):
        with pytest.raises(ImageError, match=r"^photo\.dcm: its colours reach \d\.\d% .*BitsStored.*export the photo"):
            read(made)


def test_colours_that_are_dark_as_declared_are_read(rgb):
    assert read(dataset(np.zeros((32, 32, 3), np.uint16), "RGB")).max() == 0
    np.testing.assert_array_equal(read(dataset(rgb // 16, "RGB")), rgb // 16)  # 8 bits as declared


def test_colours_are_unsigned_whatever_pixel_representation_says(rgb):
    np.testing.assert_array_equal(read(dataset(rgb, "RGB", PixelRepresentation=1)), rgb)
    wide = dataset(np.rint(rgb / 255 * 4095).astype(np.uint16), "RGB", BitsStored=12, PixelRepresentation=1)
    np.testing.assert_array_equal(read(wide), rgb)


EMPTY = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction")


@pytest.mark.parametrize(
    "tags",
    [
        dict.fromkeys(EMPTY),
        {"RescaleSlope": None, "RescaleIntercept": 5},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"WindowCenter": 128, "WindowWidth": 0},
        {"WindowCenter": 128, "WindowWidth": -3},
        {"WindowCenter": [128, 128], "WindowWidth": [0, 0]},
        {"WindowCenter": 128, "WindowWidth": None},
        {"WindowCenter": 128},
    ],
    ids=str,
)
def test_display_tags_that_say_nothing_are_left_out(gray, tags):
    np.testing.assert_array_equal(read(dataset(gray, "MONOCHROME2", **tags))[..., 0], gray)


def test_the_first_window_that_shows_something_counts(gray):
    one = dataset(gray, "MONOCHROME2", WindowCenter=100, WindowWidth=80)
    several = dataset(gray, "MONOCHROME2", WindowCenter=[128, 100, 7], WindowWidth=[0, 80, 9])
    np.testing.assert_array_equal(read(several), read(one))
    assert np.ptp(read(one)) == 255


def test_a_window_of_less_than_a_unit(gray):
    made = dataset(gray, "MONOCHROME2", RescaleSlope=1 / 512, RescaleIntercept=0, WindowCenter=0.25, WindowWidth=0.5)
    assert np.abs(read(made)[..., 0] - gray).max() <= 1


def test_a_window_without_width_leaves_gray_of_fewer_bits_than_declared(gray):
    made = dataset(gray.astype(np.uint16), "MONOCHROME2", WindowCenter=128, WindowWidth=0)
    with pytest.raises(ImageError, match="WindowCenter and WindowWidth"):
        read(made)


def without_mark(frame: bytes) -> bytes:
    """A JPEG without its JFIF segment."""
    assert frame[2:4] == b"\xff\xe0"
    return frame[:2] + frame[4 + int.from_bytes(frame[4:6], "big") :]


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2"])
def test_a_jpeg_of_halved_chroma_is_not_rgb(rgb, subsampling):
    frame = without_mark(jpeg(rgb, quality=95, subsampling=subsampling))
    expected = np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")).astype(int)
    for kind in ("RGB", "YBR_FULL_422"):
        made = dataset(rgb, kind, uid.JPEGBaseline8Bit, PixelData=encapsulate([frame]))
        assert np.abs(read(made) - expected).max() <= 2


def test_a_jpeg_of_whole_planes_is_what_the_header_says(rgb):
    frame = without_mark(jpeg(rgb, quality=95, subsampling="4:4:4"))
    planes = np.asarray(Image.open(io.BytesIO(frame)).convert("YCbCr")).astype(int)
    made = dataset(rgb, "RGB", uid.JPEGBaseline8Bit, PixelData=encapsulate([frame]))
    assert np.abs(read(made) - planes).mean() <= 2
