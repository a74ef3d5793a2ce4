"""`export_model` and `amfzoo export`: complete, checked, whole or not at all."""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from runtime_case import needs

import amfzoo
from amfzoo import ConfigError, UnknownModelError, WeightsError, create_model, export_model
from amfzoo.cli import export as command
from amfzoo.cli import main, predict
from amfzoo.data import example_pair
from amfzoo.files import FOLDER, beside
from amfzoo.inference.sets import ConformalSets
from amfzoo.runtimes import FORMATS, RUNTIMES, cache, export
from amfzoo.runtimes.description import describe

FILES = {
    "onnx": {"model.onnx"},
    "openvino": {"model.xml", "model.bin"},
    "torch-export": {"model.pt2"},
}  # int8 has a file of tests
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "onnx_without_amfzoo.py"


@pytest.mark.parametrize("format", FILES)
def test_a_folder_holds_all_that_an_answer_needs(format, tiny, tmp_path):
    needs(format)
    found = export_model(tiny, format, tmp_path / "deep" / "model")
    assert set(found.files) == FILES[format] | {"model.json"} and [*tmp_path.glob("deep/*")] == [found.folder]
    assert list(found.parity) == [1, 2, 5, 16] and max(found.parity.values()) < 1e-3
    description = json.loads((found.folder / "model.json").read_text())
    for name, record in description["files"].items():
        data = (found.folder / name).read_bytes()
        assert record == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        # nor where this machine has its programs, in a folder that may bear the user's name
        assert not [package for package in (amfzoo, torch) if str(Path(package.__file__).parent).encode() in data]
    assert description["preprocessing"] == {name: p.to_dict() for name, p in tiny.preprocess.items()}
    assert {task: tuple(t["classes"]) for task, t in description["tasks"].items()} == tiny.tasks
    assert {task: t["temperature"] for task, t in description["tasks"].items()} == tiny.config.temperatures
    assert description["inputs"]["present"]["columns"] == ["clinical", "dermoscopy"]
    # which would else compute in bf16
    assert ("INFERENCE_PRECISION_HINT" in description["notes"].get("openvino", "")) == (format == "openvino")


@pytest.mark.parametrize("settings", [pytest.param({}, marks=pytest.mark.slow), {"clinical": None}])
def test_a_pt2_file_is_used_as_its_description_says(settings, tmp_path):
    torch.manual_seed(0)
    network = create_model("amf_test", tasks={"diagnosis": ["nv", "mel"], "streaks": ["absent", "present"]}, **settings)
    network.eval().mark_untrained(())
    folder = export_model(network, "torch-export", tmp_path / "model").folder
    description = json.loads((folder / "model.json").read_text())
    assert "by name, None for an image" in description["notes"]["torch-export"]
    given = dict(zip(("clinical", "dermoscopy"), example_pair()))
    rows = {name: torch.from_numpy(network.preprocess[name](given[name]))[None] for name in network.preprocess}
    assert [*rows, "present"] == list(description["inputs"])
    program = torch.export.load(folder / "model.pt2").module()
    present = torch.tensor([["clinical" in rows, True]])
    found = program(clinical=rows.get("clinical"), dermoscopy=rows["dermoscopy"], present=present)
    expected = network.predict(**{name: given[name] for name in rows}).probabilities
    for task, told in description["tasks"].items():
        row = (found[told["output"]] / told["temperature"]).softmax(1)[0].tolist()
        assert dict(zip(told["classes"], row)) == pytest.approx(dict(expected[task]), abs=1e-5)


