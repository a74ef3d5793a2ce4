"""Networks leave Python: torch.export, ONNX, torch.compile."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from networks import ALL, build, pair, perturb, settle

ONE = "amf_test"
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ALL if name != ONE]
MASK = torch.tensor([(True, True), (False, True), (True, False), (True, True), (True, True)])


@pytest.fixture(scope="module", params=[ONE, *OTHERS])
def network(request):
    return settle(perturb(build(request.param)))


def inputs(batch: int) -> tuple[torch.Tensor, ...]:
    return *pair(batch, seed=batch), MASK[:batch].clone()


def dynamic() -> dict:
    # the batch shared by all three inputs; traced with 2 rows, since with one it would be frozen
    return {name: {0: torch.export.Dim("batch", min=1, max=64)} for name in ("clinical", "dermoscopy", "present")}


def assert_same(found, expected) -> None:
    assert list(found) == list(expected)
    for task, logits in expected.items():
        torch.testing.assert_close(torch.as_tensor(found[task]), logits, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_export_with_any_batch_size(network):
    program = torch.export.export(network, inputs(2), dynamic_shapes=dynamic())
    for batch in (1, 5):
        with torch.no_grad():
            assert_same(program.module()(*inputs(batch)), network(*inputs(batch)))


@pytest.mark.slow  # those with the runtimes export too
def test_onnx_with_any_batch_size(network, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs amfzoo[onnx]")
    pytest.importorskip("onnxscript", reason="needs amfzoo[onnx]")
    path = tmp_path / "network.onnx"
    torch.onnx.export(
        network, inputs(2), path, dynamo=True, dynamic_shapes=dynamic(), output_names=list(network.tasks), verbose=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        feed = {name: tensor.numpy() for name, tensor in zip(("clinical", "dermoscopy", "present"), inputs(batch))}
        outputs = dict(zip(network.tasks, session.run(list(network.tasks), feed)))
        with torch.no_grad():
            assert_same(outputs, network(*inputs(batch)))


# in evaluation mode every export of a network asks for it, too
@pytest.mark.parametrize("training", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_whole_network_is_one_graph(network, training):
    torch.compiler.reset()
    fresh = copy.deepcopy(network).train(training)
    compiled = torch.compile(fresh, fullgraph=True, backend="eager")
    torch.manual_seed(0)
    found = compiled(*inputs(2))
    torch.manual_seed(0)
    with torch.no_grad():
        assert_same(found, fresh(*inputs(2)))


@pytest.mark.slow
def test_compiled_code_gives_the_same():
    if shutil.which("c++") is None:
        pytest.skip("needs a C++ compiler")
    network = settle(perturb(build("amf_test")))
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True)
    with torch.no_grad():
        assert_same(compiled(*inputs(2)), network(*inputs(2)))


@pytest.mark.slow
def test_without_presence_any_batch_size_too():
    """All images are there then, of however many lesions."""
    network = settle(perturb(build("amf_test")))
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, pair(2), dynamic_shapes={"clinical": {0: batch}, "dermoscopy": {0: batch}})
    for size in (1, 5):
        images = pair(size, seed=size)
        with torch.no_grad():
            assert_same(program.module()(*images), network(*images))
