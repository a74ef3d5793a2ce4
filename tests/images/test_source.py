"""Hints for what is nearly an image: another spelling of the name, an asynchronous file, many images at once."""

from __future__ import annotations

import os
import subprocess
import sys
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


IN_ASCII = """
from amfzoo.images import read_image
for source in ("l\\xe4sion.png", "lesion.png", "\\xff\\xd8\\xff\\xe0\\0\\x10JFIF"):
    try:
        read_image(source)
        print("read")
    except ValueError as error:
        print(ascii(str(error)))
"""


@pytest.mark.skipif(os.name != "posix", reason="elsewhere names of files are not in the locale's encoding")
def test_a_name_that_the_file_system_encoding_cannot_write_is_not_called_missing(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "lesion.png")
    (tmp_path / "läsion.png").write_bytes((tmp_path / "lesion.png").read_bytes())
    environment = {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", IN_ASCII]
    done = subprocess.run(command, env={**os.environ, **environment}, cwd=tmp_path, capture_output=True, text=True)
    beyond, plain, content = done.stdout.splitlines()
    if beyond == plain == "read":
        pytest.skip("the C locale writes every name here")
    assert "cannot write that name in its file-system encoding (ascii); set PYTHONUTF8=1" in beyond
    assert plain == "read" and "must be passed as bytes, not as text" in content


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
