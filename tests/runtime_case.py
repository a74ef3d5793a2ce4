"""What the tests of runtimes and exports share: pairs, and what is not installed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from amfzoo import Prediction
from amfzoo.runtimes import RUNTIMES

TOLERANCE = 1e-3


def needs(name: str, precision: str = "fp32") -> None:
    """Skip the test where a runtime, or what a format is computed by, is not installed."""
    reason = RUNTIMES[name].refusal("cpu", precision) if name in RUNTIMES else None
    if reason:
        pytest.skip(f"{name}: {reason}")


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((90, 70)))


PAIRS = [(picture(0), picture(10)), (picture(1), None), (None, picture(12)), (picture(3), picture(13))]


def assert_same(found: list[Prediction], expected: list[Prediction]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        assert (one.missing, one.model, one.sets.keys()) == (other.missing, other.model, other.sets.keys())
        assert list(one.probabilities) == list(other.probabilities)
        for task, row in other.probabilities.items():
            assert dict(one.probabilities[task]) == pytest.approx(dict(row), abs=TOLERANCE)
