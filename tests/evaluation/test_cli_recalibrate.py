"""`amfzoo recalibrate`: what the function fits, as a folder, and what it says of it."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from cli_case import pictures, tiny_model

from amfzoo import create_model
from amfzoo.cli import main
from amfzoo.data.sources import load_source
from amfzoo.evaluation import Cases, ConformalSets, evaluate_model, recalibrate, task_scores
from amfzoo.evaluation.calibration import fit_temperatures
from amfzoo.evaluation.recalibration import cross_fitted

TASKS = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}


@pytest.fixture
def folder(tmp_path):
    """Weights with a temperature of 3, and a table of 48 lesions of which three quarters are what they find most probable."""
    pictures(tmp_path)
    model = tiny_model(tasks=TASKS)
    model.config = model.config.replace(temperatures={"diagnosis": 3.0, "streaks": 0.5})
    model.save_pretrained(tmp_path / "model")
    pairs = [(f"c{i % 2}.jpg", f"d{i // 2 % 2}.jpg") for i in range(48)]
    best = [answer.top()[0] for answer in model.predict(*([tmp_path / pair[k] for pair in pairs] for k in (0, 1)))]
    with open(tmp_path / "ours.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("lesion_id", "clinical", "dermoscopy", "patient_id", "split", "diagnosis [nv|mel]"))
        for i, (pair, label) in enumerate(zip(pairs, best)):
            label = {"NV": "MEL", "MEL": "NV"}[label] if i % 8 in (1, 6) else label
            table.writerow((f"L{i}", *pair, f"P{i // 2}", "valid" if i < 40 else "train", label.lower()))
    return tmp_path


def run(capsys, *arguments):
    code = main([*map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_folder_is_what_the_function_fits(folder, capsys):
    name, out = f"local-dir:{folder / 'model'}", folder / "mine"
    command = ("recalibrate", "--model", name, "--data", folder / "ours.csv", "--out", out)
    code, text, _ = run(capsys, *command, "--split", "valid", "--json")
    assert code == 0
    told = json.loads(text)
    expected, ours = create_model(name), load_source(str(folder / "ours.csv")).split("valid")
    recalibrate(expected, ours)
    found = create_model(f"local-dir:{out}")
    assert found.config.temperatures == pytest.approx(expected.config.temperatures)
    assert found.config.temperatures["streaks"] == 0.5  # nobody labelled them
    assert found.config.conformal.keys() == expected.config.conformal.keys()
    row = told["tasks"]["diagnosis"]
    assert list(told["tasks"]) == ["diagnosis"] and row["lesions"] == 40 and row["prediction_sets"]
    assert row["temperature"] == [3.0, found.config.temperatures["diagnosis"]]
    before = task_scores(evaluate_model(create_model(name), ours, modes=["both"])["both"], "diagnosis")
    for score in ("ece", "log_loss"):
        assert row[score][0] == pytest.approx(before[score].value, abs=1e-5)
    assert row["log_loss"][1] < row["log_loss"][0]

    code, text, err = run(capsys, *command)
    assert code == 3 and "mine exists" in err and "--overwrite" in err
    code, text, err = run(capsys, *command, "--overwrite")
    assert code == 0 and "too few lesions of known class, or all of one, so as before: streaks" in text
    assert text.split("\n")[1].split()[:2] == ["diagnosis", "48"] and f"use it as local-dir:{out}" in err


@pytest.mark.slow
def test_sets_that_the_lesions_are_too_few_for_are_dropped_and_it_is_said_how_many_would_do(folder, capsys):
    data, first, second = folder / "ours.csv", folder / "first", folder / "second"
    assert (
        run(capsys, "recalibrate", "--model", f"local-dir:{folder / 'model'}", "--data", data, "--out", first)[0] == 0
    )
    assert "diagnosis" in create_model(f"local-dir:{first}").config.conformal
    more = ("--coverage", "0.98")  # 48 lesions, of which the 49th smallest score would be asked for
    code, text, _ = run(capsys, "recalibrate", "--model", f"local-dir:{first}", "--data", data, "--out", second, *more)
    assert code == 0 and "prediction sets dropped" in text and "new ones need 49 lesions with every image" in text
    assert not create_model(f"local-dir:{second}").config.conformal


def test_sets_that_an_operating_point_takes_the_place_of_are_not_said_to_want_lesions(folder, capsys):
    model = create_model(f"local-dir:{folder / 'model'}")
    sets = ConformalSets("lac", 0.9, {"absent": 0.5, "present": 0.5}, {"absent": 20, "present": 20})
    model.config = model.config.replace(conformal={"streaks": sets})
    model.save_pretrained(folder / "model", overwrite=True)
    with open(folder / "ours.csv", newline="") as file:
        rows = [
            (*row, "streaks [absent|present]" if i == 0 else ("absent", "present")[i % 2])
            for i, row in enumerate(csv.reader(file))
        ]
    with open(folder / "ours.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    command = ("recalibrate", "--model", f"local-dir:{folder / 'model'}", "--data", folder / "ours.csv")
    code, text, _ = run(capsys, *command, "--out", folder / "mine", "-q")
    assert (
        code == 0
        and "old temperature: streaks; an operating point takes their place" in text
        and "new ones" not in text
    )


def test_the_column_of_the_splits_may_have_any_name(folder, capsys):
    (folder / "fold.csv").write_text((folder / "ours.csv").read_text().replace(",split,", ",part,"))
    name = f"local-dir:{folder / 'model'}"
    of = ("--model", name, "--data", folder / "fold.csv", "--split", "valid")
    code, text, _ = run(capsys, "recalibrate", *of, "--split-column", "part", "--out", folder / "mine", "--json")
    assert code == 0 and json.loads(text)["tasks"]["diagnosis"]["lesions"] == 40
    code, _, error = run(capsys, "recalibrate", *of, "--out", folder / "other")
    assert code == 2 and "--split-column" in error
    for option in ("--split", "--split-column"):  # where --split names no split
        _, text, _ = run(capsys, "data", "check", folder / "fold.csv", option, "part")
        assert ["diagnosis", "train", "valid"] in map(str.split, text.splitlines())


def test_one_patient_alone_cannot_measure_the_new_temperature(folder, capsys):
    table = folder / "ours.csv"
    rows = [row.split(",") for row in table.read_text().splitlines()]
    of_one = [[*row[:3], "P1" if number else row[3], *row[4:]] for number, row in enumerate(rows)]
    (folder / "one.csv").write_text("\n".join(",".join(row) for row in of_one))
    name = ("recalibrate", "--model", f"local-dir:{folder / 'model'}", "--data", folder / "one.csv", "--out")
    code, text, _ = run(capsys, *name, folder / "a")
    assert code == 0 and "one patient has all the lesions" in text and " -> - " in text
    code, text, _ = run(capsys, *name, folder / "b", "--json")
    row = json.loads(text)["tasks"]["diagnosis"]
    assert row["ece"][1] is row["log_loss"][1] is row["ece_by_chance"] is None and row["ece"][0] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--split", "train"), 2, "10 lesions of known class"),
        (("--split", "test"), 2, "no lesion is of the split 'test'"),
        (("--coverage", "1"), 2, "between 0 and 1"),
        (("--label", "diagnosis=nothing"), 2, "no column 'nothing'"),
    ],
)
def test_refusals_leave_no_folder(folder, capsys, arguments, code, message):
    command = (
        "recalibrate",
        "--model",
        f"local-dir:{folder / 'model'}",
        "--data",
        folder / "ours.csv",
        "--out",
        folder / "x",
    )
    try:
        found, _, err = run(capsys, *command, *arguments)
    except SystemExit as stopped:  # wrong usage, of argparse
        found, err = stopped.code, capsys.readouterr().err
    assert found == code and message in err and not (folder / "x").exists()


def test_no_patient_of_a_task_is_answered_without_a_fit():
    """Twelve labels of two patients among many: whatever part those fall into, the other one's labels give a temperature."""
    random = np.random.default_rng(3)
    p = random.uniform(0.05, 0.95, 202)
    rows = {"streaks": np.stack([1 - p, p], 1)}
    labels = np.full(202, -1)
    labels[:12] = np.arange(12) % 2
    for draw in range(20):
        names = random.permutation(192)
        groups = [f"patient:{names[0] if n < 6 else names[1] if n < 12 else names[n - 10]}" for n in range(202)]
        cases = Cases(
            [*map(str, range(202))], {"streaks": ("absent", "present")}, {"streaks": labels}, rows, groups=groups
        )
        found = cross_fitted(cases).probabilities["streaks"]
        for own, others in ((slice(0, 6), slice(6, 12)), (slice(6, 12), slice(0, 6))):
            value = fit_temperatures(cases.select(np.arange(202)[others]))["streaks"]
            odds = np.log(p[own] / (1 - p[own])) / value
            np.testing.assert_allclose(found[own, 1], 1 / (1 + np.exp(-odds)), rtol=1e-9)
        assert np.array_equal(found[12:], rows["streaks"][12:])
    one = Cases(
        [*map(str, range(202))],
        {"streaks": ("absent", "present")},
        {"streaks": labels},
        rows,
        groups=["patient:1"] * 202,
    )
    assert np.array_equal(cross_fitted(one).probabilities["streaks"], rows["streaks"])


def test_cross_fitted_cases_have_temperatures_of_other_patients():
    """One patient's labels have no influence on that patient's own probabilities, but on all others'."""
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 0.95, 60)
    groups = [f"patient:{i // 3}" for i in range(60)]
    own = np.array([group == "patient:4" for group in groups])

    def cases(labels):
        rows = {"diagnosis": np.stack([1 - p, p], 1)}
        return Cases([*map(str, range(60))], {"diagnosis": ("NV", "MEL")}, {"diagnosis": labels}, rows, groups=groups)

    labels = (random.random(60) < p).astype(int)
    one, other = (
        cross_fitted(cases(given)).probabilities["diagnosis"] for given in (labels, np.where(own, 1 - labels, labels))
    )
    assert np.array_equal(one[own], other[own])
    assert (one[~own] != other[~own]).any(1).mean() > 0.7  # but for those answered along with the patient
    assert np.array_equal(one.argmax(1), (p > 0.5).astype(int))
