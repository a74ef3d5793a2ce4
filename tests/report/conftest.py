"""A network and pictures for the tests of the pages."""

from __future__ import annotations

import pytest
from cli_case import FEW_PIXELS, pictures, tiny_model


@pytest.fixture(scope="session")
def network():
    return tiny_model(**FEW_PIXELS)


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path
