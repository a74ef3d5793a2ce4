"""The batch size of a device."""

from __future__ import annotations

import pytest
import torch
from cli_case import tiny_model

from amfzoo import PredictionError, create_predictor
from amfzoo.inference.table_batch import MOST, fitting_batch_size, largest_power, usual_batch_size


@pytest.mark.parametrize(("pairs", "size"), [(0.2, 1), (1, 1), (7.9, 4), (8, 8), (100, 64), (1e9, MOST)])
def test_powers_of_two(pairs, size):
    assert largest_power(pairs) == size


@pytest.mark.parametrize(("threads", "pairs"), [(1, 16), (2, 16), (4, 32), (100, 64)])
def test_on_a_cpu(threads, pairs):
    model, before = tiny_model(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert fitting_batch_size(model) == fitting_batch_size(create_predictor(model, "torch")) == pairs
        assert usual_batch_size(model) == pairs
    finally:
        torch.set_num_threads(before)


def test_what_is_asked_for_is_taken_or_refused():
    assert fitting_batch_size(tiny_model(), 3) == 3
    for wrong in (0, -1, 2.5, "8"):
        with pytest.raises(PredictionError, match="batch_size must be a whole number"):
            fitting_batch_size(tiny_model(), wrong)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_a_tiny_network_gets_the_largest():
    assert fitting_batch_size(tiny_model().to("cuda")) == MOST
