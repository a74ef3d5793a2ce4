"""`amfzoo evaluate` from tables and from a model."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from cli_case import pictures, tiny_model
from evaluation_cases import make

from amfzoo.cli import evaluate as command
from amfzoo.cli.main import main
from amfzoo.evaluation import Cases, evaluate

FAST = ("--resamples", "20")


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["evaluate", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.fixture
def tables(tmp_path):
    for mode in ("both", "clinical"):
        make(40, mode=mode, splits=["valid"] * 20 + ["train"] * 20, model="first").write(tmp_path / f"{mode}.csv")
    make(40, 5, skill=2, splits=["valid"] * 20 + ["train"] * 20, model="second").write(tmp_path / "other.csv")
    return tmp_path


def test_table_to_json(tables, capsys):
    code, out, err = run(capsys, tables / "both.csv", "--json", *FAST)
    assert code == 0 and json.loads(out) == evaluate(Cases.read(tables / "both.csv"), resamples=20)
    assert "20 of 40 cases are of the training split" in err


def test_tables_of_two_modes_against_another_model(tables, capsys):
    code, out, _ = run(
        capsys,
        tables / "clinical.csv",
        tables / "both.csv",
        "--against",
        tables / "other.csv",
        "--split",
        "valid",
        *FAST,
    )
    assert code == 0
    assert "both images: 20 cases (valid 20), model first" in out and "clinical only: 20 cases" in out
    assert "second minus first, both images" in out


def test_lesions_that_both_tables_have_are_compared_if_that_is_asked_for(tables, capsys):
    Cases.read(tables / "other.csv").select(np.arange(10, 40)).write(tables / "fewer.csv")
    Cases.read(tables / "both.csv").select(np.arange(35)).write(tables / "first.csv")
    arguments = (tables / "first.csv", "--against", tables / "fewer.csv", "-q", *FAST)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and "10 are only in the first, 5 only in the second" in err and "say --common" in err
    code, out, _ = run(capsys, *arguments, "--common")
    left_out = "he 25 cases that both have (left out: 10 of the first, 5 of the second)"
    assert code == 0 and left_out in out and "both images: 35 cases" in out
    _, text, _ = run(capsys, *arguments, "--common", "--json", "--out", tables / "report")
    found = json.loads(text)["comparison"]["both"]
    assert left_out in (tables / "report" / "report.html").read_text(encoding="utf-8")
    assert (found["cases"], found["left_out"]) == (25, {"first": 10, "second": 5})
    first, second = Cases.read(tables / "first.csv"), Cases.read(tables / "fewer.csv")
    whole = evaluate(first.select(np.arange(10, 35)), second.select(np.arange(25)), resamples=20)
    assert found["tasks"] == whole["comparison"]["both"]["tasks"]
    with open(tables / "report" / "scores.csv", newline="") as file:
        cases = {(row["column"], row["cases"]) for row in csv.DictReader(file) if row["task"] == "diagnosis"}
    assert {("", "35"), ("difference", "25")} <= cases and ("difference", "35") not in cases
    assert run(capsys, tables / "first.csv", "--common")[0] == 2
    Cases.read(tables / "other.csv").select(np.arange(35, 40)).write(tables / "none.csv")
    code, _, err = run(capsys, tables / "first.csv", "--against", tables / "none.csv", "--common", *FAST)
    assert code == 2 and "nothing to compare: none of the 35 lesions" in err


def test_subgroups_are_printed_if_they_are_named(tmp_path, capsys):
    sexes = {"sex": ["female"] * 60 + ["male"] * 40}
    make(100, metadata=sexes).write(tmp_path / "cases.csv")
    code, out, _ = run(capsys, tmp_path / "cases.csv", "--subgroups", "sex", *FAST)
    table = out[out.index("sex (both images)") :].splitlines()
    assert code == 0 and [line.split()[:2] for line in table[1:3]] == [["female", "60"], ["male", "40"]]
    female = evaluate(Cases.read(tmp_path / "cases.csv"), subgroups=["sex"], resamples=20)
    (first, _) = female["modes"]["both"]["tasks"]["diagnosis"]["subgroups"]["sex"]
    assert f"{first['scores']['accuracy']['value']:.3f} [" in table[1]
    assert "sex (both images)" not in run(capsys, tmp_path / "cases.csv", *FAST)[1]


def test_report_folder(tables, capsys):
    code, _, err = run(capsys, tables / "both.csv", "--out", tables / "report", *FAST)
    assert code == 0 and "report.html" in err
    assert {path.name for path in (tables / "report").iterdir()} == {"report.html", "scores.json", "scores.csv"}
    page = (tables / "report" / "report.html").read_text(encoding="utf-8")
    assert "<title>Evaluation of first</title>" in page and "<li>data: both.csv</li>" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give tables of predictions"),
        (("{}/both.csv", "--model", "m", "--data", "d"), "give tables of predictions"),
        (("--model", "m"), "go together"),
        (("{}/both.csv", "--tta"), "--tta is for --model"),
        (("{}/none.csv",), "cannot be read"),
        (("{}/both.csv", "{}/other.csv"), "second table of the mode 'both'"),
        (("{}/both.csv", "{}/clinical_of_another.csv"), "of several models, another, "),
        (("{}/both.csv", "--split", "test"), "no case has the split 'test'"),
        (("{}/both.csv", "--against", "{}/clinical.csv"), "write the same mode into both tables"),
        (("{}/both.csv", "--subgroups", "eyes"), "no metadata 'eyes'"),
        (("{}/both.csv", "--resamples", "-1"), "must be a whole number"),
    ],
)
def test_wrong_usage(tables, capsys, arguments, message):
    text = (tables / "clinical.csv").read_text()
    (tables / "clinical_of_another.csv").write_text(text.replace(",first,", ",another,"))
    code, out, err = run(capsys, *(argument.format(tables) for argument in arguments))
    assert code == 2 and not out and message in err and "Traceback" not in err


def test_missing_packages_are_named(tables, capsys, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "matplotlib" else name)
    code, _, err = run(capsys, tables / "both.csv", "--out", tables / "report", *FAST)
    assert code == 2 and "pip install 'amfzoo[train]'" in err
    assert run(capsys, tables / "both.csv", *FAST)[0] == 0  # the text needs no matplotlib


def test_model_and_data(tmp_path, capsys):
    pictures(tmp_path)
    tasks = {"diagnosis": ("NV", "MEL")}
    tiny_model(tasks=tasks, operating_points={"diagnosis": {"MEL": 0.4}}).save_pretrained(tmp_path / "model")
    with open(tmp_path / "lesions.csv", "w", newline="") as file:
        csv.writer(file).writerows([
            ("lesion_id", "clinical", "dermoscopy", "diagnosis", "split"),
            ("a", "c0.jpg", "d0.jpg", "NV", "valid"), ("b", "c1.jpg", "d1.jpg", "MEL", "valid"), ("c", "c0.jpg", "d1.jpg", "MEL", "train"),
        ])  # fmt: skip
    source = ("--model", f"local-dir:{tmp_path / 'model'}", "--data", tmp_path / "lesions.csv", "--split", "valid")
    code, out, err = run(capsys, *source, "--out", tmp_path / "out", "--json", "-q", *FAST)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert list(result["modes"]) == ["both", "dermoscopy", "clinical"] and result["modes"]["both"]["cases"] == 2
    assert "called_macro_f1" in result["modes"]["both"]["tasks"]["diagnosis"]["scores"]
    (tmp_path / "split.csv").write_text("lesion_id,split\na,train\nb,valid\nc,train\n")  # as in the folder of a run
    told = run(capsys, *source, *FAST)[2]
    assert "1 of 2 lesions trained this model" in told and f"--splits {tmp_path / 'split.csv'} --split valid" in told
    # of a cross-validation all but the test lesions taught the mean
    for other, advice in (("test", " --split test"), ("train", "Judge it on others\n")):
        (tmp_path / "split.csv").write_text(f"lesion_id,split\na,train\nb,{other}\nc,train\n")
        told = run(capsys, *source, *FAST)[2]
        assert advice in told and "--split valid" not in told
    (tmp_path / "split.csv").write_text("file,part\na.jpg,1\n")  # somebody else's file of that name
    code, _, err = run(capsys, *source, *FAST)
    assert code == 0 and "trained this model" not in err
    # the tables beside the report give the same figures without the model
    again = {mode: Cases.read(tmp_path / "out" / f"predictions_{mode}.csv") for mode in result["modes"]}
    recomputed = evaluate(again, resamples=20)["modes"]["both"]["tasks"]["diagnosis"]["scores"]
    for name, score in result["modes"]["both"]["tasks"]["diagnosis"]["scores"].items():
        assert recomputed[name]["note"] == score["note"]
        assert np.isclose(
            *(np.nan if s["value"] is None else s["value"] for s in (recomputed[name], score)),
            atol=1e-6,
            equal_nan=True,
        )
