"""`amfzoo threshold`: chosen on some lesions, measured on others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluation_cases import make
from sklearn.metrics import roc_curve

from amfzoo.cli.main import main
from amfzoo.evaluation import Cases


def run(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["threshold", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "cases.csv"
    make(120, skill=2, splits=["valid"] * 70 + ["test"] * 50).write(path)
    return path


def test_agrees_with_scikit_learns_roc_curve(table, capsys):
    wanted = ("--positive", "MEL", "BCC", "--sensitivity", ".9", "--json", "--resamples", "20")
    code, out, _ = run(capsys, table, "--split", "valid", "--on-split", "test", *wanted)
    found = json.loads(out)
    cases = Cases.read(table)
    parts = {name: cases.split(split) for name, split in (("chosen", "valid"), ("measured", "test"))}
    truth = {name: part.labels["diagnosis"] != 2 for name, part in parts.items()}  # BCC, MEL, NV
    score = {name: part.probabilities["diagnosis"][:, :2].sum(1) for name, part in parts.items()}
    fpr, tpr, thresholds = roc_curve(truth["chosen"], score["chosen"], drop_intermediate=False)
    first = np.argmax(tpr >= 0.9)
    between = thresholds[first : first + 2].mean()  # a little below the case that it has to reach
    assert code == 0 and found["chosen"]["threshold"] == pytest.approx(between)
    assert found["chosen"]["specificity"]["value"] == pytest.approx(1 - fpr[first])
    called = score["measured"] >= between
    assert found["measured"]["sensitivity"]["value"] == pytest.approx(called[truth["measured"]].mean())
    assert found["measured"]["specificity"]["value"] == pytest.approx(1 - called[~truth["measured"]].mean())


def test_without_other_lesions_it_says_so(table, capsys):
    code, out, _ = run(capsys, table, "--positive", "MEL", "--sensitivity", "1", "--resamples", "0")
    assert code == 0 and "sensitivity 1.000" in out and "Measure it on other lesions" in out


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (("--positive", "WART", "--sensitivity", ".9"), 2, "WART"),
        (("--positive", "MEL", "--sensitivity", "90"), 2, "(0, 1]"),
        (("--positive", "MEL", "--sensitivity", ".9", "--split", "train"), 2, "train"),
        (("--positive", "MEL", "--sensitivity", ".9", "--split", "valid", "--on-split", "valid"), 2, "same lesions"),
        (("--positive", "MEL", "--sensitivity", ".9", "--on-split", "test"), 2, "--split"),
    ],
)
def test_wrong_usage(table, capsys, options, code, word):
    found, _, err = run(capsys, table, *options)
    assert found == code and word in err


def test_lesions_that_chose_do_not_measure(table, capsys, tmp_path):
    code, _, err = run(capsys, table, "--positive", "MEL", "--sensitivity", ".9", "--on", table)
    assert code == 2 and "120 lesions chose the threshold" in err


@pytest.mark.parametrize(("what", "other"), [("mode", "clinical"), ("model", "another")])
def test_answers_of_another_model_or_mode_do_not_measure(capsys, tmp_path, what, other):
    for name, value in (("first", {"mode": "both", "model": "one"}[what]), ("second", other)):
        cases = make(60, skill=2, **{"mode": "both", "model": "one", what: value})
        Cases(**{**vars(cases), "ids": [f"{name}{i}" for i in range(60)]}).write(tmp_path / f"{name}.csv")
    options = ("--positive", "MEL", "--sensitivity", ".9", "--on", tmp_path / "second.csv")
    code, _, err = run(capsys, tmp_path / "first.csv", *options)
    assert code == 2 and f"the {what}" in err and repr(other) in err


@pytest.mark.parametrize("wanted", ["1", ".95", ".8", ".5"])
def test_the_printed_threshold_finds_what_was_wanted(table, capsys, wanted):
    _, out, _ = run(capsys, table, "--positive", "MEL", "--sensitivity", wanted, "--resamples", "0")
    threshold = float(out.splitlines()[0].rpartition(" ")[2])
    cases = Cases.read(table)
    positive = cases.labels["diagnosis"] == 1
    assert (cases.probabilities["diagnosis"][positive, 1] >= threshold).mean() >= float(wanted)
    assert len(out.splitlines()[0].rpartition("0.")[2].lstrip("0")) <= 6


def test_patients_whose_lesions_chose_do_not_measure(capsys, tmp_path):
    for name in ("first", "second"):
        cases = make(60, skill=2, groups=[f"patient:{i}" for i in range(60)])
        Cases(**{**vars(cases), "ids": [f"{name}{i}" for i in range(60)]}).write(tmp_path / f"{name}.csv")
    options = ("--positive", "MEL", "--sensitivity", ".9", "--on", tmp_path / "second.csv")
    code, _, err = run(capsys, tmp_path / "first.csv", *options)
    assert code == 2 and "60 patients have lesions among those that chose" in err


def test_what_must_be_known_of_the_figures_is_told_in_the_text(capsys, tmp_path):
    """Every note that --json has, and a mark at its figure."""
    path = tmp_path / "cases.csv"
    groups = [f"patient:{i % 3}" if i < 70 else f"patient:{i}" for i in range(120)]
    make(120, skill=2, splits=["valid"] * 70 + ["test"] * 50, groups=groups).write(path)
    wanted = ("--positive", "MEL", "--sensitivity", ".8", "--split", "valid", "--on-split", "test", "--resamples", "50")
    _, out, _ = run(capsys, path, *wanted)
    points = json.loads(run(capsys, path, *wanted, "--json")[1])
    scores = [points[point][name] for point in ("chosen", "measured") for name in ("sensitivity", "specificity")]
    notes = {score["note"] for score in scores if score["note"]}
    assert "interval from only 3 patients or lesions" in notes and len(notes) > 1
    assert {line.removeprefix("* ") for line in out.splitlines() if line.startswith("* ")} == notes
    told = [bool(cell.split("]")[1].startswith("*")) for cell in out.split("[")[1:]]
    assert told == [bool(score["note"]) for score in scores]


def test_an_exact_bound_is_told(capsys, tmp_path):
    path = tmp_path / "cases.csv"
    make(60, skill=2).write(path)
    _, out, _ = run(capsys, path, "--positive", "MEL", "--sensitivity", "1", "--resamples", "50")
    positives = (Cases.read(path).labels["diagnosis"] == 1).sum()
    assert f"sensitivity 1.000 [{0.025 ** (1 / positives):.3f}, 1.000]*" in out
    assert f"* exact binomial bound, {positives} independent patients or lesions" in out.splitlines()
