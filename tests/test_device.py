"""Devices that torch can compute on, and names that are none."""

from __future__ import annotations

import pytest
import torch

from amfzoo import ConfigError, create_model, create_predictor
from amfzoo.data.example import example_pair
from amfzoo.device import check_device
from amfzoo.explain import explain
from amfzoo.runtimes import export_model


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_processor_can_be_used(device):
    check_device(device)


@pytest.mark.parametrize("device", ["toaster", "cuda:99", "meta", torch.device("meta")])
def test_what_cannot_compute_is_named(device):
    with pytest.raises(ConfigError, match=f"the device '{device}' cannot be used: .") as error:
        check_device(device)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "ask",
    [
        lambda model, folder: model.predict(*example_pair()),
        lambda model, folder: explain(model, *example_pair()),
        lambda model, folder: create_predictor(model, "torch"),
        lambda model, folder: export_model(model, "torch-export", folder / "out"),
    ],
    ids=["predict", "explain", "create_predictor", "export_model"],
)
def test_shapes_without_numbers_answer_nothing_and_say_so(ask, tmp_path):
    model = create_model("amf_test", device="meta").eval()
    with pytest.raises(ConfigError, match="shapes without numbers.*device='cpu'"):
        ask(model, tmp_path)
    assert not list(tmp_path.iterdir())
