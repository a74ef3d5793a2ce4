"""The parts for CUDA devices, run on the CPU: tables, counts, and what is refused."""

from __future__ import annotations

import pytest
import torch
from cli_case import tiny_model
from torch import nn

from amfzoo import ConfigError
from amfzoo.benchmark.card import Card, measure_card
from amfzoo.benchmark.gpu import check_cuda, fastest_call, network_on_card, shares
from amfzoo.benchmark.kernels import bounds, kind_of, moved_values, time_by_kind
from amfzoo.benchmark.run import Plan, run_benchmark
from amfzoo.benchmark.timing import Spread, sustained

CARD = Card(Spread(8e9, 7e9, 9e9), Spread(4e9, 3e9, 5e9), 64)


def test_the_card_is_measured():
    card = measure_card("cpu", rounds=2, side=64, copied=1 << 16)
    assert card.flops.low > 0 and card.bytes.low > 0
    assert card.section.rows[0]["measured"] == "bf16 matrix product, 64 x 64"


def test_calls_follow_each_other_for_a_while():
    counts = {"a": 0, "b": 0}

    def called(name):
        counts[name] += 1

    times = sustained({name: lambda name=name: called(name) for name in counts}, 2, device="cpu", seconds=0.01)
    assert [len(values) for values in times.values()] == [2, 2]
    assert counts == {"a": 3 + 2 + 2 * 100, "b": 3 + 2 + 2 * 100}  # warm-ups, a first look, two full rounds


@pytest.mark.slow
def test_a_network_beside_the_card():
    section = network_on_card("tiny", tiny_model(), CARD, batches=(1, 2), rounds=1, repeats=2, device="cpu")
    rows = [(row["batch"], row["how"]) for row in section.rows]
    assert rows[0] == (1, "fp32") and rows[-1] == (2, "bf16, channels last, norms folded") and len(rows) == 12
    assert section.rows[0]["differs by"] == 0 and 0 < section.rows[-1]["differs by"] < 0.1
    assert section.rows[0]["one pair, p95 (ms)"] > 0 and section.rows[-1]["one pair, p95 (ms)"] is None
    assert any(note.startswith("Left out: bf16, channels last, CUDA graph") for note in section.notes)


def test_shares_of_the_peak():
    found = shares([2.0, 4.0, 4.0], 8e9, CARD)
    assert found["TFLOP/s"] == Spread(0.002, 0.002, 0.004) and found["of the peak"] == 0.25


def test_where_the_time_goes_and_what_bounds_it():
    network = tiny_model()
    call = fastest_call(network, 2, "cpu")
    (kinds,) = time_by_kind("tiny", call, device="cpu")
    assert sum(row["share"] for row in kinds.rows) == pytest.approx(1)
    operators = {row["operators"] for row in kinds.rows}
    assert {"convolutions, 1 x 1", "convolutions, larger"} <= operators and "batch norm" not in operators
    section = bounds("tiny", network, call, CARD, batch=2, rounds=1, device="cpu")
    each, fused = section.rows[2:]
    assert 0 < fused["GB"] < each["GB"] and each["ms"] == pytest.approx(1e3 * each["GB"] / 4)


@pytest.mark.parametrize(
    ("operator", "shapes", "kind"),
    [
        ("aten::cudnn_convolution", [[8, 3, 9, 9], [16, 3, 7, 7]], "convolutions, larger"),
        ("aten::cudnn_convolution", [[8, 64, 9, 9], [16, 64, 1, 1]], "convolutions, 1 x 1"),
        ("aten::_conv_depthwise2d", [[8, 64, 9, 9], [64, 1, 3, 3]], "convolutions, depthwise"),
        ("aten::convolution", [], "convolutions"),
        ("aten::cudnn_batch_norm", [[8, 64, 9, 9]], "batch norm"),
        ("aten::_flash_attention_forward", [], "attention"),
        ("aten::addmm", [], "matrix products"),
        ("aten::hardtanh_", [], "elementwise and others"),
    ],
)
def test_kinds_of_operators(operator, shapes, kind):
    assert kind_of(operator, shapes) == kind


def test_numbers_that_layers_move():
    class Two(nn.Module):
        branches = ("dermoscopy",)

        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())

        def forward(self, clinical, dermoscopy):
            return self.layers(dermoscopy)

    network = Two().eval()
    convolution = (3 + 4) * 100
    assert moved_values(network, 10) == (convolution + 2 * 8 * 100, convolution)
    assert not any(module._forward_hooks for module in network.modules())


def test_without_a_card_that_is_said_before_anything_is_made(monkeypatch):
    with pytest.raises(ConfigError, match="not on 'cpu': --device cuda"):
        run_benchmark(Plan(models=("amf_none",), parts=("gpu",)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device on this machine"):
        check_cuda("cuda:0")
    with pytest.raises(ConfigError, match="no CUDA device on this machine"):
        run_benchmark(Plan(models=("amf_none",), parts=("bulk",), device="cuda"))
