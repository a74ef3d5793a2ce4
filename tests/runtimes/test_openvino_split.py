"""Cutting an OpenVINO graph behind its first layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from amfzoo import create_model
from amfzoo.benchmark.cost import noise_batch
from amfzoo.runtimes.graph import feed, onnx_graph, output_name

ov = pytest.importorskip("openvino", reason="the extra [openvino] is not installed")
pytest.importorskip("onnxscript", reason="the extra [openvino] is not installed")

from amfzoo.runtimes.openvino_runtime import core  # noqa: E402
from amfzoo.runtimes.openvino_split import InTwo, in_two  # noqa: E402


def compiled(model):
    return core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@pytest.mark.slow
def test_the_two_parts_answer_as_the_whole():
    torch.manual_seed(0)
    network = create_model("amf_test").eval()
    whole = core().read_model(onnx_graph(network))
    first, rest, middle = in_two(whole)
    assert middle == ["clinical_layers", "dermoscopy_layers"]
    half = {branch: [n // 2 for n in prepared.size] for branch, prepared in network.preprocess.items()}
    sides = [[n.get_length() for n in list(output.get_partial_shape())[1:3]] for output in first.outputs]
    assert sides == [half["clinical"], half["dermoscopy"]]
    batch = noise_batch(network, 3, network.preprocess["clinical"].size[0])
    batch.present[1, 0] = batch.present[2, 1] = False
    parts, one = InTwo(compiled(first), compiled(rest), middle), compiled(whole)
    arrays = feed(batch, ["clinical", "dermoscopy", "present"])
    for task in network.tasks:
        found, expected = (np.array(graph(arrays)[output_name(task)]) for graph in (parts, one))
        assert found == pytest.approx(expected, abs=1e-5)
        with torch.no_grad():
            logits = network(*map(torch.from_numpy, batch))[task].numpy()
        assert found == pytest.approx(logits, abs=1e-4)


def test_a_network_of_one_branch_is_cut_as_well():
    network = create_model("amf_test", clinical=None, fusion="none").eval()
    first, _, middle = in_two(core().read_model(onnx_graph(network)))
    assert middle == ["dermoscopy_layers"] and len(first.outputs) == 1


def graph(stride: int, channels: int = 3, goes_round: bool = False):
    """A convolution, the mean of what it gives and, if wanted, of the image too."""
    op = ov.opset13
    image = op.parameter([1, 3, 32, 32], np.float32, "image")
    kernel = np.random.default_rng(0).normal(size=(channels, 3, stride, stride)).astype(np.float32)
    found = op.convolution(image, kernel, [stride, stride], [0, 0], [0, 0], [1, 1])
    sums = [op.reduce_mean(value, np.array([2, 3])) for value in ([found, image] if goes_round else [found])]
    return ov.Model([op.result(op.add(*sums) if goes_round else sums[0])], [image])


@pytest.mark.parametrize(
    ("model", "cut"),
    [
        pytest.param(graph(2), True, id="half"),
        pytest.param(graph(2, goes_round=True), False, id="something goes round"),
        pytest.param(graph(2, channels=24), True, id="twice the image"),
        pytest.param(graph(2, channels=32), False, id="more than twice the image"),
        pytest.param(graph(4), False, id="nothing has half the resolution"),
    ],
)
def test_where_there_is_a_cut(model, cut):
    assert (in_two(model) is not None) == cut
