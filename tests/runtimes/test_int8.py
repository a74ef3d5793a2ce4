"""int8: calibrated on images or refused, only the convolutions after the first, of these weights alone."""

from __future__ import annotations

import importlib.util
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from networks import TASKS, build
from PIL import Image
from runtime_case import needs, picture

from amfzoo import ConfigError, ImageError, PredictionError, WeightsError, create_predictor, export_model
from amfzoo.cli import main
from amfzoo.data import example_pair
from amfzoo.inference.batch import calibrated
from amfzoo.inference.torch_logits import torch_logits
from amfzoo.runtimes.int8 import _quiet
from amfzoo.runtimes.parity import picture_batch

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_without_amfzoo.py"


# more than one step of the calibration, and pairs that lack an image
PAIRS = [(picture(i), picture(100 + i)) for i in range(8)] + [(picture(8), None), (None, picture(109))]


@pytest.fixture(scope="module")
def exported(tiny, tmp_path_factory):
    """What `export_model` says of an int8 folder."""
    needs("onnx", "int8")
    return export_model(tiny, "int8", tmp_path_factory.mktemp("int8") / "model", calibration=iter(PAIRS))


@pytest.fixture(scope="module")
def nodes(exported):
    """The nodes of the graph, by the name of their first output; and its weights as arrays."""
    onnx = pytest.importorskip("onnx")
    graph = onnx.load(exported.folder / "model.onnx").graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {node.output[0]: node for node in graph.node}, values


def probabilities(model, batch):
    logits = torch_logits(model, batch) if hasattr(model, "forward") else model.logits(batch)
    return calibrated(logits, model.config.temperatures)


def test_convolutions_have_weights_of_8_bits_by_channel(nodes):
    by_output, values = nodes
    convolutions = [node for node in by_output.values() if node.op_type == "Conv"]
    quantised = [node for node in convolutions if node.input[1] in by_output]
    for node in quantised:
        dequantise = by_output[node.input[1]]
        weights, scales = (values[name] for name in dequantise.input[:2])
        assert dequantise.op_type == "DequantizeLinear" and weights.dtype == np.int8
        assert scales.shape == weights.shape[:1]
    in_float = [node.input[1] for node in convolutions if node not in quantised]
    assert len(quantised) > len(in_float)
    for branch in ("clinical", "dermoscopy"):  # the first of each sees the image
        first = next(node for node in convolutions if branch in node.input[1])
        assert first.input[1] in in_float


def test_attention_normalisation_and_heads_stay_in_float(nodes):
    by_output, _ = nodes
    for node in by_output.values():
        if node.op_type in ("Softmax", "MatMul", "Gemm", "LayerNormalization"):
            weights = [by_output[name].op_type for name in node.input[1:] if name in by_output]
            assert "DequantizeLinear" not in weights, node.name


def test_the_folder_says_how_it_differs(exported, tiny):
    description = json.loads((exported.folder / "model.json").read_text())
    agreement = description["parity"]["on_the_calibration_images"]
    assert description["format"] == "int8" and agreement == vars(exported.agreement)
    assert agreement["pairs"] == len(PAIRS) and 0 < agreement["mean"] <= agreement["largest"] < 0.2
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(exported.folder / "model.onnx", providers=["CPUExecutionProvider"])
    batch = picture_batch(tiny, 4)
    found = session.run(["diagnosis_logits"], batch._asdict())[0]
    expected = probabilities(tiny, batch)["diagnosis"]
    difference = np.abs(calibrated({"diagnosis": found}, tiny.config.temperatures)["diagnosis"] - expected).max()
    assert 0 < difference < 0.2


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_predictor_from_images_or_from_a_folder(runtime, exported, tiny):
    needs(runtime, "int8")
    calibrated_here = create_predictor(tiny, runtime, precision="int8", calibration=PAIRS)
    from_folder = create_predictor(tiny, runtime, precision="int8", calibration=exported.folder)
    assert from_folder.precision == "int8" and from_folder.difference > 0 and "int8" in repr(from_folder)
    for size in (1, 3, 3):
        batch = picture_batch(tiny, size, seed=size)
        expected, found = probabilities(tiny, batch), probabilities(from_folder, batch)
        for task, p in expected.items():
            np.testing.assert_allclose(found[task], p, rtol=0, atol=0.2)
            np.testing.assert_allclose(probabilities(calibrated_here, batch)[task], found[task], rtol=0, atol=1e-6)


def test_no_int8_without_images(tiny, tmp_path):
    needs("onnx", "int8")
    for options, message in (
        ({"precision": "int8"}, "calibrated on real images"),
        ({"precision": "int8", "calibration": []}, "no pair is given"),
        ({"precision": "int8", "calibration": 5}, "pairs of images or a folder"),
        ({"precision": "fp32", "calibration": PAIRS}, "belongs to precision='int8'"),
    ):
        with pytest.raises(ConfigError, match=message):
            create_predictor(tiny, "onnx", **options)
    with pytest.raises(ConfigError, match="calibrated on real images"):
        export_model(tiny, "int8", tmp_path / "model")
    with pytest.raises(ConfigError, match="belongs to the format 'int8'"):
        export_model(tiny, "onnx", tmp_path / "model", calibration=PAIRS)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_calibration_is_not_blamed_on_a_runtime(exported, tiny, caplog, tmp_path):
    other = build("amf_test", seed=5, tasks=TASKS)
    for network, calibration, error in (
        (tiny, "nofolder", WeightsError),
        (tiny, [], ConfigError),
        (tiny, [(tmp_path / "missing.jpg", None)], ImageError),
        (other, exported.folder, ConfigError),
    ):
        with pytest.raises(error):
            create_predictor(network, precision="int8", calibration=calibration)
    assert "is left out" not in caplog.text


