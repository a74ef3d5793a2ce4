"""A folder holds a config and tensors: a network that is more than its config is refused, not saved as another one."""

from __future__ import annotations

import pytest
import timm
import torch
from networks import TASKS, build, pair, settle

from amfzoo import ConfigError, PairNetwork
from amfzoo.models.folding import fold_norms


class Flipped(PairNetwork):
    def _forward_features(self, *args, **more):
        return -super()._forward_features(*args, **more)


class Talkative(PairNetwork):
    """Adds nothing that counts."""

    def hello(self):
        return "hello"


class Gate(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.open = torch.nn.Parameter(torch.ones(1))

    def forward(self, clinical, dermoscopy):
        return [found * self.open for found in dermoscopy]


def with_gate(network):
    network.fusion = Gate()
    return network


class Called(PairNetwork):
    def __call__(self, *args, **more):
        return {task: 2 * logits for task, logits in super().__call__(*args, **more).items()}


class Headed(PairNetwork):
    def forward_head(self, *args, **more):
        return super().forward_head(*args, **more)


class Pooled(PairNetwork):
    def _pooled_branches(self):
        return ("dermoscopy",)


def with_head(network):
    network.heads["diagnosis"] = torch.nn.Linear(network.num_features, 7)
    return network


def with_relu(network):
    network.fusion.add_module("late", torch.nn.ReLU())
    return network


def without_dropout(network):
    del network.dropout
    return network


def folded(network):
    assert fold_norms(network)
    return network


OWN = {
    "method": (lambda: Flipped(build(tasks=TASKS).config), "Flipped._forward_features"),
    "calls": (lambda: Called(build(tasks=TASKS).config), "Called.__call__"),
    "heads": (lambda: Headed(build(tasks=TASKS).config), "Headed.forward_head"),
    "pools": (lambda: Pooled(build(tasks=TASKS).config), "Pooled._pooled_branches"),
    "classes": (lambda: with_head(build(tasks=TASKS)), r"heads\.diagnosis"),
    "longer": (lambda: with_relu(build(tasks=TASKS)), r"fusion\.late"),
    "gone": (lambda: without_dropout(build(tasks=TASKS)), "dropout"),
    "part": (lambda: with_gate(build(tasks=TASKS)), "fusion"),
    "folded": (lambda: folded(build(tasks=TASKS).eval()), "is not what|are not what"),
}


@pytest.mark.parametrize("kind", OWN)
def test_what_no_config_tells_of_is_not_saved(kind, tmp_path):
    make, words = OWN[kind]
    with pytest.raises(ConfigError, match=words):
        make().save_pretrained(tmp_path / "model")
    assert not any(tmp_path.iterdir())


def test_saving_draws_no_random_numbers(tmp_path):
    network = build("amf_swin", tasks=TASKS)  # whose values timm draws by itself
    before = torch.get_rng_state()
    network.save_pretrained(tmp_path / "model")
    assert torch.equal(torch.get_rng_state(), before)


def test_a_class_that_only_adds_is_saved_and_loaded(tmp_path):
    network = Talkative(build(tasks=TASKS).config).eval()
    folder = network.save_pretrained(tmp_path / "model")
    again = Talkative.from_pretrained(folder)
    assert again.hello() == "hello"
    for task, values in network(*pair()).items():
        torch.testing.assert_close(again(*pair())[task], values)


def shared(network):
    return timm.layers.convert_sync_batchnorm(network)


def with_loss(network):
    network.loss = torch.nn.CrossEntropyLoss()
    return network


@pytest.mark.parametrize("change", [shared, with_loss])
def test_what_training_adds_and_loading_does_not_need(change, tmp_path):
    network = settle(build(tasks=TASKS))
    expected = network(*pair())
    again = PairNetwork.from_pretrained(change(network).save_pretrained(tmp_path / "model"))
    for task, values in again(*pair()).items():
        torch.testing.assert_close(values, expected[task])


def test_the_device_that_torch_is_set_to_has_no_part_in_it(tmp_path):
    network = build(tasks=TASKS)
    with torch.device("meta"):
        network.save_pretrained(tmp_path / "model")
