"""torch on a CUDA device: the same answers, through pinned memory and from recorded passes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from amfzoo import ConfigError, create_model, create_predictor
from amfzoo.inference.batch import calibrated
from amfzoo.inference.table_batch import ON_CUDA, on_cpu, usual_batch_size
from amfzoo.inference.tf32 import exact_convolutions
from amfzoo.inference.torch_logits import start_logits, torch_logits
from amfzoo.runtimes.parity import difference, picture_batch

TOLERANCE = 1e-3
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (70, 90, 3), np.uint8)


def assert_close(found, expected, temperatures, tolerance=TOLERANCE):
    found, expected = calibrated(found, temperatures), calibrated(expected, temperatures)
    assert list(found) == list(expected)
    for task, p in expected.items():
        np.testing.assert_allclose(found[task], p, rtol=0, atol=tolerance)


def test_elsewhere_nothing_is_pending_and_graphs_are_refused(tiny):
    batch = picture_batch(tiny, 3)
    started = start_logits(tiny, batch)
    assert not started.pending and usual_batch_size(tiny) == on_cpu()
    assert_close(started.logits(), torch_logits(tiny, batch), {}, 0)
    with pytest.raises(ConfigError, match="need a network on a CUDA device"):
        create_predictor(tiny, "torch", device="cpu", cuda_graphs=True)
    with pytest.raises(ConfigError, match="choose one"):
        create_predictor(tiny, "torch", device="cpu", cuda_graphs=True, compile=True)


def test_tf32_is_as_it_was_when_the_last_thread_has_left():
    cudnn = torch.backends.cudnn
    before = cudnn.allow_tf32
    try:
        for found in (True, False):
            cudnn.allow_tf32 = found
            with pytest.raises(ZeroDivisionError), exact_convolutions():
                with exact_convolutions():
                    assert not cudnn.allow_tf32
                assert not cudnn.allow_tf32
                raise ZeroDivisionError
            assert cudnn.allow_tf32 == found
    finally:
        cudnn.allow_tf32 = before


@needs_cuda
@pytest.mark.parametrize("options", [{}, {"channels_last": True}, {"cuda_graphs": True}])
def test_fp32_on_cuda_answers_as_the_cpu_does(tiny, options):
    predictor = create_predictor(tiny, "torch", device="cuda", **options)
    for size in (1, 2, 2, 5, 1, 1, 5, 5):  # a size is recorded the second time, and replayed from then on
        batch = picture_batch(tiny, size, seed=size)
        assert_close(predictor.logits(batch), torch_logits(tiny, batch), tiny.config.temperatures)


@needs_cuda
def test_weights_in_fp32_answer_within_the_tolerance():
    small = create_model("amf_small", pretrained=True)
    predictor = create_predictor(small, device="cuda")
    assert (predictor.runtime.name, predictor.precision) == ("torch", "fp32")
    assert difference(small, predictor.runtime, picture_batch(small, 16)) <= TOLERANCE


@needs_cuda
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_bf16_on_cuda(tiny, cuda_graphs):
    predictor = create_predictor(
        tiny, "torch", device="cuda", precision="bf16", channels_last=True, cuda_graphs=cuda_graphs
    )
    assert 0 < predictor.difference < 0.1
    for _ in range(3):
        batch = picture_batch(tiny, 4)
        assert_close(predictor.logits(batch), torch_logits(tiny, batch), tiny.config.temperatures, 0.1)


@needs_cuda
@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_batches_in_flight_do_not_mix(tiny, cuda_graphs):
    predictor = create_predictor(tiny, "torch", device="cuda", cuda_graphs=cuda_graphs)
    batches = [picture_batch(tiny, 4, seed) for seed in range(6)]
    started = [predictor.start(batch) for batch in batches]
    assert all(one.pending for one in started)
    for one, batch in zip(started, batches):
        assert_close(one.logits(), torch_logits(tiny, batch), tiny.config.temperatures)
    with ThreadPoolExecutor(4) as pool:
        for found, batch in zip(pool.map(predictor.logits, batches * 2), batches * 2):
            assert_close(found, torch_logits(tiny, batch), tiny.config.temperatures)


@needs_cuda
def test_a_list_on_cuda(tiny):
    predictor = create_predictor(tiny, "torch", device="cuda", cuda_graphs=True)
    assert usual_batch_size(predictor) == ON_CUDA
    pairs = [(picture(i), picture(100 + i) if i % 3 else None) for i in range(11)]
    expected = list(tiny.predict(*map(list, zip(*pairs))))
    for batch_size in (None, 3):
        found = predictor.predict(*map(list, zip(*pairs)), batch_size=batch_size)
        assert [one.missing for one in found] == [one.missing for one in expected]
        for one, other in zip(found, expected):
            for task, row in other.probabilities.items():
                assert dict(one.probabilities[task]) == pytest.approx(dict(row), abs=TOLERANCE)
