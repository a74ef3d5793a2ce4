"""What training leaves as it is: frozen parts, and branches that see no image."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from lesions import TINY
from networks import build

from amfzoo.errors import ConfigError
from amfzoo.training import TrainConfig
from amfzoo.training.dataset import PairDataset
from amfzoo.training.device import make_accelerator
from amfzoo.training.loop import Trainer

SIZE = {"clinical_preprocess": {"size": (64, 64)}, "dermoscopy_preprocess": {"size": (64, 64)}}


def trained(data, clinical: int, folder, *, network=None, **settings) -> Trainer:
    """One step of eight lesions, `clinical` of which have that image."""
    both = [lesion for lesion in data if len(lesion.images) == 2 and isinstance(lesion.labels.get("colour"), str)][:8]
    few = [one if number < clinical else replace(one, clinical=None) for number, one in enumerate(both)]
    config = TrainConfig(**{**TINY, "epochs": 1, "warmup": 0.0, "modality_dropout": 0.0, "workers": 1, **settings})
    network = network or build(tasks=data.tasks, **SIZE)
    train = PairDataset(replace(data, lesions=tuple(few)), network.preprocess, workers=1)
    trainer = Trainer(network, train, config, make_accelerator(config, None, "cpu"), folder, {})
    trainer.run_epoch()
    return trainer


def counted(module: torch.nn.Module) -> set[int]:
    """Batches in the statistics of batch normalisation."""
    return {int(value) for name, value in module.named_buffers() if name.endswith("num_batches_tracked")}


def test_a_part_without_an_image_of_a_branch_does_not_enter_its_statistics(data, tmp_path):
    """Nor where activations are computed anew in the backward pass, which torch counts once more."""
    network = trained(data, 1, tmp_path, accumulate=4, ema=0.0, grad_checkpointing=True).network
    assert max(counted(network.branches["clinical"])) == 2 and max(counted(network.branches["dermoscopy"])) == 8
    assert all(module.training for module in network.branches["dermoscopy"].modules())


def test_a_branch_that_no_lesion_has_an_image_for_keeps_what_it_knows(data, tmp_path, caplog):
    network = build(tasks=data.tasks, **SIZE)
    parts = torch.nn.ModuleList([network.branches["clinical"], network.fusion])
    before = {name: value.clone() for name, value in parts.state_dict().items()}
    trained(data, 0, tmp_path, network=network, lr=0.1, weight_decay=0.9)
    assert all(torch.equal(value, before[name]) for name, value in parts.state_dict().items())
    assert "no training lesion has a clinical image" in caplog.text


def test_the_branches_own_heads_learn_where_those_of_the_pair_are_frozen(data, tmp_path):
    """They are new, so that frozen they would teach the branches noise; alone they are no reason to train."""
    network = build(tasks=data.tasks, auxiliary_heads=True, **SIZE)
    heads, own = (
        {name: value.clone() for name, value in part.state_dict().items()}
        for part in (network.heads, network.auxiliary)
    )
    trained(data, 8, tmp_path, network=network, freeze="heads")
    assert all(torch.equal(value, heads[name]) for name, value in network.heads.state_dict().items())
    assert not any(torch.equal(value, own[name]) for name, value in network.auxiliary.state_dict().items())
    with pytest.raises(ConfigError, match="nothing is left to train"):
        trained(data, 8, tmp_path, network=network, freeze=("clinical", "dermoscopy", "fusion", "heads"))