def test_a_runtime_that_fails_leaves_the_same_graph_to_the_next(exported, tiny, monkeypatch, caplog):
    needs("openvino", "int8")
    made = []

    def fails(*arguments, **options):
        raise ConfigError("no such operation")

    monkeypatch.setattr("amfzoo.runtimes.create.OpenVinoRuntime", fails)
    monkeypatch.setattr(
        "amfzoo.runtimes.int8._exported", lambda *_: made.append(1) or (exported.folder / "model.onnx").read_bytes()
    )
    predictor = create_predictor(tiny, precision="int8", calibration=exported.folder)
    assert (predictor.runtime.name, predictor.precision, made) == ("onnx", "int8", [1])
    assert "runtime 'openvino' in int8 is left out: no such operation" in caplog.text


def test_few_pairs_are_told_of_and_a_pair_of_nothing_is_refused(tiny, caplog):
    needs("onnx", "int8")
    with pytest.raises(PredictionError, match="has no image that the network reads"):
        create_predictor(tiny, "onnx", precision="int8", calibration=[(None, None)])
    assert "int8 is calibrated on 1 pairs" in caplog.text


def test_an_export_tells_of_few_pairs_and_of_an_image_that_all_lack(tiny, tmp_path, monkeypatch, caplog):
    needs("onnx", "int8")
    monkeypatch.setattr("amfzoo.runtimes.int8._quantised", lambda *_: pytest.fail("enough"))
    with pytest.raises(pytest.fail.Exception):
        export_model(tiny, "int8", tmp_path / "model", calibration=[(picture(0), None)])
    pairs, images = (record.getMessage() for record in caplog.records)
    assert "int8 is calibrated on 1 pairs" in pairs and "without a dermoscopy image" in images


def test_what_the_quantiser_says_is_kept_back_and_logging_is_as_before():
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with pytest.raises(ZeroDivisionError), _quiet():
        assert root.level == logging.ERROR
        raise ZeroDivisionError
    assert (root.level, list(root.handlers)) == before


def test_one_pair_is_no_list_of_pairs(tiny):
    needs("onnx", "int8")
    with pytest.raises(PredictionError, match="a pair for the calibration"):
        create_predictor(tiny, "onnx", precision="int8", calibration=["clinical.jpg", "dermoscopy.jpg"])


def test_a_bad_image_is_said_before_anything_is_made(tiny, tmp_path, monkeypatch):
    needs("onnx", "int8")
    monkeypatch.setattr("amfzoo.runtimes.int8.cached_onnx_graph", lambda network: pytest.fail("made the graph first"))
    for bad in ((b"no image", None), (None, tmp_path / "missing.jpg")):
        with pytest.raises(ImageError):
            export_model(tiny, "int8", tmp_path / "model", calibration=[*PAIRS, bad])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_weights_or_damaged_is_refused(exported, tiny, tmp_path):
    def predictor(network, folder):
        return create_predictor(network, "onnx", precision="int8", calibration=folder)

    with pytest.raises(ConfigError, match="other weights"):
        predictor(build("amf_test", seed=5, tasks=TASKS), exported.folder)
    folder = Path(shutil.copytree(exported.folder, tmp_path / "copy"))
    description = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**description, "format": "onnx"}))
    with pytest.raises(ConfigError, match="format 'onnx', not as int8"):
        predictor(tiny, folder)
    (folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="is not the file"):
        predictor(tiny, folder)
    with pytest.raises(WeightsError, match="is no folder that"):
        predictor(tiny, tmp_path)
    with pytest.raises(WeightsError, match="there is no folder .*nowhere; make it: amfzoo export"):
        predictor(tiny, tmp_path / "nowhere")


def test_the_folder_does_without_the_package(exported, tiny):
    if not EXAMPLE.is_file():
        pytest.skip("needs a checkout: a wheel has no examples")
    spec = importlib.util.spec_from_file_location("onnx_without_amfzoo", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    clinical, dermoscopy = map(str, example_pair())
    expected = tiny.predict(clinical, dermoscopy).probabilities
    for task, row in example.ExportedModel(exported.folder).predict(clinical, dermoscopy).items():
        assert row == pytest.approx(dict(expected[task]), abs=0.2)


@pytest.mark.slow
def test_commands(tiny, tmp_path, capsys):
    needs("onnx", "int8")
    weights = tiny.save_pretrained(tmp_path / "weights")
    for i in range(2):
        Image.fromarray(picture(i)).save(tmp_path / f"{i}.png")
    (tmp_path / "pairs.csv").write_text("clinical,dermoscopy\n0.png,1.png\n1.png,0.png\n0.png,\n")
    export = ["export", f"local-dir:{weights}", "--format", "int8", "--out", str(tmp_path / "out")]
    assert main(export) == 2 and "go together" in capsys.readouterr().err
    assert main([*export, "--calibration", str(tmp_path / "pairs.csv")]) == 0
    assert "on the 3 pairs of the calibration" in capsys.readouterr().out
    predict = ["predict", "--example", "--json", "--model", f"local-dir:{weights}", "--runtime", "onnx"]
    assert main([*predict, "--precision", "int8", "--calibration", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)["probabilities"]
    expected = tiny.predict(*example_pair()).probabilities
    for task, row in found.items():
        assert row == pytest.approx(dict(expected[task]), abs=0.2)
    assert main([*predict, "--precision", "int8"]) == 2 and "calibrated on real images" in capsys.readouterr().err
