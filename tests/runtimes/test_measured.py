"""bf16 is chosen by itself only where its effect on these very weights was measured and is small."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, replace

import pytest
from networks import TASKS, build

from amfzoo import Predictor, WeightsError, create_model, create_predictor
from amfzoo.cli import main
from amfzoo.fingerprint import fingerprint
from amfzoo.folder import check_folder
from amfzoo.inference.batch import calibrated
from amfzoo.inference.torch_logits import torch_logits
from amfzoo.runtimes import RUNTIMES
from amfzoo.runtimes.measured import Measured, measured_for, record
from amfzoo.runtimes.parity import picture_batch

EXACT = ("openvino", "fp32")  # what "auto" comes to on a CPU where nothing less exact is allowed


@pytest.fixture
def bf16(monkeypatch):
    """A processor that has bf16, whether or not this one has."""
    reason = RUNTIMES["openvino"].refusal("cpu", "bf16")
    if reason:
        pytest.skip(reason)
    monkeypatch.setattr(RUNTIMES["openvino"], "accelerates", lambda precision: precision == "bf16")


@pytest.fixture
def found(tiny):
    return Measured(
        weights=fingerprint(tiny),
        data="drawn",
        lesions=12,
        macro_f1_change=-0.004,
        max_probability_change=0.02,
        same_class=0.99,
        changes={"diagnosis": {"both": -0.004}},
        made_with={"openvino": "2026.1"},
    )


@pytest.fixture
def folder(tiny, tmp_path):
    return tiny.save_pretrained(tmp_path / "weights")


def chosen(folder, **options) -> tuple[str, str]:
    predictor = create_predictor(f"local-dir:{folder}", **options)
    return predictor.runtime.name, predictor.precision


def test_auto_takes_bf16_where_it_was_measured_and_says_so(bf16, folder, found, tiny, caplog):
    assert chosen(folder) == EXACT  # nothing is measured
    record(folder, {"openvino/bf16": found})
    with caplog.at_level(logging.INFO, "amfzoo"):
        predictor = create_predictor(f"local-dir:{folder}")
    assert (predictor.runtime.name, predictor.precision, predictor.measured) == ("openvino", "bf16", found)
    assert "precision='bf16', macro_f1_change=-0.0040" in repr(predictor)
    assert "in bf16: macro-F1 changes by -0.0040" in caplog.text and "12 lesions: drawn" in caplog.text
    batch = picture_batch(tiny, 3)
    one, other = (
        calibrated(logits, {})["diagnosis"] for logits in (predictor.logits(batch), torch_logits(tiny, batch))
    )
    assert 0 < abs(one - other).max() < 0.1
    assert chosen(folder, precision="fp32") == EXACT
    assert chosen(folder, runtime="openvino") == ("openvino", "fp32")  # named runtimes are exact unless told otherwise
    assert chosen(folder, runtime="openvino", precision="auto") == ("openvino", "bf16")
    assert chosen(folder, runtime="torch", precision="auto") == ("torch", "fp32")


def test_auto_stays_exact_otherwise(bf16, folder, found, monkeypatch):
    for refused in (replace(found, macro_f1_change=-0.0051), replace(found, weights="0" * 64)):
        record(folder, {"openvino/bf16": refused})
        assert chosen(folder) == EXACT
    record(folder, {"openvino/bf16": found, "torch/bf16": found})
    assert chosen(folder) == ("openvino", "bf16")
    monkeypatch.setattr(RUNTIMES["openvino"], "accelerates", lambda precision: False)
    assert chosen(folder) == EXACT


@pytest.mark.parametrize("wrong", [None, [], "yes", {"macro_f1_change": 0.0}, {"macro_f1_change": "nan"}])
def test_a_record_that_is_none_says_nothing(wrong, tiny, found):
    network = build("amf_test", tasks=TASKS, info={"precisions": {"openvino/bf16": wrong}})
    assert measured_for(network) == {}
    network.config = network.config.replace(info={"precisions": wrong})
    assert measured_for(network) == {}


def test_a_fine_tuned_network_does_not_inherit_it(folder, found):
    record(folder, {"openvino/bf16": found})
    network = create_model(f"local-dir:{folder}")
    assert measured_for(network) == {"openvino/bf16": found}
    network.heads["diagnosis"].bias.data += 1
    assert measured_for(network) == {}
    other = create_model(f"local-dir:{folder}", clinical_preprocess={"size": (96, 96)})
    assert measured_for(other) == {}


def test_recording_keeps_the_folder_valid(folder, found, tiny):
    before = json.loads((folder / "config.json").read_text())
    record(folder, {"openvino/bf16": found})
    record(folder, {"onnx/int8": replace(found, macro_f1_change=0.25)})
    config = check_folder(folder)
    assert set(config["info"].pop("precisions")) == {"openvino/bf16", "onnx/int8"}
    assert config == before | {"info": before["info"]}
    assert measured_for(create_model(f"local-dir:{folder}"))["onnx/int8"].macro_f1_change == 0.25


def test_a_damaged_folder_or_half_a_record_is_not_relied_on(folder, found, tiny):
    network = build("amf_test", tasks=TASKS)
    for lesions in (0, 12):
        stated = {**asdict(found), "weights": fingerprint(network), "lesions": lesions}
        network.config = network.config.replace(info={"precisions": {"openvino/bf16": stated}})
        assert bool(measured_for(network)) == bool(lesions)
    (folder / "model.safetensors").write_bytes(b"damaged")
    before = (folder / "config.json").read_bytes()
    with pytest.raises(WeightsError):
        record(folder, {"openvino/bf16": found})
    assert (folder / "config.json").read_bytes() == before


def test_unmeasured_precisions_are_warned_of(tiny, caplog):
    with caplog.at_level(logging.WARNING, "amfzoo"):
        predictor = create_predictor(tiny, "torch", precision="bf16")
        assert "bf16: what this changes was not measured" in caplog.text and predictor.measured is None
        caplog.clear()
        assert create_predictor(tiny, "torch").precision_note == "" and not caplog.records


def test_what_was_measured_of_int8_is_of_another_calibration(tiny, found):
    exact = create_predictor(tiny, "torch")
    notes = {
        precision: Predictor(
            exact.runtime, tiny.config, precision=precision, difference=0.1, measured=found
        ).precision_note
        for precision in ("bf16", "int8")
    }
    assert "calibration of its own" in notes["int8"] and "calibration" not in notes["bf16"]


def test_predict_says_so_and_does_not_mix_precisions(bf16, folder, found, tmp_path, capsys):
    record(folder, {"openvino/bf16": found})
    arguments = ["--model", f"local-dir:{folder}", "--runtime", "auto"]
    assert main(["predict", "--example", "--json", *arguments]) == 0
    printed = capsys.readouterr()
    assert "note: amf_test answers through openvino in bf16: macro-F1 changes by -0.0040" in printed.err
    assert main(["predict", "--example", "--json", *arguments, "--precision", "fp32"]) == 0
    exact = capsys.readouterr()
    assert "note" not in exact.err and exact.out != printed.out
    (tmp_path / "pairs.csv").write_text("clinical,dermoscopy\nnowhere.jpg,\n")
    table = ["predict", str(tmp_path / "pairs.csv"), "--out", str(tmp_path / "answers.csv"), "-q", *arguments]
    main(table)
    assert " (bf16 on openvino)," in (tmp_path / "answers.csv").read_text()
    capsys.readouterr()
    assert main([*table, "--precision", "fp32"]) == 2 and "holds answers of the model" in capsys.readouterr().err
