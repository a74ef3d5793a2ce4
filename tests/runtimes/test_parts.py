"""Large batches are computed in equal parts, and answered as a whole."""

from __future__ import annotations

import numpy as np
import pytest
from networks import TASKS, build
from runtime_case import needs

from amfzoo import create_predictor
from amfzoo.inference.torch_logits import torch_logits
from amfzoo.runtimes.parity import picture_batch
from amfzoo.runtimes.parts import in_parts, pairs_a_part


@pytest.mark.parametrize(
    ("pairs", "threads", "expected"),
    [
        (0, 2, 0),
        (1, 2, 1),
        (16, 2, 16),
        (31, 2, 31),
        (32, 2, 16),
        (34, 2, 17),
        (47, 2, 47),
        (100, 2, 20),
        (256, 1, 16),
        (256, 16, 128),
    ],
)
def test_parts_are_equal_and_neither_small_nor_large(pairs, threads, expected):
    assert pairs_a_part(pairs, threads) == expected


def test_rows_come_back_in_order(tiny):
    batch = picture_batch(tiny, 24)
    seen = []

    def logits(part):
        seen.append(len(part.present))
        return {"mean": part.clinical.mean((2, 3))}

    np.testing.assert_array_equal(in_parts(logits, batch, 8)["mean"], batch.clinical.mean((2, 3)))
    assert seen == [8, 8, 8]


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
@pytest.mark.parametrize("clinical", [True, False])
def test_a_runtime_answers_a_large_batch_as_torch_does(runtime, clinical, tiny):
    needs(runtime)
    network = tiny if clinical else build("amf_test", tasks=TASKS, clinical=None)
    predictor = create_predictor(network, runtime)
    batch = picture_batch(network, 40)
    expected = torch_logits(network, batch)
    in_lanes = predictor.lanes(2, 1, 40)
    for found in (
        predictor.logits(batch),
        predictor.logits(batch),
        in_lanes(batch),
    ):  # the second time for its own size
        assert found.keys() == expected.keys()
        for task, values in expected.items():
            np.testing.assert_allclose(found[task], values, rtol=0, atol=1e-3)
