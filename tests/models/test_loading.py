"""Building a network whose values are loaded anyway."""

from __future__ import annotations

import threading

import pytest
import torch
from networks import SIDE, TASKS, build
from torch import nn

from amfzoo import create_model
from amfzoo.errors import WeightsError
from amfzoo.models.loading import load_weights, without_random_values


def spread(layer: nn.Linear) -> float:
    return float(layer.weight.detach().std())


def test_initialisers_are_skipped_here_and_work_in_other_threads():
    usual = nn.init.kaiming_uniform_
    other: list[nn.Linear] = []
    weight = torch.zeros(8, 8)
    with without_random_values(), without_random_values():
        assert nn.init.normal_(weight) is weight and not weight.any()
        thread = threading.Thread(target=lambda: other.append(nn.Linear(64, 64)))
        thread.start()
        thread.join()
    assert spread(other[0]) == pytest.approx(1 / 8 / 3**0.5, rel=0.1)  # uniform within 1 / sqrt(64)
    assert nn.init.kaiming_uniform_ is usual
    assert nn.init.normal_(weight).any()


def test_initialisers_come_back_after_an_error():
    usual = nn.init.normal_
    with pytest.raises(RuntimeError), without_random_values():
        raise RuntimeError
    assert nn.init.normal_ is usual
    assert nn.init.normal_(torch.zeros(4)).any()


@pytest.mark.parametrize("first", [True, False])
def test_another_library_may_replace_initialisers_meanwhile(monkeypatch, first):
    """As some do while they load a model, here in another thread: its scope begins or ends within this one."""
    usual = nn.init.normal_

    def theirs(tensor, *args, **kwargs):
        return tensor

    monkeypatch.setattr(nn.init, "normal_", usual)
    if first:
        nn.init.normal_ = theirs
    with without_random_values():
        before, nn.init.normal_ = nn.init.normal_, usual if first else theirs
    if not first:
        assert nn.init.normal_ is theirs
        nn.init.normal_ = before  # what they found
    assert nn.init.normal_(torch.zeros(4)).any()
    with without_random_values():
        assert not nn.init.normal_(torch.zeros(4)).any()
    assert nn.init.normal_(torch.zeros(4)).any()


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.complex64])
def test_numbers_of_another_kind_are_refused(kind):
    layer = nn.Linear(3, 2)
    state = {name: tensor.detach().clone() for name, tensor in layer.state_dict().items()}
    with pytest.raises(WeightsError, match=f"numbers of another kind.*weight {kind}"):
        load_weights(layer, {**state, "weight": state["weight"].to(kind)}, "x", fresh_auxiliary=False)


@pytest.mark.parametrize("kind", [torch.float64, torch.float8_e4m3fn])
def test_other_floats_become_those_of_the_network(kind):
    layer = nn.Linear(3, 2)
    state = {name: tensor.detach().clone() for name, tensor in layer.state_dict().items()}
    load_weights(layer, {**state, "weight": state["weight"].to(kind)}, "x", fresh_auxiliary=False)
    assert layer.weight.dtype == torch.float32 and layer(torch.ones(1, 3)).isfinite().all()


def test_of_preprocessing_a_part_may_be_named(tmp_path, caplog):
    """What is left out stays as the weights, or the values of the backbone, want it: not as other networks have it."""
    half = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    network = build(tasks=TASKS, clinical_preprocess=half | {"fit": "pad", "size": (SIDE, SIDE)})
    info = {"name": "ours.one", "license": "MIT"}
    network.config = network.config.replace(info=info)
    folder = network.save_pretrained(tmp_path / "model")
    network = create_model(folder, clinical_preprocess={"size": (48, 40)})
    found = network.config.clinical_preprocess
    assert (found.size, found.mean, found.std, found.fit) == ((48, 40), half["mean"], half["std"], "pad")
    assert "no longer that of" in caplog.text and network.config.info == {
        "license": "MIT"
    }  # at once, not when it is saved
    caplog.clear()
    same = create_model(folder, clinical_preprocess={"size": (SIDE, SIDE)})
    assert same.config.info == info and not caplog.text
    again = same.config.replace(clinical_preprocess={"border": 0.1}).clinical_preprocess
    assert (again.mean, again.fit, again.border) == (half["mean"], "pad", 0.1)
    fresh = create_model("amf_small", pretrained=False, clinical_preprocess={"size": (64, 64)}).config
    assert fresh.clinical_preprocess.mean == half["mean"] and fresh.dermoscopy_preprocess.mean != half["mean"]


@pytest.fixture
def named_folder(tmp_path):
    """Weights that have a name, of which another network is not to be called."""
    network = build(tasks=TASKS)
    network.config = network.config.replace(info={"name": "ours.one", "license": "MIT"})
    return network.save_pretrained(tmp_path / "named")


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_the_kind_of_new_tensors_does_not_round_the_weights(named_folder, kind):
    expected = create_model(named_folder).state_dict()
    torch.set_default_dtype(kind)
    try:
        found = create_model(named_folder)
        fresh = create_model(named_folder, auxiliary_heads=True, tasks={"site": ["arm", "leg"]})
    finally:
        torch.set_default_dtype(torch.float32)
    for name, tensor in found.state_dict().items():
        assert tensor.dtype == expected[name].dtype and torch.equal(tensor, expected[name]), name
    assert {tensor.dtype for tensor in fresh.parameters()} == {torch.float32}


def test_in_double_precision_they_are_the_same_weights(named_folder, caplog):
    network = create_model(named_folder).double()
    network.settle_info()
    assert network.config.info["name"] == "ours.one" and not caplog.text
    network.bfloat16().settle_info()
    assert "name" not in network.config.info and "no longer that of" in caplog.text
