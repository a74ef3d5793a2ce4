"""`measure_precisions` gives the differences that the predictors themselves show."""

from __future__ import annotations

import numpy as np
import pytest
from cli_case import pictures, tiny_model
from sklearn.metrics import f1_score

from amfzoo import ConfigError, create_predictor
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.evaluation.precisions import measure_precisions, variants
from amfzoo.runtimes import RUNTIMES
from amfzoo.runtimes.measured import measured_for

TASKS = {"diagnosis": ("NV", "MEL")}


@pytest.fixture
def lesions(tmp_path) -> LesionSet:
    pictures(tmp_path)
    files = [(tmp_path / f"c{i % 2}.jpg", tmp_path / f"d{i // 2}.jpg") for i in range(4)]
    records = (Lesion(str(i), *pair, {"diagnosis": TASKS["diagnosis"][i % 2]}) for i, pair in enumerate(files))
    return LesionSet("drawn", tuple(records), TASKS)


@pytest.mark.slow
def test_changes_are_those_of_the_predictor(lesions):
    model = tiny_model(tasks=TASKS)
    measured = measure_precisions(model, lesions, data="drawn", only=[("torch", "bf16")])["torch/bf16"]
    predictor = create_predictor(model, "torch", precision="bf16")
    largest, same, changes = [], [], {}
    for mode in ("both", "clinical", "dermoscopy"):
        rows = []
        for network in (model, predictor):
            answers = [
                network.predict(
                    x.clinical if mode != "dermoscopy" else None, x.dermoscopy if mode != "clinical" else None
                )
                for x in lesions
            ]
            rows.append(np.array([[a.probabilities["diagnosis"][c] for c in TASKS["diagnosis"]] for a in answers]))
        largest.append(np.abs(rows[0] - rows[1]).max())
        same += list(rows[0].argmax(1) == rows[1].argmax(1))
        scores = [f1_score([0, 1, 0, 1], p.argmax(1), average="macro", zero_division=0) for p in rows]
        changes[mode] = pytest.approx(scores[1] - scores[0], abs=1e-5)
    assert measured.changes == {"diagnosis": changes}
    assert (measured.called_changes, measured.same_called) == ({}, None) and "called" not in str(measured)
    assert measured.macro_f1_change == changes["both"] and measured.lesions == 4 and measured.data == "drawn"
    # bf16 rounds to 8 bits, and batches of another size in another order
    assert 0 < measured.max_probability_change == pytest.approx(max(largest), abs=5e-3)
    assert measured.same_class == pytest.approx(np.mean(same), abs=0.1) and "torch" in measured.made_with
    model.config = model.config.replace(info={"precisions": {"torch/bf16": vars(measured)}})
    assert measured_for(model) == {"torch/bf16": measured}


@pytest.mark.slow
def test_what_is_called_is_compared_too(lesions):
    """The diagnosis by an operating point between two answers: bf16 may move one of them over it."""
    model = tiny_model(tasks=TASKS)
    p = sorted(
        answer.diagnosis["MEL"]
        for answer in model.predict([x.clinical for x in lesions], [x.dermoscopy for x in lesions])
    )
    model.config = model.config.replace(operating_points={"diagnosis": {"MEL": (p[1] + p[2]) / 2}})
    measured = measure_precisions(model, lesions, data="drawn", only=[("torch", "bf16")])["torch/bf16"]
    predictor = create_predictor(model, "torch", precision="bf16")
    changes, same = {}, []
    for mode in ("both", "clinical", "dermoscopy"):
        given = [
            (x.clinical if mode != "dermoscopy" else None, x.dermoscopy if mode != "clinical" else None)
            for x in lesions
        ]
        called = [[network.predict(*pair).called()[0] for pair in given] for network in (model, predictor)]
        true = [x.labels["diagnosis"] for x in lesions]
        scores = [f1_score(true, row, average="macro", zero_division=0) for row in called]
        changes[mode] = pytest.approx(scores[1] - scores[0], abs=1e-5)
        same += [one == other for one, other in zip(*called)]
    assert measured.called_changes == {"diagnosis": changes} and measured.same_called == pytest.approx(np.mean(same))
    assert f"{measured.same_called:.1%} of what operating points call stays" in str(measured)


def test_variants_are_all_but_fp32(monkeypatch):
    for kind in RUNTIMES.values():
        monkeypatch.setattr(kind, "requires", ())
    with_int8 = [("openvino", "bf16"), ("openvino", "int8"), ("onnx", "int8"), ("torch", "bf16")]
    assert variants(True) == with_int8
    assert variants(False) == [("openvino", "bf16"), ("torch", "bf16")]


def test_unlabelled_lesions_are_refused(lesions):
    unlabelled = LesionSet("bare", tuple(Lesion(x.id, x.clinical, x.dermoscopy) for x in lesions), TASKS)
    with pytest.raises(ConfigError, match="nothing to score"):
        measure_precisions(tiny_model(tasks=TASKS), unlabelled, data="drawn", only=[("torch", "bf16")])
