"""Pictures stored once more by a lossy encoder."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from amfzoo import create_model
from amfzoo.errors import ConfigError
from amfzoo.training import TrainConfig, finetune
from amfzoo.training.draws import StepDraw, epoch_order, generator
from amfzoo.training.recompress import BEST, WORST, Recompression


def _pixels(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 24, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("workers", [1, 3])
def test_only_those_drawn_are_stored_again_as_the_encoder_would(workers):
    before = _pixels(4)
    draw = Recompression(torch.tensor([0, 60, 0, 85]), torch.tensor([True, True, False, False]))
    after = draw.apply(before.clone(), workers)
    for row, kind in ((1, "WEBP"), (3, "JPEG")):
        file = io.BytesIO()
        Image.fromarray(before[row].numpy()).save(file, kind, quality=int(draw.quality[row]))
        assert (after[row].numpy() == np.asarray(Image.open(file).convert("RGB"))).all()
        assert not torch.equal(after[row], before[row])
    assert torch.equal(after[[0, 2]], before[[0, 2]])


def test_the_share_and_the_kinds_are_as_asked():
    draw = Recompression.draw(0.3, 2000, generator("share"))
    chosen = draw.quality > 0
    assert 0.26 < chosen.float().mean() < 0.34 and 0.4 < draw.webp[chosen].float().mean() < 0.6
    assert draw.quality[chosen].min() >= WORST and draw.quality.max() <= BEST
    part = draw.rows(torch.tensor([5, 3]))
    assert part.quality.tolist() == draw.quality[[5, 3]].tolist() and part.webp.tolist() == draw.webp[[5, 3]].tolist()


def test_what_else_is_drawn_stays_the_same():
    order = epoch_order(0, 0, 20)
    plain, stored = (
        StepDraw.make(TrainConfig(batch_size=8, recompress=share), ("dermoscopy",), order, 0, 1) for share in (0.0, 1.0)
    )
    assert not plain.recompressions and (stored.recompressions["dermoscopy"].quality > 0).all()
    assert torch.equal(plain.augmentations["dermoscopy"].geometry, stored.augmentations["dermoscopy"].geometry)
    assert torch.equal(plain.rows, stored.rows) and torch.equal(plain.hide, stored.hide)


@pytest.mark.slow
def test_a_run_is_the_same_however_many_threads_there_are(data, tiny, tmp_path):
    def loss(name: str, **settings) -> float:
        settings = {**tiny, "epochs": 1, "recompress": 0.7, "mixup": 0.4, **settings}
        run = finetune("amf_test", data, out=tmp_path / name, device="cpu", progress=False, **settings)
        return run.history[0]["train_loss"]

    assert loss("one", workers=1) == pytest.approx(loss("three", workers=3), rel=1e-6)
    assert abs(loss("one again", workers=1) - loss("without", recompress=0.0)) > 1e-4


@pytest.mark.slow
def test_teachers_see_the_pictures_as_they_are(data, tiny, tmp_path):
    """Who is taught by itself has something to learn from pictures that are stored again, and nothing from others."""
    torch.manual_seed(3)
    network = create_model("amf_test", tasks=data.tasks)
    with torch.no_grad():
        network.heads["colour"].weight.mul_(100)  # answers that hang on the picture
    network.mark_untrained(())
    itself = f"local-dir:{network.save_pretrained(tmp_path / 'itself')}"

    def loss(share: float) -> float:
        settings = {
            **tiny, "epochs": 1, "recompress": share, "mixup": 0.4, "modality_dropout": 0.0, "freeze": "statistics",
            "teachers": itself, "distill": 1.0, "lr": 0.0,
        }  # fmt: skip
        run = finetune(itself, data, out=tmp_path / f"{share}", device="cpu", progress=False, **settings)
        return run.history[0]["train_loss"]

    assert loss(0.0) == pytest.approx(0.0, abs=1e-6)
    assert loss(1.0) > 1e-3


@pytest.mark.parametrize("share", [-0.1, 1.5, "often"])
def test_a_share_that_is_none_is_a_config_error(share):
    with pytest.raises(ConfigError, match="recompress"):
        TrainConfig(recompress=share)
