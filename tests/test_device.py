"""Devices that torch can compute on, and names that are none."""

from __future__ import annotations

import pytest
import torch

from amfzoo import ConfigError
from amfzoo.device import check_device


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_the_processor_can_be_used(device):
    check_device(device)


@pytest.mark.parametrize("device", ["toaster", "cuda:99", "meta", torch.device("meta")])
def test_what_cannot_compute_is_named(device):
    with pytest.raises(ConfigError, match=f"the device '{device}' cannot be used: .") as error:
        check_device(device)
    assert "\n" not in str(error.value)
