"""Quick resizing: nearly Pillow's pixels, and Pillow itself where torch has no equal."""

from __future__ import annotations

import numpy as np
import pytest

from amfzoo import Preprocess
from amfzoo.data.synthetic import draw_pair, random_findings
from amfzoo.images.quick import quick


@pytest.fixture(scope="module")
def picture():
    return draw_pair(random_findings(3), seed=3, size=(600, 450)).dermoscopy


@pytest.mark.parametrize("filter", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(341, 256), (1500, 900), (100, 80)])  # a little, much, and larger
def test_nearly_all_pixels_are_pillows(picture, filter, size):
    picture = picture.resize(size)
    exact = Preprocess(size=(224, 192), filter=filter, mean=(0, 0, 0), std=(1 / 255,) * 3)
    apart = np.abs(quick(exact).fitted(picture) - exact.fitted(picture))
    assert apart.shape == (3, 224, 192)
    assert apart.max() < 2.5 and (apart > 0.5).mean() < 0.02


@pytest.mark.parametrize(
    "settings", [{"fit": "crop"}, {"fit": "pad"}, {"border": 0.05}, {"filter": "lanczos"}, {"filter": "nearest"}]
)
def test_all_else_is_pillows(picture, settings):
    exact = Preprocess(size=(64, 64), **settings)
    assert np.array_equal(quick(exact).fitted(picture), exact.fitted(picture))


def test_settings_stay(picture):
    exact = Preprocess(size=(64, 48), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    assert quick(exact).to_dict() == exact.to_dict()
    low = picture.resize((48, 64))  # nothing is resized, so nothing may differ
    assert quick(exact).fitted(low) == pytest.approx(exact.fitted(low), abs=1e-6)
