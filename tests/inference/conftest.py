"""What the tests of bulk prediction share."""

from __future__ import annotations

import pytest
from cli_case import pictures, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path
