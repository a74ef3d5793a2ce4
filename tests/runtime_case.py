"""What the tests of runtimes share: pairs, and what is not installed."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from amfzoo.runtimes import RUNTIMES


def needs(name: str) -> None:
    reason = RUNTIMES[name].refusal("cpu", "fp32")
    if reason:
        pytest.skip(f"runtime {name}: {reason}")


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((90, 70)))


PAIRS = [(picture(0), picture(10)), (picture(1), None), (None, picture(12)), (picture(3), picture(13))]
