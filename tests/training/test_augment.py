"""Augmentation and the draws of a step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from amfzoo.images import Preprocess
from amfzoo.training import TrainConfig
from amfzoo.training.augment import Augmentation
from amfzoo.training.draws import StepDraw, epoch_order, generator, label_share, shown

STILL = {
    "flip": False, "rotate": 0, "zoom": 1, "shift": 0, "stretch": 0, "light": 0, "contrast": 0, "saturation": 0, "channel_gain": 0,
}  # fmt: skip
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def _pixels(count: int = 3, height: int = 24, width: int = 32) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(3)
    )


def _apply(pixels: torch.Tensor, seed: int = 0, size=None, **settings) -> torch.Tensor:
    draw = Augmentation.draw(TrainConfig(**{**STILL, **settings}), len(pixels), generator(seed))
    return draw.apply(pixels, size or tuple(pixels.shape[1:3]), MEAN, STD)


def _plain(pixels: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(Preprocess(size=(24, 32), mean=MEAN, std=STD).normalise(pixels.numpy()))


def test_without_changes_it_is_the_networks_own_normalisation():
    torch.testing.assert_close(_apply(_pixels()), _plain(_pixels()), atol=1e-4, rtol=0)


def test_flips_are_mirror_images_and_happen_about_half_of_the_time():
    pixels = _pixels(64)
    plain = _plain(pixels)
    same = [torch.allclose(a, b, atol=1e-3) for a, b in zip(_apply(pixels, flip=True), plain)]
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-3) for a, b in zip(_apply(pixels, flip=True), plain)]
    assert all(a != b for a, b in zip(same, mirrored)) and 20 < sum(mirrored) < 44


def test_geometry_and_gains_are_as_asked():
    def draw(**settings) -> Augmentation:
        return Augmentation.draw(TrainConfig(**{**STILL, **settings}), 300, generator("as asked"))

    turned = draw(rotate=30.0, flip=True).geometry[:, :, :2]
    torch.testing.assert_close(turned.transpose(1, 2) @ turned, torch.eye(2).expand(300, 2, 2))  # nothing is sheared
    angles = torch.atan2(-turned[:, 0, 1], turned[:, 1, 1]).rad2deg()
    assert 28 < angles.abs().max() <= 30.001 and angles.mean().abs() < 4
    stretched = draw(stretch=0.3).geometry[:, :, :2]
    torch.testing.assert_close(stretched.det(), torch.ones(300))  # wider, and as much lower
    assert 0.28 < stretched[:, 0, 0].log().abs().max() <= 0.3001
    sides = draw(zoom=0.6).geometry[:, 0, 0]  # share of the picture's side that is shown
    assert 0.6 <= sides.min() < 0.62 and 0.98 < sides.max() <= 1
    shift = draw(shift=0.2).geometry[:, :, 2]
    assert 0.18 < shift.abs().max() <= 0.2 and torch.corrcoef(shift.T)[0, 1].abs() < 0.2
    light, gains = draw(light=0.3).gain, draw(channel_gain=0.1).gain
    assert torch.equal(light[:, :1].expand(300, 3), light) and 0.28 < (light - 1).abs().max() <= 0.3001
    assert torch.corrcoef(gains.T)[0, 1:].abs().max() < 0.2 and 0.09 < (gains - 1).abs().max() <= 0.1001


def test_beyond_the_picture_it_is_mirrored_not_black():
    grey = torch.full((8, 24, 32, 3), 100, dtype=torch.uint8)
    torch.testing.assert_close(_apply(grey, rotate=180, shift=0.9), _plain(grey), atol=1e-4, rtol=0)


def test_a_rotation_keeps_shapes_in_pixels_also_on_oblong_pictures():
    pixels = torch.zeros(1, 40, 80, 3, dtype=torch.uint8)
    pixels[0, 15:25, 35:45] = 255  # a square in the middle
    draw = Augmentation(torch.tensor([[[0.0, -1, 0], [1, 0, 0]]]), torch.eye(3)[None], torch.ones(1), torch.ones(1, 3))
    turned = draw.apply(pixels, (40, 80), (0, 0, 0), (1, 1, 1))
    middle = slice(20, 60)  # beyond it the picture is mirrored
    torch.testing.assert_close(turned[0, 0, :, middle], pixels[0, :, middle, 0].float() / 255, atol=1e-3, rtol=0)


def test_colour_follows_the_formula_of_its_steps():
    pixels, config = (
        _pixels(),
        TrainConfig(**{**STILL, "light": 0.3, "contrast": 0.3, "saturation": 0.5, "channel_gain": 0.1}),
    )
    draw = Augmentation.draw(config, 3, generator("colour"))
    x = pixels.permute(0, 3, 1, 2).float() / 255
    saturation = (draw.colour[:, 0, 0] - draw.colour[:, 0, 1]).view(-1, 1, 1, 1)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * saturation
    mean = x.mean((1, 2, 3), keepdim=True)
    x = (mean + (x - mean) * draw.contrast.view(-1, 1, 1, 1)) * draw.gain[:, :, None, None]
    expected = (x.clamp(0, 1) - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(draw.apply(pixels, (24, 32), MEAN, STD), expected, atol=1e-4, rtol=0)
    assert (draw.gain - 1).abs().max() > 0.05 and (draw.contrast - 1).abs().max() > 0.02


def test_values_stay_those_of_pictures_and_sizes_are_as_asked():
    out = _apply(_pixels(), size=(16, 48), light=0.9, contrast=0.9, rotate=180, zoom=0.3, stretch=0.5, shift=0.5)
    assert out.shape == (3, 3, 16, 48)
    for channel, (mean, std) in enumerate(zip(MEAN, STD)):
        assert -mean / std - 1e-5 <= out[:, channel].min() and out[:, channel].max() <= (1 - mean) / std + 1e-5


def test_a_slice_of_a_draw_is_the_draw_of_the_slice():
    draw = Augmentation.draw(TrainConfig(), 3, generator(1))
    whole = draw.apply(_pixels(), (24, 32), MEAN, STD)
    parts = [draw.rows(rows).apply(_pixels()[rows], (24, 32), MEAN, STD) for rows in (slice(0, 1), slice(1, 3))]
    torch.testing.assert_close(torch.cat(parts), whole)


def _draw(epoch: int = 2, step: int = 1, **settings) -> StepDraw:
    config = TrainConfig(**{"batch_size": 8, "modality_dropout": 0.3, **settings})
    return StepDraw.make(config, ("clinical", "dermoscopy"), epoch_order(config.seed, epoch, 20), epoch, step)


def test_draws_depend_on_seed_epoch_and_step_and_on_nothing_else():
    torch.manual_seed(1)
    first = _draw(mixup=0.4, recompress=0.5)
    torch.manual_seed(2)
    again = _draw(mixup=0.4, recompress=0.5)
    assert (
        torch.equal(first.rows, again.rows)
        and torch.equal(first.hide, again.hide)
        and torch.equal(first.share, again.share)
    )
    assert all(
        torch.equal(first.augmentations[b].geometry, again.augmentations[b].geometry) for b in first.augmentations
    )
    for change in ({"epoch": 3}, {"step": 0}, {"seed": 1}):
        other = _draw(**change, mixup=0.4, recompress=0.5)
        assert not torch.equal(first.rows, other.rows) and not torch.equal(first.share, other.share)
        assert not torch.equal(first.recompressions["clinical"].quality, other.recompressions["clinical"].quality)
        assert not torch.equal(first.hide, other.hide)
        assert not torch.equal(first.augmentations["clinical"].geometry, other.augmentations["clinical"].geometry)
    assert not torch.equal(first.augmentations["clinical"].geometry, first.augmentations["dermoscopy"].geometry)


def test_an_epoch_visits_each_lesion_at_most_once():
    rows = torch.cat([_draw(step=step).rows for step in range(2)])
    assert len(rows) == 16 == len(rows.unique())


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5])
def test_modality_dropout_hides_each_image_as_often_as_asked_and_never_the_only_one(p):
    hide = torch.cat([_draw(step=0, modality_dropout=p, batch_size=20, seed=seed).hide for seed in range(60)])
    assert not hide.all(1).any()
    torch.testing.assert_close(hide.float().mean(0), torch.full((2,), p), atol=0.05, rtol=0)
    has = torch.tensor([[True, False], [False, True], [True, True], [False, False]]).repeat(300, 1)
    seen = shown(has, hide)
    assert torch.equal(seen.any(1), has.any(1)) and not (seen & ~has).any()


def test_lesions_are_mixed_with_others_as_much_as_they_are_kept():
    draws = [_draw(step=0, mixup=0.4, batch_size=20, seed=seed) for seed in range(30)]
    assert all((draw.partners != torch.arange(20)).all() for draw in draws)
    assert torch.cat([draw.share for draw in draws]).mean() == pytest.approx(0.5, abs=0.06)


def test_a_lesion_keeps_its_label_where_nothing_of_it_is_mixed():
    draw = replace(_draw(mixup=0.4), partners=torch.tensor([1, 0, 3, 2]), share=torch.tensor([0.7, 0.6, 0.9, 0.8]))
    present = torch.tensor([[True, False], [False, True], [True, True], [False, True]])
    assert label_share(draw, present, ["clinical", "dermoscopy"]).tolist() == pytest.approx([1, 1, 0.9, 0.8])
    assert label_share(draw, present, ["clinical"]).tolist() == [1, 1, 1, 1]
