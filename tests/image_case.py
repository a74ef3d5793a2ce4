"""What the tests of images share."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, features

from amfzoo.images import read_image


def rgb_pixels(source) -> np.ndarray:
    """(H, W, 3) int of what `read_image` makes of a source, which carries nothing but pixels."""
    image = read_image(source)
    assert image.mode == "RGB" and type(image) is Image.Image and not image.info
    return np.asarray(image).astype(int)


AVIF = pytest.param("AVIF", marks=pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF"))
