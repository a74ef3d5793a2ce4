"""The attention maps: the weights are those that the block applies, and land on the right picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import SIDE, TASKS, build, perturb, settle
from PIL import Image

from amfzoo import PredictionError
from amfzoo.explain import explain
from amfzoo.explain.attention import attention_weights
from amfzoo.models.fusion import CrossAttention

SMALL = {f"{name}_preprocess": {"size": (SIDE, SIDE)} for name in ("clinical", "dermoscopy")}
CLINICAL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
DERMOSCOPY = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8))


def test_the_weights_are_those_that_the_block_applies():
    """Put together with its values they must give what the block itself gives."""
    torch.manual_seed(0)
    block = CrossAttention(6, 4, dim=12, heads=3)
    torch.nn.init.normal_(block.to_out.weight)
    query, context = torch.randn(1, 6, 2, 5), torch.randn(1, 4, 3, 2)
    weights = attention_weights(block, query, context)
    assert weights.shape == (3, 2, 5, 3, 2)
    np.testing.assert_allclose(weights.sum((3, 4)), 1, rtol=1e-5)
    values = block.to_value(block.norm_context(context[0].flatten(1).T)).reshape(6, 3, 4)  # (k l, heads, width)
    mixed = torch.einsum("hqk,khd->qhd", torch.from_numpy(weights).reshape(3, 10, 6), values).flatten(1)
    expected = query[0] + block.to_out(mixed).T.reshape(6, 2, 5)
    found = block(query, context, torch.tensor([True]))[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_clinical_region_that_stands_out_is_the_one_drawn_on():
    """Keys are set to read one channel; one clinical cell has it."""
    network = build(tasks=TASKS, **SMALL).eval()
    block = network.fusion.enhance[0]
    with torch.no_grad():
        block.to_query.weight.zero_(), block.to_key.weight.zero_()
        block.norm_query.weight.zero_(), block.norm_query.bias.fill_(1.0)
        block.to_query.weight[:, 0], block.to_key.weight[:, 0] = 3.0, 3.0
    bright = torch.zeros(1, network.branches["clinical"].channels[0], 4, 4)
    bright[:, 0, 3, 1] = 50.0
    network.branches["clinical"].register_forward_hook(lambda module, args, maps: [bright, maps[1]])
    found = explain(network, CLINICAL, DERMOSCOPY).attention[0]
    heat = found.drawn_from(10, 10).array()
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert heat.shape == (60, 80) and 20 <= x < 40 and 45 <= y < 60  # row 3, column 1 of 4 x 4
    assert found.overall().cells.argmax() == 13


def test_every_block_is_there():
    for name, expected in (
        ("amf_test", [("dermoscopy", "clinical", 16), ("dermoscopy", "clinical", 32)]),
        (
            "symmetric_test",
            [("dermoscopy", "clinical", 16), ("dermoscopy", "clinical", 32), ("clinical", "dermoscopy", 16),
             ("clinical", "dermoscopy", 32)],
        ),
    ):  # fmt: skip
        network = settle(perturb(build(name, tasks=TASKS, **SMALL)))
        attention = explain(network, CLINICAL, DERMOSCOPY).attention
        assert [(one.reader, one.source, one.stride) for one in attention] == expected
        for one in attention:
            heat = one.drawn_from(30, 30).array()
            assert heat.shape == ((60, 80) if one.source == "clinical" else (90, 70))
            width, height = {"clinical": (80, 60), "dermoscopy": (70, 90)}[one.reader]
            cell = int(30 / height * one.weights.shape[1]), int(30 / width * one.weights.shape[2])
            np.testing.assert_allclose(
                one.drawn_from(30, 30).cells, one.weights[(slice(None), *cell)].mean(0), rtol=1e-5
            )
            assert one.weights.sum((3, 4)) == pytest.approx(1, abs=1e-4)
            np.testing.assert_allclose(
                one.overall().cells, one.weights.reshape(-1, *one.weights.shape[3:]).mean(0), rtol=1e-5
            )
    assert explain(network, CLINICAL).attention == ()
    finer = build(tasks=TASKS, clinical_strides=(8, 32), **SMALL).eval()
    assert [one.stride for one in explain(finer, CLINICAL, DERMOSCOPY).attention] == [16, 32]  # the reader's
    assert explain(build(tasks=TASKS, fusion="none", **SMALL), CLINICAL, DERMOSCOPY).attention == ()


def test_a_point_that_the_network_did_not_see():
    network = build(tasks=TASKS, **SMALL, dermoscopy_args={}).eval()
    network.config = network.config.replace(dermoscopy_preprocess={"size": (SIDE, SIDE), "fit": "crop"})
    attention = explain(network, CLINICAL, DERMOSCOPY).attention[0]
    with pytest.raises(PredictionError, match="outside the part of the dermoscopy picture"):
        attention.drawn_from(30, 3)  # 90 high, 70 wide: the rows from 10 to 80 are seen
