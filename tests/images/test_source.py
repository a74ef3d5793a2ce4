"""Hints for what is nearly an image: another spelling of the name, an asynchronous file, many images at once."""

from __future__ import annotations

import unicodedata
import warnings

import numpy as np
import pytest
from PIL import Image

from amfzoo.errors import ImageError
from amfzoo.images import read_image


@pytest.mark.parametrize(
    "there, asked",
    [
        ("001_C.JPG", "001_c.jpg"),
        (unicodedata.normalize("NFD", "Läsion.png"), unicodedata.normalize("NFC", "läsion.png")),
    ],
)
def test_a_name_that_differs_by_case_or_by_the_form_of_its_accents(tmp_path, there, asked):
    Image.new("RGB", (32, 32)).save(tmp_path / there)
    if (tmp_path / asked).exists():
        pytest.skip("this file system takes the two names for one")
    with pytest.raises(ImageError, match="no such file.*differs by case or by the form of its accents") as caught:
        read_image(tmp_path / asked)
    assert repr(there) in str(caught.value)
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / "other.jpg")
    assert "which differs" not in str(caught.value)


def test_an_asynchronous_file_is_awaited_by_whoever_has_it():
    class Upload:
        async def read(self, size=-1):
            return b""

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as that a coroutine was never awaited
        with pytest.raises(ImageError, match=r"asynchronous.*await file.read\(\)"):
            read_image(Upload())


@pytest.mark.parametrize("many", [np.array(["a.jpg"]), np.array([None]), (name for name in "ab"), {"a": 1}.keys()])
def test_of_many_images_a_list_is_wanted(many):
    with pytest.raises(ImageError, match="of many images pass a list"):
        read_image(many)
