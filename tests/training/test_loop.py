"""A step of training against the same step written out, and what it does to the weights."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from lesions import TINY
from networks import build

import amfzoo
from amfzoo.models.config import BRANCHES
from amfzoo.training import TrainConfig
from amfzoo.training.dataset import PairDataset
from amfzoo.training.device import make_accelerator
from amfzoo.training.draws import StepDraw, epoch_order, label_shares, seed_of, shown
from amfzoo.training.loop import Trainer
from amfzoo.training.loss import PairLoss
from amfzoo.training.targets import class_weights
from amfzoo.training.teachers import Teachers

SIZE = {"size": (64, 64)}


@pytest.fixture(scope="module")
def lesions(data):
    """Sixteen with a second task; some lack an image or a label."""
    several = tuple(
        replace(lesion, labels={**lesion.labels, "shade": ("light", "dark")[number % 3 > 0]})
        for number, lesion in enumerate(data.lesions[:16])
    )
    return replace(data, lesions=several, tasks={**data.tasks, "shade": ("light", "dark")})


def trainer_of(lesions, folder, network=None, **settings) -> Trainer:
    config = TrainConfig(**{**TINY, "workers": 1, **settings})
    if network is None:
        network = amfzoo.create_model(
            "amf_test", tasks=lesions.tasks, clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE
        )
    train = PairDataset(lesions, network.preprocess, scale=1.0, workers=1)
    return Trainer(network, train, config, make_accelerator(config, None, "cpu"), folder, {})


def test_the_loss_of_an_epoch_is_that_of_its_steps_written_out(lesions, tmp_path):
    """With everything at once that a step can have; at a rate of 0, so that the network stays as it is."""
    teacher = build(tasks=lesions.tasks, seed=4).save_pretrained(tmp_path / "teacher")
    settings = {
        "lr": 0.0, "warmup": 0.0, "ema": 0.0, "seed": 3, "epochs": 2, "batch_size": 8, "crop_start": 0.75, "crop_end": 1.0,
        "mixup": 0.6, "modality_dropout": 0.4, "drop_fusion": 0.4, "recompress": 0.5, "auxiliary": 0.3, "focal_gamma": 1.5,
        "label_smoothing": 0.0, "class_weights": "inverse_sqrt", "class_weights_kept": {"colour": 0.5},
        "task_weights": {"shade": 3.0}, "teachers": (f"local-dir:{teacher}",), "distill": 0.4,
    }  # fmt: skip
    network = amfzoo.create_model(
        "amf_test", tasks=lesions.tasks, auxiliary_heads=True, dropout=0.2, clinical_preprocess=SIZE,
        dermoscopy_preprocess=SIZE,
    )  # fmt: skip
    torch.nn.init.normal_(network.fusion.enhance[0].to_out.weight)  # else the fusion block would do nothing
    mine = copy.deepcopy(network).train()
    mine.drop_fusion = 0.4
    trainer = trainer_of(lesions, tmp_path, network, **settings)
    found = trainer.run_epoch()

    train, config = trainer.train, trainer.config
    weights = class_weights(train.targets, train.tasks, "inverse_sqrt")
    loss = PairLoss(weights, {"shade": 3.0}, gamma=1.5, auxiliary=0.3, kept={"colour": 0.5})
    teachers = Teachers(settings["teachers"], mine, torch.device("cpu"))
    expected = []
    for step in range(2):
        draw = StepDraw.make(config, ("clinical", "dermoscopy"), epoch_order(3, 0, 16), 0, step)
        present, partners = shown(train.has[draw.rows], draw.hide), draw.partners

        def mixed(branch: str, pixels: torch.Tensor) -> torch.Tensor:
            plain = train.preprocess[branch]
            own = draw.augmentations[branch].apply(pixels, (48, 48), plain.mean, plain.std)
            # what is hidden is for teachers alone, who see it mixed where the student learns of a mixture
            there = present[partners, BRANCHES.index(branch)] & (present & present[partners]).any(1)
            share = torch.where(there, draw.share, 1.0)[:, None, None, None]
            return share * own + (1 - share) * own[partners]

        pictures = train.pixels(draw.rows)
        stored = {branch: draw.recompressions[branch].apply(x.clone(), 1) for branch, x in pictures.items()}
        assert not torch.equal(stored["clinical"], pictures["clinical"])
        images, seen = ([mixed(branch, x) for branch, x in found.items()] for found in (stored, pictures))
        torch.manual_seed(seed_of("network", 3, 0, step, 0, 0))
        logits = mine(*images, present, auxiliary=True)
        shares = label_shares(draw, present, ("clinical", "dermoscopy"))
        labels = 0.0
        for rows, part in ((draw.rows, shares), (draw.rows[partners], {of: 1 - share for of, share in shares.items()})):
            targets = {task: masks[rows] for task, masks in train.targets.items()}
            labels = labels + loss(logits, targets, present, loss.totals(targets, present), part)
        taught = teachers.probabilities(seen, train.has[draw.rows])  # also what is hidden from the student
        taught = teachers.loss(loss.as_frequent(logits), taught, {"colour": 0.25, "shade": 0.75}) / 8
        expected.append((0.6 * labels + 0.4 * taught).item())
    assert found == pytest.approx(sum(expected) / 2, rel=1e-4)
    assert abs(expected[0] - expected[1]) > 1e-3


def test_the_first_step_has_the_full_clipped_gradient_and_leaves_a_checkpoint_in_time(lesions, tmp_path):
    steps = {"optimizer": "momentum", "lr": 0.5, "weight_decay": 0.0, "warmup": 0.5, "epochs": 2, "batch_size": 16}
    trainer = trainer_of(lesions, tmp_path, ema=0.998, clip_grad=0.1, fusion_lr=1.0, checkpoint_minutes=1e-9, **steps)
    assert (
        trainer.loss.smoothing == 0.05 and trainer.kept.ema.get_decay(10) < 0.9
    )  # a short run must not average in the start
    before = [parameter.detach().clone() for parameter in trainer.network.parameters()]
    trainer.run_epoch()
    moved = [parameter.detach() - old for parameter, old in zip(trainer.network.parameters(), before)]
    assert torch.cat([part.flatten() for part in moved]).norm() == pytest.approx(0.5 * 0.1, rel=1e-2)
    assert (tmp_path / "checkpoint.pt").is_file()
    assert trainer.network.training
    trainer.kept.ema = None
    assert trainer.averaged is trainer.network and not trainer.network.training


def test_activations_are_computed_anew_in_bf16_as_they_were(lesions, tmp_path):
    trainer = trainer_of(lesions, tmp_path, precision="bf16", grad_checkpointing=True, epochs=1, batch_size=16)
    assert 0 < trainer.run_epoch() < 10


def weights_of(network) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def test_the_averaged_weights_are_those_written_out(lesions, tmp_path):
    """Early weights soon count for little, whatever the decay: else a short run would keep those that it started from."""
    few, states = replace(lesions, lesions=lesions.lesions[:6]), []
    trainer = trainer_of(few, tmp_path, ema=0.5, batch_size=2, warmup=0.0)
    trainer.on_step = lambda trainer: states.append(weights_of(trainer.network))
    trainer.run_epoch()
    expected = states[0]
    for step, state in enumerate(states[1:], start=2):
        decay = min(0.5, 1 - step ** (-2 / 3))
        expected = decay * expected + (1 - decay) * state
    assert len(states) == 3 and (states[2] - states[0]).abs().max() > 1e-3  # else agreement would say nothing
    torch.testing.assert_close(weights_of(trainer.averaged), expected, rtol=1e-4, atol=1e-6)


def test_what_teachers_teach_does_not_depend_on_the_parts_of_a_step(lesions, tmp_path):
    """Backbones are frozen, since batch normalisation sees the parts."""
    torch.manual_seed(4)
    plain = amfzoo.create_model("amf_test", tasks=lesions.tasks, clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE)
    teacher = build(tasks=lesions.tasks, seed=4).save_pretrained(tmp_path / "teacher")
    settings = {
        "teachers": (f"local-dir:{teacher}",), "distill": 0.7, "freeze": ("clinical", "dermoscopy"), "optimizer": "momentum",
        "lr": 0.1, "warmup": 0.0, "ema": 0.0,
    }  # fmt: skip
    few, losses, weights = replace(lesions, lesions=lesions.lesions[:8]), [], [weights_of(plain)]
    for accumulate in (1, 2):
        trainer = trainer_of(few, tmp_path, copy.deepcopy(plain), accumulate=accumulate, **settings)
        losses.append(trainer.run_epoch())
        weights.append(weights_of(trainer.network))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert (weights[1] - weights[0]).abs().max() > 1e-3  # else agreement would say nothing
    torch.testing.assert_close(weights[2], weights[1], rtol=1e-4, atol=1e-6)


def test_teachers_see_no_mixture_where_the_student_learns_of_one_lesion(lesions, tmp_path):
    """Nor in the image that is hidden from the student, which its partner may be shown."""
    trainer = trainer_of(lesions, tmp_path, mixup=1.0, modality_dropout=0.5, batch_size=16)
    (draw,) = trainer._draws(0)
    _, (part,) = trainer._load(draw)
    present = shown(trainer.train.has[draw.rows], draw.hide)
    alone = label_shares(draw, present, BRANCHES)[""] == 1
    assert 0 < alone.sum() < 16
    for column, branch in enumerate(BRANCHES):
        plain = trainer.train.preprocess[branch]
        own = draw.augmentations[branch].apply(part.pixels[branch], (64, 64), plain.mean, plain.std)
        seen = trainer._images(branch, part, draw, present, 0)
        assert (alone & present[draw.partners, column]).any()  # who could be mixed with
        torch.testing.assert_close(seen[alone], own[alone])
        assert not torch.allclose(seen, own)
