"""Every runtime answers as eager fp32 torch does."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from networks import TASKS, build
from runtime_case import PAIRS, TOLERANCE, assert_same, needs, picture

from amfzoo import ConfigError, ImageError, PredictionError, create_predictor, predict_stream
from amfzoo.images.quick import QuickPreprocess
from amfzoo.inference.batch import calibrated
from amfzoo.inference.torch_logits import torch_logits
from amfzoo.runtimes import RUNTIMES, export_model, openvino_runtime
from amfzoo.runtimes.openvino_runtime import OpenVinoRuntime
from amfzoo.runtimes.parity import picture_batch


@pytest.fixture(params=["torch", "onnx", "openvino"])
def runtime(request):
    needs(request.param)
    return request.param


def probabilities(model, batch):
    logits = torch_logits(model, batch) if isinstance(model, torch.nn.Module) else model.logits(batch)
    return calibrated(logits, model.config.temperatures)


# -------------------------------------------------------------------- equality


def test_the_callers_autocast_changes_no_precision(tiny):
    batch = picture_batch(tiny, 4)
    expected = create_predictor(tiny, "torch", precision="fp32").logits(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = create_predictor(tiny, "torch", precision="fp32")
        found = inside.logits(batch)
        several = list(predict_stream(inside, PAIRS * 9))
    assert all(np.array_equal(found[task], values) for task, values in expected.items())
    assert [answer.probabilities for answer in several] == [a.probabilities for a in predict_stream(inside, PAIRS * 9)]


@pytest.mark.parametrize("name", ["tiny", pytest.param("small", marks=pytest.mark.slow)])
def test_probabilities_are_those_of_torch(runtime, name, request):
    network = request.getfixturevalue(name)
    predictor = create_predictor(network, runtime)
    assert predictor.difference <= TOLERANCE
    for size in (1, 2, 3, 7, 2, 1):  # sizes that come back may take another path
        batch = picture_batch(network, size, seed=size)
        found, expected = probabilities(predictor, batch), probabilities(network, batch)
        assert list(found) == list(expected) == list(network.tasks)
        for task, p in expected.items():
            assert found[task].shape == (size, len(network.tasks[task]))
            np.testing.assert_allclose(found[task], p, rtol=0, atol=TOLERANCE)


def test_pixels_of_missing_images_have_no_effect(runtime, tiny):
    predictor = create_predictor(tiny, runtime)
    batch = picture_batch(tiny, 6)
    filled = [np.where(batch.present[:, i, None, None, None], batch[i], np.float32(7)) for i in range(2)]
    found = predictor.logits(batch._replace(clinical=filled[0], dermoscopy=filled[1]))
    for task, logits in predictor.logits(batch).items():
        np.testing.assert_allclose(found[task], logits, rtol=0, atol=1e-5)


def test_predict_as_the_network_does(runtime, tiny):
    predictor = create_predictor(tiny, runtime)
    expected = tiny.predict(*map(list, zip(*PAIRS)))
    assert_same(predictor.predict(*map(list, zip(*PAIRS)), batch_size=3), expected)
    assert_same([predictor.predict(*pair) for pair in PAIRS], expected)
    assert_same(list(predictor.predict_stream(iter(PAIRS), batch_size=2)), expected)
    broken = [*PAIRS, (None, None), (b"no image", None)]
    found = list(predict_stream(predictor, broken, batch_size=4, errors="return"))
    assert_same(found[:4], expected)
    assert isinstance(found[4], PredictionError) and isinstance(found[5], ImageError)


def test_several_threads_may_share_a_predictor(runtime, tiny):
    predictor = create_predictor(tiny, runtime)
    batches = [picture_batch(tiny, size, seed) for seed in range(4) for size in (1, 2, 3)]
    expected = [probabilities(tiny, batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: probabilities(predictor, batch), batches))
    for one, other in zip(found, expected):
        for task, p in other.items():
            np.testing.assert_allclose(one[task], p, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
def test_predictors_can_be_sent_to_other_processes(runtime, tiny, how):
    predictor = create_predictor(tiny, runtime)
    expected = [predictor.predict(*pair) for pair in PAIRS]
    again = copy.deepcopy(predictor) if how == "deepcopy" else pickle.loads(pickle.dumps(predictor))
    assert_same([again.predict(*pair) for pair in PAIRS], expected)
    assert (again.runtime.name, again.precision, repr(again)) == (runtime, "fp32", repr(predictor))


def test_openvino_in_bf16_stays_so_in_another_process(tiny):
    needs("openvino")
    predictor = create_predictor(tiny, "openvino", precision="bf16")
    again = pickle.loads(pickle.dumps(predictor))
    batch = picture_batch(tiny, 3)
    for task, values in predictor.logits(batch).items():
        np.testing.assert_array_equal(again.logits(batch)[task], values)


def test_a_network_of_one_branch():
    needs("onnx")
    network = build("amf_test", clinical=None, tasks=TASKS, dermoscopy_preprocess={"size": (64, 64)}).eval()
    predictor = create_predictor(network, "onnx")
    assert_same([predictor.predict(dermoscopy=picture(1))], [network.predict(dermoscopy=picture(1))])
    with pytest.raises(PredictionError, match="reads the dermoscopy image alone"):
        predictor.predict(clinical=picture(1))


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bf16_says_how_much_it_changes(name, tiny):
    needs(name)
    predictor = create_predictor(tiny, name, precision="bf16")
    assert 0 < predictor.difference < 0.1 and "bf16" in repr(predictor)
    where = {"torch": "", "openvino": " on openvino"}[name]
    assert predictor.predict(*PAIRS[0]).model == f"{tiny.predict(*PAIRS[0]).model} (bf16{where})"


def test_pictures_are_resized_quickly_below_fp32_alone(tiny):
    exact, quick = (create_predictor(tiny, "torch", precision=precision) for precision in ("fp32", "bf16"))
    assert exact.preprocess == tiny.preprocess
    for branch, preprocess in quick.preprocess.items():
        assert isinstance(preprocess, QuickPreprocess) and preprocess.to_dict() == tiny.preprocess[branch].to_dict()


@pytest.mark.parametrize("wrapped", [lambda model: torch.compile(model, backend="eager"), torch.nn.Sequential])
def test_wrapped_networks_are_refused_by_what_they_are(tiny, wrapped, tmp_path):
    for ask in (create_predictor, lambda model: export_model(model, "torch-export", tmp_path / "out")):
        with pytest.raises(ConfigError, match="^a (OptimizedModule|Sequential) is no network of amfzoo.*_orig_mod"):
            ask(wrapped(tiny))


@pytest.mark.slow  # the graph is made anew
def test_the_default_type_of_torch_is_not_that_of_the_graph(tmp_path):
    needs("onnx")
    network = build(seed=77)
    torch.set_default_dtype(torch.float16)
    try:
        found = create_predictor(network, "onnx")
        assert torch.get_default_dtype() == torch.float16
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same([found.predict(*PAIRS[0])], [network.predict(*PAIRS[0])])


def test_the_network_stays_as_it_was(tiny):
    network = build("amf_test", tasks=TASKS, auxiliary_heads=True).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    create_predictor(network, "torch", precision="bf16", channels_last=True)
    assert network.training and network.config.auxiliary_heads
    assert all(torch.equal(v, before[k]) and v.dtype == before[k].dtype for k, v in network.state_dict().items())


SIGNAL_AFTER_TWO = """
import signal, sys
from amfzoo import create_model, create_predictor

