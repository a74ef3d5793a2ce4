"""What the tests of runtimes and exports share: pairs, and what is not installed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from amfzoo.runtimes import RUNTIMES


def needs(name: str, precision: str = "fp32") -> None:
    """Skip the test where a runtime, or what a format is computed by, is not installed."""
    reason = RUNTIMES[name].refusal("cpu", precision) if name in RUNTIMES else None
    if reason:
        pytest.skip(f"{name}: {reason}")


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((90, 70)))


PAIRS = [(picture(0), picture(10)), (picture(1), None), (None, picture(12)), (picture(3), picture(13))]