def test_weights_may_be_named(tiny, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setitem(FORMATS, "torch-export", lambda network, folder, pairs: seen.append(network) or Wrong())
    monkeypatch.setattr(export, "check", lambda *arguments: {1: 0.0})
    weights = tiny.save_pretrained(tmp_path / "weights")
    export_model(f"local-dir:{weights}", "torch-export", tmp_path / "model")
    described = json.loads((tmp_path / "model" / "model.json").read_text())["tasks"]
    assert {task: tuple(found["classes"]) for task, found in described.items()} == tiny.tasks
    pair = tuple(map(str, example_pair()))
    assert seen[0].predict(*pair).probabilities == tiny.eval().predict(*pair).probabilities
    with pytest.raises(UnknownModelError, match="no model named 'weights/model'"):
        export_model("weights/model", "torch-export", tmp_path / "other")
    with pytest.raises(ConfigError, match="a model is named by a string"):
        export_model(7, "torch-export", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_nothing_is_written_where_the_answers_differ(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "torch-export", lambda network, folder, pairs: Wrong())
    monkeypatch.setattr(export, "forget", lambda network: None)
    with pytest.raises(WeightsError, match="a probability differs by"):
        export_model(tiny, "torch-export", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


class Wrong:
    name = "wrong"

    def logits(self, batch):
        sizes = {"diagnosis": 3, "streaks": 3}
        return {task: np.eye(len(batch.present), classes, dtype=np.float32) for task, classes in sizes.items()}


@pytest.mark.slow
def test_the_current_folder_is_filled_and_stays(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = export_model(tiny, "torch-export", ".")
    assert Path.cwd() == tmp_path and {file.name for file in tmp_path.iterdir()} == {"model.pt2", "model.json"}
    assert set(found.files) == {"model.pt2", "model.json"}


def test_what_a_killed_export_left_is_not_in_the_way(tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "torch-export", lambda network, folder, pairs: Wrong())
    monkeypatch.setattr(export, "check", lambda *arguments: {1: 0.0})
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as dead:
        dead.setattr(os, "getpid", lambda: 999_999_999)
        beside(tmp_path / tmp_path.name, FOLDER).mkdir()
        beside(tmp_path / "model", FOLDER).mkdir()
    export_model(tiny, "torch-export", ".")
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


def test_a_folder_in_the_way(tiny, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    for taken in (tmp_path, tmp_path / "note.txt"):
        with pytest.raises(WeightsError, match="exists already"):
            export_model(tiny, "onnx", taken)
    assert (tmp_path / "note.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="known: onnx, openvino, torch-export, int8"):
        export_model(tiny, "coreml", tmp_path / "model")


def test_two_exports_to_one_folder_at_once(tiny, tmp_path, monkeypatch):
    def other(network, folder, pairs):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "model.pt2").write_text("other")
        return Wrong()

    monkeypatch.setitem(FORMATS, "torch-export", other)
    monkeypatch.setattr(export, "check", lambda *arguments: {1: 0.0})
    with pytest.raises(WeightsError, match="exists already: name another folder"):
        export_model(tiny, "torch-export", tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_is_not_installed_is_named(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(RUNTIMES["onnx"], "requires", ("no_such_package",))
    with pytest.raises(ConfigError, match=r"no_such_package: pip install 'amfzoo\[onnx\]'"):
        export_model(tiny, "onnx", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_exported_in_fp32_whatever_the_network_is_in(tiny, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setitem(FORMATS, "onnx", lambda network, folder, pairs: seen.append(network) or Wrong())
    monkeypatch.setattr(export, "check", lambda *arguments: {1: 0.0})
    monkeypatch.setattr(cache, "forget", lambda network: None)
    export_model(tiny, "onnx", tmp_path / "model")
    assert seen[0] is not tiny and not seen[0].training


# ---------------------------------------------------------------------- command


def test_command_knows_all_formats():
    assert tuple(FORMATS) == command.FORMATS


def test_command(tiny, tmp_path, capsys):
    needs("onnx")
    weights = tiny.save_pretrained(tmp_path / "weights")
    arguments = ["export", f"local-dir:{weights}", "--format", "onnx", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "model.onnx" in printed and "batch of 16" in printed and "missing images" in printed
    assert main(arguments) == 3 and "exists already" in capsys.readouterr().err
    assert main([*arguments[:-1], str(tmp_path / "again"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"folder", "format", "files", "parity"}


@pytest.mark.parametrize("runtime", ["auto", "onnx"])
def test_predict_behind_a_runtime(runtime, tiny, tmp_path, capsys):
    needs("onnx")
    weights = tiny.save_pretrained(tmp_path / "weights")
    arguments = ["predict", "--example", "--json", "--model", f"local-dir:{weights}"]
    answers = []
    for options in ([], ["--runtime", runtime]):
        assert main([*arguments, *options]) == 0
        answers.append(json.loads(capsys.readouterr().out)["probabilities"])
    for task, row in answers[0].items():
        assert answers[1][task] == pytest.approx(row, abs=1e-3)


def test_runtimes_of_the_command():
    assert predict.RUNTIMES == ("auto", *RUNTIMES)


# ---------------------------------------------------------------------- example


@pytest.fixture(scope="module")
def example():
    needs("onnx")
    if not EXAMPLE.is_file():
        pytest.skip("needs a checkout: a wheel has no examples")
    spec = importlib.util.spec_from_file_location("onnx_without_amfzoo", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["tiny", pytest.param("small", marks=pytest.mark.slow)])
def test_example_answers_as_the_package(example, name, request, tmp_path):
    network = request.getfixturevalue(name)
    clinical, dermoscopy = map(str, example_pair())
    model = example.ExportedModel(export_model(network, "onnx", tmp_path / "model").folder)
    for pair in ((clinical, dermoscopy), (None, dermoscopy), (clinical, None)):
        expected = network.predict(*pair).probabilities
        for task, row in model.predict(*pair).items():
            assert row == pytest.approx(dict(expected[task]), abs=1e-3)


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_example_has_the_sets_of_the_package(example, tiny, tmp_path, method):
    network = copy.deepcopy(tiny)
    sets = {
        task: ConformalSets(
            method, 0.9, {name: 0.7 + 0.1 * i for i, name in enumerate(classes)}, dict.fromkeys(classes, 9)
        )
        for task, classes in network.tasks.items()
    }
    network.config = network.config.replace(conformal=sets)
    model = example.ExportedModel(export_model(network, "onnx", tmp_path / "model").folder)
    expected = network.predict(*map(str, example_pair()))
    found = {task: tuple(model.prediction_set(task, dict(row))) for task, row in expected.probabilities.items()}
    assert found == {task: of.classes for task, of in expected.sets.items()}
    assert len({len(classes) for classes in found.values()}) > 1 or max(map(len, found.values())) > 1
    assert "'lac' are 1 - probability" in model.description["notes"]["prediction_sets"]


@pytest.mark.slow
def test_example_calls_what_the_package_calls(example, tiny, tmp_path):
    network = copy.deepcopy(tiny)
    network.reset_heads({"streaks": ("absent", "present"), "grade": ("low", "high"), "colour": ("red", "blue", "gray")})
    images = tuple(map(str, example_pair()))
    rows = network.predict(*images).probabilities
    points = {
        "streaks": {"present": rows["streaks"]["present"] - 0.001},
        "grade": {"high": rows["grade"]["high"] + 0.001},
    }
    network.config = network.config.replace(operating_points=points)
    model = example.ExportedModel(export_model(network, "onnx", tmp_path / "model").folder)
    expected = network.predict(*images)
    found = {task: model.called(task, dict(row), ("clinical", "dermoscopy")) for task, row in rows.items()}
    assert found == {task: expected.called(task)[0] for task in rows}
    assert (found["streaks"], found["grade"]) == ("present", "low") and "operating_points" in model.description["notes"]
    # without dermoscopy the point of a criterion is left out
    alone = network.predict(clinical=images[0])
    rows = alone.probabilities
    found = {task: model.called(task, dict(row), ("clinical",)) for task, row in rows.items()}
    assert found == {task: alone.called(task)[0] for task in rows}
    assert found["streaks"] == max(rows["streaks"], key=rows["streaks"].get)


def test_points_that_need_an_image_that_is_not_read_stay_out(example):
    tasks = {"streaks": ("absent", "present"), "grade": ("low", "high")}
    network = create_model("amf_test", dermoscopy=None, tasks=tasks)
    rows = network.eval().predict(*map(str, example_pair())).probabilities
    most = {task: max(row, key=row.get) for task, row in rows.items()}
    other = {task: next(name for name in row if name != most[task]) for task, row in rows.items()}
    points = {task: {other[task]: 0.001} for task in rows}  # each calls what is not the most probable class
    network.config = network.config.replace(operating_points=points)
    model = object.__new__(example.ExportedModel)  # what it calls by is in model.json alone
    model.description = json.loads(json.dumps(describe(network, "onnx", [], {}, None)))
    assert list(model.description["operating_points"]) == ["grade"]
    answer = network.predict(*map(str, example_pair()))
    found = {t: model.called(t, dict(row), ("clinical", "dermoscopy")) for t, row in answer.probabilities.items()}
    assert found == {task: answer.called(task)[0] for task in found}
    assert found == {"streaks": most["streaks"], "grade": other["grade"]}


def test_example_needs_neither_amfzoo_nor_torch(example, tiny, tmp_path):
    exported = export_model(tiny, "onnx", tmp_path / "model").folder
    code = (
        f"import sys; sys.argv = ['x', {str(exported)!r}, {str(example_pair()[0])!r}, '-']\n"
        f"exec(compile(open({str(EXAMPLE)!r}).read(), 'example', 'exec'))\n"
        "print([name for name in ('amfzoo', 'torch', 'timm', 'onnx') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("diagnosis: ") and ended.stdout.strip().endswith("[]")


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("turned", [False, True])
def test_example_preprocesses_as_the_package(example, fit, turned, tmp_path):
    from amfzoo import Preprocess

    prepared = Preprocess(size=(64, 48), fit=fit, border=0.1, filter="bilinear")
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    image, path = Image.fromarray(pixels).resize((101, 77)), tmp_path / "image.png"
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image.save(path, exif=exif)
    found = example.network_input(str(path), **prepared.to_dict())
    np.testing.assert_allclose(found, prepared(path), rtol=0, atol=1e-5)


@pytest.mark.parametrize("filter", ["bicubic", "nearest"])
@pytest.mark.parametrize("turned", [False, True])
def test_example_reads_large_photographs_at_the_scale_that_the_package_does(example, filter, turned, tmp_path):
    """Which decides by each side: of one turned by its EXIF mark by the side that it is stored with."""
    from amfzoo import Preprocess

    prepared = Preprocess(size=(40, 64), border=0.1, filter=filter)
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    image, path = Image.fromarray(noise).resize((1201, 500)), tmp_path / "photograph.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1
    image.save(path, exif=exif)
    with Image.open(path) as stored:
        whole = prepared(np.asarray(ImageOps.exif_transpose(stored)))
    found = example.network_input(str(path), **prepared.to_dict())
    np.testing.assert_allclose(found, prepared(path), rtol=0, atol=1e-5)
    reduced = np.abs(prepared(path) - whole).max() > 0.01
    assert reduced == (filter != "nearest")  # else the scale would not be tried


def test_example_refuses_sixteen_bits(example, tmp_path):
    """Pillow makes all levels above 255 white, so the answer would be that to a white picture."""
    from amfzoo import Preprocess

    path = tmp_path / "gray.png"
    Image.fromarray(np.linspace(0, 65535, 4096).astype(np.uint16).reshape(64, 64)).save(path)
    with pytest.raises(ValueError, match=r"gray.png: more than 8 bits"):
        example.network_input(str(path), **Preprocess().to_dict())


@pytest.mark.parametrize("option", [("--pairs", "5"), ("--label", "a=b"), ("--id", ""), ("--splits", "split.csv")])
def test_what_is_said_of_calibration_images_needs_some(option, tmp_path, capsys):
    assert main(["export", "amf_small", "--format", "onnx", "--out", str(tmp_path / "out"), *option]) == 2
    assert f"{option[0]} is for --calibration" in capsys.readouterr().err and not (tmp_path / "out").exists()