tiny = create_model("local-dir:" + sys.argv[1])
first, second = (create_predictor(tiny, "openvino") for _ in range(2))
del first
del second
caught = []
signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
signal.raise_signal(signal.SIGTERM)
assert caught == [signal.SIGTERM]
"""


@pytest.mark.slow
def test_a_signal_after_two_openvino_predictors_were_freed_is_handled(tiny, tmp_path):
    """In a process of its own, which it once ended; only where the processor has AMX can this fail."""
    needs("openvino")
    tiny.save_pretrained(tmp_path / "tiny")
    done = subprocess.run([sys.executable, "-c", SIGNAL_AFTER_TWO, tmp_path / "tiny"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_two_threads_may_make_predictors_at_once(graphs):
    needs("onnx")
    networks = [build("amf_test", seed=seed, tasks=TASKS, fusion="none") for seed in (21, 22)]
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda network: create_predictor(network, "onnx"), networks))
    assert [predictor.runtime.name for predictor in found] == ["onnx", "onnx"]
    assert warnings.filters == before and logging.getLogger("torch.export").level == logging.NOTSET


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_many_pairs_are_answered_in_lanes(tiny, runtime, precision, threads):
    reason = RUNTIMES[runtime].refusal("cpu", precision)
    if reason:
        pytest.skip(reason)
    predictor = create_predictor(tiny, runtime, precision=precision)
    before = torch.get_num_threads()
    torch.set_num_threads(2 * threads)
    try:
        lanes = predictor.lanes(2, threads, 4)
        together = Barrier(2, timeout=60)
        batches = [picture_batch(tiny, size, seed) for seed, size in enumerate((4, 4, 3))]

        def answer(batch):
            if len(batch.present) == 4:
                together.wait()  # both are in it at the same time
            return calibrated(lanes(batch), tiny.config.temperatures)

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(answer, batches))
        pairs = [PAIRS[n % len(PAIRS)] for n in range(21)]
        answers = list(predictor.predict_stream(pairs, batch_size=4))
    finally:
        torch.set_num_threads(before)
    limit = TOLERANCE if precision == "fp32" else 0.1
    for one, batch in zip(found, batches):
        expected = probabilities(tiny, batch)
        assert all(np.abs(one[task] - expected[task]).max() < limit for task in expected)
    expected = predictor.predict([c for c, _ in PAIRS], [d for _, d in PAIRS])
    for n, one in enumerate(answers):
        for task, row in expected[n % len(PAIRS)].probabilities.items():
            assert one.probabilities[task] == pytest.approx(row, abs=limit)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_openvino_binds_no_thread_to_a_core(tiny, monkeypatch, precision):
    # programs beside each other would all bind their first thread to the first core, and share it
    needs("openvino")
    compiled = []
    original = openvino_runtime._in
    monkeypatch.setattr(openvino_runtime, "_in", lambda *given: compiled.append(original(*given)) or compiled[-1])
    predictor = create_predictor(tiny, "openvino", precision=precision)
    for _ in range(2):  # the second time the size is compiled on its own
        predictor.predict([picture(n) for n in range(5)], None)
    predictor.lanes(2, 1, 3)
    assert len(compiled) >= 3 and not any(graph.get_property("ENABLE_CPU_PINNING") for graph in compiled)


@pytest.mark.slow
def test_many_batch_sizes_are_not_compiled_again_and_again(tiny, monkeypatch):
    needs("openvino")
    predictor = create_predictor(tiny, "openvino")
    compiled = []
    original = OpenVinoRuntime._compiled
    monkeypatch.setattr(
        OpenVinoRuntime, "_compiled", lambda self, *given: compiled.append(given) or original(self, *given)
    )
    expected = tiny.predict([picture(n) for n in range(7)], None)
    for _ in range(5):
        for size in range(1, 8):
            assert_same(predictor.predict([picture(n) for n in range(size)], [None] * size), expected[:size])
    assert len(compiled) <= 4
    for _ in range(60):  # one that comes again and again is worth it
        predictor.predict([picture(n) for n in range(7)], [None] * 7)
    assert len(compiled) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_runtimes_report_nothing_to_their_makers(tmp_path, runtime):
    needs(runtime)
    left_out = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "CI")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    package = RUNTIMES[runtime].requires[0]  # importing it is enough for a report
    code = f"from amfzoo.runtimes.base import imported; imported({package!r}, {runtime!r})"
    subprocess.run([sys.executable, "-c", code], env={**kept, "HOME": str(tmp_path)}, check=True, timeout=300)
    # under these names they would keep an id of the machine, and what is to be sent
    assert not [path for path in tmp_path.rglob("*") if path.name.lower() in (".onnxruntime", "intel")]
