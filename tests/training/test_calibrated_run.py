"""A run ends with prediction sets in its model folder, fitted on the lesions that they will be given for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lesions import squares

import amfzoo
from amfzoo.evaluation import Cases, fit_conformal
from amfzoo.evaluation.operating_point import called_scores
from amfzoo.training import finetune


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    return squares(tmp_path_factory.mktemp("squares"), 96)


def test_prediction_sets_are_fitted_on_complete_lesions_and_answered(lesions, tiny, tmp_path):
    finetune("amf_test", lesions, out=tmp_path, device="cpu", progress=False, **{**tiny, "epochs": 1, "valid": 0.5})
    model = amfzoo.create_model(f"local-dir:{tmp_path / 'model'}")
    complete = {lesion.id for lesion in lesions if len(lesion.images) == 2}
    cases = Cases.read(tmp_path / "validation.csv")
    cases = cases.select([name in complete for name in cases.ids])
    wanted, found = fit_conformal(cases, "colour"), model.config.conformal["colour"]
    assert found.cases == wanted.cases and found.coverage == 0.9
    assert found.thresholds == pytest.approx(wanted.thresholds, abs=1e-6)  # the table is rounded
    pair = next(lesion for lesion in lesions if lesion.id in complete)
    answer = model.predict(pair.clinical, pair.dermoscopy)
    assert answer.top("colour")[0] in answer.sets["colour"].classes
    assert not model.predict(dermoscopy=pair.dermoscopy).sets


def test_without_complete_lesions_there_are_no_sets(lesions, tiny, tmp_path):
    alone = replace(lesions, lesions=tuple(replace(lesion, clinical=None) for lesion in lesions if lesion.dermoscopy))
    found = finetune(
        "amf_test", alone, out=tmp_path, device="cpu", progress=False, **{**tiny, "epochs": 1, "valid": 0.5}
    )
    assert found.model.config.temperatures and not found.model.config.conformal


def test_too_few_lesions_to_calibrate_on_are_told_of(lesions, tiny, tmp_path, caplog):
    few = replace(lesions, lesions=lesions.lesions[:30])
    finetune("amf_test", few, out=tmp_path, device="cpu", progress=False, **{**tiny, "epochs": 1, "valid": 0.3})
    assert "not calibrated: colour" in caplog.text and "fewer than 10 validation lesions" in caplog.text
    caplog.clear()
    again = {**tiny, "epochs": 1, "valid": 0.3, "calibrated_later": True}  # as a fold, of which the mean is
    finetune("amf_test", few, out=tmp_path, device="cpu", progress=False, **again)
    assert "not calibrated" not in caplog.text


def test_what_is_called_is_told_with_its_figures(lesions, tiny, tmp_path):
    """A criterion that one lesion in three has gets an operating point: card and summary say what it finds."""
    names = {"red": "present", "green": "absent", "blue": "absent"}
    rare = [
        replace(lesion, labels={"streaks": names[label]} if isinstance(label, str) else {})
        for lesion in lesions
        for label in [lesion.labels.get("colour")]
    ]
    known = replace(lesions, lesions=tuple(rare), tasks={"streaks": ("absent", "present")})
    settings = {**tiny, "epochs": 1, "valid": 0.5, "lr": 1e-5}
    finetune("amf_test", known, out=tmp_path, device="cpu", progress=False, **settings)
    model = amfzoo.create_model(f"local-dir:{tmp_path / 'model'}")
    assert list(model.config.operating_points) == ["streaks"]
    cases = Cases.read(tmp_path / "validation.csv")  # of the model as it is saved, which no fit came after
    assert cases.model == model.config.info["name"] and "refitted" not in (tmp_path / "model/README.md").read_text()
    expected = called_scores(Cases.read(tmp_path / "validation.csv"), "streaks", resamples=0)
    stated = {row["name"]: row["value"] for row in model.config.info["metrics"]}
    assert stated["called_macro_f1"] == pytest.approx(expected["called_macro_f1"].value)
    assert stated["called_sensitivity:present"] == pytest.approx(expected["called_sensitivity:present"].value)
    card, summary = ((tmp_path / name).read_text(encoding="utf-8") for name in ("model/README.md", "summary.md"))
    assert "of what is called (above)" in card and "called_precision:present" in card
    assert f"| streaks | called_macro_f1 | {expected['called_macro_f1'].value:.3f} |" in summary
