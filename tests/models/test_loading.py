"""Building a network whose values are loaded anyway."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from amfzoo.models.loading import without_random_values


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
