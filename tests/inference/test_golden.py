"""Golden outputs: written once, recomputed on every verification."""

from __future__ import annotations

import json

import pytest
from cli_case import pictures, tiny_model

from amfzoo import ImageError, WeightsError, create_model
from amfzoo.inference.golden import check_golden, has_golden, write_golden


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def folder(model, tmp_path):
    pictures(tmp_path)
    files = write_golden(model, tmp_path / "c0.jpg", (tmp_path / "d0.jpg").read_bytes())
    return model.save_pretrained(tmp_path / "model", examples=files)


def edit(folder, change):
    path = folder / "example" / "golden.json"
    golden = json.loads(path.read_text())
    change(golden)
    path.write_text(json.dumps(golden))


def turned(row):
    return dict(reversed(row.items()))


def test_files_are_the_format_that_is_checked(model, folder, tmp_path):
    golden = json.loads((folder / "example" / "golden.json").read_text())
    assert (golden["clinical"], golden["dermoscopy"], golden["tolerance"]) == ("clinical.jpg", "dermoscopy.jpg", 1e-3)
    assert (folder / "example" / "clinical.jpg").read_bytes() == (tmp_path / "c0.jpg").read_bytes()
    alone = model.predict(dermoscopy=tmp_path / "d0.jpg").probabilities
    assert golden["outputs"]["dermoscopy"]["diagnosis"] == pytest.approx(alone["diagnosis"])
    assert list(golden["outputs"]) == ["both", "clinical", "dermoscopy"]
    assert has_golden(folder) and not has_golden(tmp_path)
    assert check_golden(create_model(f"local-dir:{folder}"), folder) < 1e-6


def test_one_branch_has_no_answer_from_the_other_image(tmp_path):
    pictures(tmp_path)
    model = create_model("amf_test", clinical=None)
    files = write_golden(model, tmp_path / "c0.jpg", tmp_path / "d0.jpg")
    assert list(json.loads(files["golden.json"])["outputs"]) == ["both", "dermoscopy"]
    assert check_golden(model, model.save_pretrained(tmp_path / "model", examples=files)) < 1e-6


def test_other_weights_fail_and_the_worst_class_is_named(model, folder):
    with pytest.raises(WeightsError, match="differ from the released ones by .*, more than 0.001"):
        check_golden(tiny_model(seed=1), folder)

    def shift(golden):
        golden["outputs"]["clinical"]["streaks"]["regular"] += 0.002

    edit(folder, shift)
    with pytest.raises(WeightsError, match=r"by 0.002 \(clinical, streaks regular\)"):
        check_golden(model, folder)
    edit(folder, lambda golden: golden.update(tolerance=0.003))
    assert check_golden(model, folder) == pytest.approx(0.002, abs=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda golden: golden.update(tolerance=float("nan")), "'tolerance' must be a number"),
        (lambda golden: golden.update(clinical="../../c0.jpg"), "'clinical' must name"),
        (lambda golden: golden.update(clinical="other.jpg"), "other.jpg cannot be read"),
        (lambda golden: golden.update(tolerance=2), "'tolerance' must be a number"),  # which would let all pass
        (lambda golden: golden.update(tolerance=True), "'tolerance' must be a number"),
        (lambda golden: golden.update(outputs={}), "'outputs'"),
        (lambda golden: golden["outputs"].update(none={}), "'outputs'"),
        (lambda golden: golden["outputs"]["both"].pop("streaks"), "other tasks"),
        (lambda golden: golden["outputs"]["both"]["streaks"].pop("absent"), "other classes"),
        (lambda golden: golden["outputs"].update(both=turned(golden["outputs"]["both"])), "other tasks"),
        (
            lambda golden: golden["outputs"]["both"].update(streaks=turned(golden["outputs"]["both"]["streaks"])),
            "order",
        ),
        (lambda golden: golden["outputs"]["both"]["streaks"].update(absent=float("nan")), "not a number"),
        (lambda golden: golden["outputs"]["both"]["streaks"].update(absent="0.5"), "not a number"),
    ],
)
def test_damaged_golden_files(model, folder, change, message):
    edit(folder, change)
    with pytest.raises(WeightsError, match=message):
        check_golden(model, folder)


def test_not_an_image_and_not_json(model, folder, tmp_path):
    with pytest.raises(ImageError, match="dermoscopy example"):
        write_golden(model, tmp_path / "c0.jpg", b"text")
    with pytest.raises(ImageError, match="none.jpg"):
        write_golden(model, tmp_path / "none.jpg", tmp_path / "d0.jpg")
    (folder / "example" / "golden.json").write_text("{")
    with pytest.raises(WeightsError, match="JSON"):
        check_golden(model, folder)
