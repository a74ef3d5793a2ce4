"""Maps land where the network looked: checked against `Preprocess` itself, not against its formulas."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from amfzoo import Preprocess
from amfzoo.explain.placement import Placement

SIZES = [(300, 200), (200, 300), (96, 96), (1000, 250)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("border", [0.0, 0.1])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_a_spot_comes_back_to_where_it_was(fit, border, size):
    """Cells made from the preprocessed picture, spread over the picture, peak at the spot."""
    preprocess = Preprocess(size=(128, 192), fit=fit, border=border, filter="box")
    middle = np.array(size) / 2
    spot = middle + np.array((0.15, -0.2)) * min(size)
    radius = 0.08 * min(size)
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.where(np.hypot(x - spot[0], y - spot[1]) < radius, 255, 0).astype(np.uint8)
    seen = preprocess.resized(np.repeat(pixels[..., None], 3, axis=2))[..., 0] / 255
    cells = seen.reshape(32, 4, 48, 4).mean((1, 3))
    spread = Placement.of(preprocess, size).to_picture(cells)
    assert spread.shape == (size[1], size[0]) and spread.dtype == np.float32
    found = np.array([(spread * x).sum(), (spread * y).sum()]) / spread.sum()
    np.testing.assert_allclose(found, spot, atol=max(1.0, 0.02 * min(size)))


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_what_was_cut_off_is_zero_and_the_rest_is_not(fit):
    preprocess = Preprocess(size=(64, 64), fit=fit, border=0.1)
    size = (400, 200)
    coordinates = np.zeros((200, 400, 3), np.uint8)
    coordinates[..., 0] = np.linspace(0, 255, 400)[None]
    seen = preprocess.resized(coordinates)[32, :, 0]
    placement = Placement.of(preprocess, size)
    spread = placement.to_picture(np.ones((8, 8)))
    left, right = np.flatnonzero(spread[100])[[0, -1]]
    visible = seen[seen > 0]  # black is padding, or the first columns
    assert abs(left / 400 * 255 - visible.min()) < 6 and abs(right / 400 * 255 - visible.max()) < 6
    assert not spread[:19].any() and not spread[-19:].any() and spread[21:-21, left : right + 1].all()


def test_a_smaller_result_shows_the_same():
    placement = Placement.of(Preprocess(size=(64, 64), fit="crop"), (400, 200))
    cells = np.random.default_rng(0).random((4, 4))
    whole = placement.to_picture(cells)
    small = np.asarray(Image.fromarray(whole).resize((100, 50), Image.Resampling.BOX))
    assert np.abs(placement.to_picture(cells, (100, 50)) - small).mean() < 0.01


def test_the_cell_under_a_point():
    placement = Placement.of(Preprocess(size=(64, 64), fit="crop"), (400, 200))  # sees x from 100 to 300
    assert placement.cell(101, 1, (4, 4)) == (0, 0)
    assert placement.cell(299, 199, (4, 4)) == (3, 3)
    assert placement.cell(160, 60, (4, 4)) == (1, 1)
    assert placement.cell(300, 200, (4, 4)) == (3, 3)
    assert placement.cell(99, 100, (4, 4)) is None and placement.cell(301, 100, (4, 4)) is None
