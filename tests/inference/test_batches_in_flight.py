"""A device that works by itself gets its next batch before the answers to the last are waited for."""

from __future__ import annotations

import numpy as np
import pytest
from networks import build

from amfzoo import AmfzooError, PredictionError, predict_stream
from amfzoo.inference.batch import Started
from amfzoo.inference.torch_logits import torch_logits


class Device:
    """A network that says when a batch is handed to it and when its answers are asked for."""

    def __init__(self, network, pending):
        self.network, self.pending, self.events = network, pending, []
        self.config, self.tasks, self.preprocess = network.config, network.tasks, network.preprocess

    def start(self, batch):
        number = sum(event.startswith("start") for event in self.events)
        self.events.append(f"start {number}")

        def logits():
            self.events.append(f"wait {number}")
            return torch_logits(self.network, batch)

        return Started(logits, self.pending)


@pytest.fixture(scope="module")
def network():
    return build("amf_test", clinical_preprocess={"size": (32, 32)}, dermoscopy_preprocess={"size": (32, 32)}).eval()


@pytest.fixture(scope="module")
def pairs():
    rng = np.random.default_rng(0)
    return [tuple(rng.integers(0, 256, (2, 40, 40, 3), np.uint8)) for _ in range(5)]


@pytest.mark.parametrize(
    ("pending", "events"),
    [
        (True, ["start 0", "start 1", "wait 0", "start 2", "wait 1", "wait 2"]),
        (False, ["start 0", "wait 0", "start 1", "wait 1", "start 2", "wait 2"]),
    ],
)
def test_one_batch_is_in_flight_and_the_order_stays(network, pairs, pending, events):
    device = Device(network, pending)
    bad = (b"no image", None)
    found = list(predict_stream(device, [*pairs[:3], bad, *pairs[3:]], batch_size=2, errors="return", guards=False))
    assert device.events == events
    assert isinstance(found.pop(3), AmfzooError)
    expected = list(predict_stream(network, pairs, batch_size=5, guards=False))
    for one, other in zip(found, expected, strict=True):
        assert one.diagnosis == pytest.approx(other.diagnosis, abs=1e-5)


def test_an_error_comes_after_the_answers_before_it(network, pairs):
    answers = predict_stream(Device(network, True), [*pairs[:3], (None, None)], batch_size=2, guards=False)
    assert len([next(answers) for _ in range(3)]) == 3
    with pytest.raises(AmfzooError, match="both images are missing"):
        next(answers)


def test_an_answer_that_is_not_a_number_costs_its_own_pair_alone(network, pairs):
    class Damaged:
        config, tasks, preprocess = network.config, network.tasks, network.preprocess

        def logits(self, batch):
            logits = torch_logits(network, batch)
            logits["diagnosis"][1] = np.nan
            return logits

    found = list(predict_stream(Damaged(), pairs, batch_size=5, errors="return", guards=False))
    assert isinstance(found.pop(1), PredictionError)
    assert found == [one for i, one in enumerate(predict_stream(network, pairs, batch_size=5, guards=False)) if i != 1]


def test_a_batch_of_bad_pairs_asks_the_network_nothing(network):
    device = Device(network, True)
    found = list(predict_stream(device, [(None, None)] * 2, batch_size=2, errors="return"))
    assert [type(one).__name__ for one in found] == ["PredictionError"] * 2 and not device.events
