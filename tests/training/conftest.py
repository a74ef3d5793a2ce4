"""Lesions whose class is plain to see, as small PNG files, and settings for runs of a second."""

from __future__ import annotations

import pytest
from lesions import TINY, squares

from amfzoo.training import TrainConfig


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """48 lesions; some lack an image, some the label, some have two lesions per patient."""
    return squares(tmp_path_factory.mktemp("squares"), 48)


@pytest.fixture
def tiny() -> dict:
    return dict(TINY)


@pytest.fixture
def config(tiny) -> TrainConfig:
    return TrainConfig(**tiny)
