"""The numbers of a thumbnail: what may change them and what may not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from amfzoo.data.synthetic import draw_pair, random_findings
from amfzoo.guards.features import DARKEST, LIGHT_HIGH, LIGHT_LOW, LIGHTEST, SIDE, describe, thumbnail, within_frame


@pytest.fixture(scope="module")
def lesion() -> Image.Image:
    return draw_pair(random_findings(3), seed=3, size=(600, 450)).dermoscopy


def test_a_thumbnail_is_square_whatever_the_picture(lesion):
    for size in ((600, 450), (16, 900), (2000, 1000), (SIDE, SIDE)):
        thumb = thumbnail(lesion.resize(size))
        assert thumb.shape == (SIDE, SIDE, 3) and thumb.dtype == np.uint8


def test_turning_and_mirroring_change_nothing(lesion):
    thumb = thumbnail(lesion)
    turned = np.stack([thumb, np.rot90(thumb), thumb[::-1], thumb[:, ::-1], thumb.transpose(1, 0, 2)])
    expected, *found = describe(turned)
    for numbers in found:
        assert numbers == pytest.approx(expected, abs=2e-3)


def test_lightness_is_where_its_places_say(lesion):
    thumb = thumbnail(lesion)
    light = thumb.reshape(SIDE // 2, 2, SIDE // 2, 2, 3).mean((1, 3, 4)) / 255
    found = describe(thumb[None])[0, [DARKEST, LIGHT_LOW, LIGHT_HIGH, LIGHTEST]]
    assert found == pytest.approx(np.percentile(light, (1, 25, 75, 99), method="lower"), abs=1e-5)


def test_detail_at_the_finest_scale_is_its_root_mean_square():
    random = np.random.default_rng(0)
    light = random.integers(0, 256, (SIDE, SIDE))
    blocks = (light / 255).reshape(SIDE // 2, 2, SIDE // 2, 2).transpose(0, 2, 1, 3).reshape(-1, 4)
    found = describe(np.repeat(light[..., None], 3, 2).astype(np.uint8)[None])[0, 0]
    assert np.exp(found) == pytest.approx(blocks.std(1).mean(), rel=0.01)


def test_numbers_are_finite_for_extreme_pictures():
    line = np.zeros((SIDE, SIDE, 3), np.uint8)
    line[:, 64] = 255
    board = np.indices((SIDE, SIDE)).sum(0) % 2 * 255
    for thumb in (line, np.full_like(line, 255), line * 0, np.repeat(board[..., None], 3, 2).astype(np.uint8)):
        assert np.isfinite(describe(thumb[None])).all()


def test_several_at_once_are_each_as_alone():
    thumbs = np.stack([thumbnail(draw_pair(random_findings(seed), seed=seed).clinical) for seed in range(3)])
    for alone, found in zip(thumbs, describe(thumbs)):
        assert found == pytest.approx(describe(alone[None])[0], abs=1e-5)


def test_a_thumbnail_is_pillows(lesion):
    expected = np.asarray(lesion.resize((SIDE, SIDE), Image.Resampling.BILINEAR)).astype(int)
    off = np.abs(thumbnail(lesion) - expected)
    assert off.max() <= 2 and (off > 0).mean() < 0.02


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (114, 114, 114)])
@pytest.mark.parametrize("border", [(0, 75), (40, 0), (30, 30), (0, 500)])
def test_a_frame_is_left_out(lesion, colour, border):
    framed = ImageOps.expand(lesion, border, colour)
    file = io.BytesIO()
    framed.save(file, "JPEG", quality=90)
    expected = thumbnail(lesion).astype(int)
    assert np.abs(thumbnail(framed) - expected).max() == 0
    assert np.abs(thumbnail(Image.open(file)) - expected).mean() < 4  # some rows of blurred frame stay
    assert np.abs(np.asarray(framed.resize((SIDE, SIDE))) - expected).mean() > 4


def test_what_is_bright_or_plain_itself_is_no_frame(lesion):
    pixels = np.asarray(lesion)
    rows, columns = np.indices(pixels.shape[:2])
    inside = (rows - 225) ** 2 / 200**2 + (
        columns - 300
    ) ** 2 / 290**2 < 1  # as of a lamp that leaves the rest too bright
    for picture in (np.full_like(pixels, 200), np.where(inside[..., None], pixels, 255).astype(np.uint8)):
        assert within_frame(picture).shape == picture.shape
    thin = np.full_like(pixels, 255)
    thin[220:230] = pixels[220:230]  # a line is no picture in a frame
    assert within_frame(thin).shape == thin.shape


def test_a_small_picture_whose_last_rows_differ_a_little_is_no_error():
    pixels = np.full((16, 40, 3), 100, np.uint8)
    pixels[12:, 10:30] = 110  # more than the first row's colour may, less than would be no frame at its corners
    pixels[15] = 104
    pixels[15, 10:30] = 109
    assert within_frame(pixels).shape == (16, 40, 3)
