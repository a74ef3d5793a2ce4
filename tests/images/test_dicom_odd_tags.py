"""DICOM files whose tags do not fit their pixels: read as the pixels are, or refused with the tag's name."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_case import dataset, encoded
from PIL import Image
from pydicom.dataset import Dataset

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
