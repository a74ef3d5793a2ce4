"""Operating points: a criterion is called as often as it is labelled, through the public answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_cases import make_derm7pt

from amfzoo import Prediction
from amfzoo.evaluation import Cases, evaluate, fit_operating_points, paired_difference
from amfzoo.evaluation.operating_point import called_scores, with_calls
from amfzoo.evaluation.report import to_text

COARSE = ("absent", "present")


def criterion(
    count: int, present: int, *, task: str = "streaks", classes: tuple[str, str] = COARSE, seed: int = 0
) -> Cases:
    """Rare, and never as probable as one half, though ranked well."""
    rng = np.random.default_rng(seed)
    positive = np.arange(count) < present
    p = np.clip(rng.normal(0.1 + 0.1 * positive, 0.05), 0.01, 0.45)
    column = classes.index("present") if "present" in classes else 1
    probabilities = np.stack([1 - p, p] if column else [p, 1 - p], axis=1)
    labels = np.where(positive, column, 1 - column)
    return Cases(list(map(str, range(count))), {task: classes}, {task: labels}, {task: probabilities})


@pytest.mark.parametrize("classes", [COARSE, COARSE[::-1]])
@pytest.mark.parametrize("present", [5, 17, 60])
def test_as_many_are_called_as_are_labelled(classes, present):
    cases = criterion(200, present, classes=classes)
    points = fit_operating_points(cases)
    answers = [
        Prediction({"streaks": dict(zip(classes, row))}, operating_points=points)
        for row in cases.probabilities["streaks"].tolist()
    ]
    called = [answer.findings["streaks"] == "present" for answer in answers]
    assert sum(called) == present and not any(answer.top("streaks")[0] == "present" for answer in answers)
    # and it is the likeliest that are called
    p = cases.probabilities["streaks"][:, classes.index("present")]
    assert p[called].min() > p[~np.array(called)].max()


def test_unknown_cases_have_no_part_in_it():
    cases = criterion(100, 20)
    labels = cases.labels["streaks"].copy()
    labels[::2] = -1
    some = Cases(cases.ids, cases.tasks, {"streaks": labels}, cases.probabilities)
    known = some.known("streaks")
    assert fit_operating_points(some) == fit_operating_points(cases.select(known)) != fit_operating_points(cases)


@pytest.mark.parametrize("count, present", [(100, 4), (100, 96), (100, 0), (4, 2)])
def test_few_of_a_class_choose_nothing(count, present):
    assert fit_operating_points(criterion(count, present)) == {}


@pytest.mark.parametrize(
    "task, classes", [("diagnosis", COARSE), ("ulcer", COARSE), ("streaks", ("regular", "irregular"))]
)
def test_only_criteria_that_are_absent_or_not(task, classes):
    assert fit_operating_points(criterion(100, 20, task=task, classes=classes)) == {}


def test_the_published_rule_keeps_the_most_probable_classes():
    whole = make_derm7pt()
    assert fit_operating_points(whole) == {}
    part = {task: classes for task, classes in whole.tasks.items() if task != "streaks"}
    fewer = Cases(whole.ids, part, {t: whole.labels[t] for t in part}, {t: whole.probabilities[t] for t in part})
    assert set(fit_operating_points(fewer)) == {"blue_whitish_veil", "regression_structures"}  # the two without grades


def tied(high: int, noise: float = 0.0) -> Cases:
    """20 cases, ten of them present; so many have one probability, up to its last digits, and the others another."""
    cases = criterion(20, 10)
    p = np.where(np.arange(20) < high, 0.4, 0.2) + noise * np.random.default_rng(0).uniform(-1, 1, 20)
    return Cases(cases.ids, cases.tasks, cases.labels, {"streaks": np.stack([1 - p, p], axis=1)})


@pytest.mark.parametrize("noise", [0.0, 1e-8])
def test_of_cases_alike_all_are_called_on_any_processor(noise):
    """Another batch or processor moves the last digits; they do not decide."""
    assert fit_operating_points(tied(12, noise))["streaks"]["present"] == pytest.approx(0.3, abs=1e-7)
    assert fit_operating_points(tied(10, noise))["streaks"]["present"] == pytest.approx(0.3, abs=1e-7)


def test_where_all_would_be_called_there_is_no_point():
    assert fit_operating_points(tied(20, 1e-8)) == fit_operating_points(tied(8)) == {}


def test_a_comparison_has_what_is_called_too():
    """Of the same probabilities another point calls otherwise; of a model without points the most probable class counts."""
    cases, everywhere = criterion(200, 30), np.ones(200, bool)
    first, second = (with_calls(cases, {"streaks": {"present": p}}, everywhere) for p in (0.15, 0.25))
    found = paired_difference(first, second, resamples=200)["streaks"]
    for name, score in called_scores(first, "streaks", resamples=0).items():
        other = called_scores(second, "streaks", resamples=0)[name].value
        assert (found[name].first, found[name].second) == (score.value, other)
        assert found[name].value == pytest.approx(other - score.value)
    assert found["macro_f1"].value == 0 and found["called_sensitivity:present"].low < found["called_macro_f1"].high < 0
    plain = paired_difference(first, cases, resamples=0)["streaks"]
    assert plain["called_macro_f1"].second == plain["macro_f1"].second < plain["called_macro_f1"].first
    assert not any(name.startswith("called") for name in paired_difference(cases, cases, resamples=0)["streaks"])
    assert "streaks: macro-F1 as called" in to_text(evaluate(first, second, resamples=0))


def test_calls_are_those_of_the_answers():
    """With and without dermoscopy, a case at its point included; a task that is no criterion has its point always."""
    rng, count = np.random.default_rng(0), 60
    tasks = {"streaks": COARSE, "blue_whitish_veil": COARSE[::-1], "grade": ("low", "high"), "colour": ("a", "b", "c")}
    p = {task: rng.dirichlet(np.ones(len(classes)), count) for task, classes in tasks.items()}
    cases = Cases(list(map(str, range(count))), tasks, {task: np.zeros(count, int) for task in tasks}, p)
    p, seen = cases.probabilities, np.arange(count) % 3 < 2
    points = {"streaks": {"present": p["streaks"][0, 1]}, "blue_whitish_veil": {"absent": 0.8}, "grade": {"high": 0.1}}
    called = with_calls(cases, points, seen).called
    for i in range(count):
        rows = {task: dict(zip(classes, p[task][i].tolist())) for task, classes in tasks.items()}
        missing = () if seen[i] else ("dermoscopy",)
        answer = Prediction(rows, missing=missing, operating_points=points)
        assert all(tasks[task][called[task][i]] == answer.called(task)[0] for task in points)
    assert called.keys() == points.keys()


def test_without_dermoscopy_the_most_probable_class_of_a_criterion_is_called():
    cases = criterion(40, 10)
    seen = np.arange(40) % 2 == 0
    called = with_calls(cases, {"streaks": {"present": 0.0}}, seen).called["streaks"]
    assert called[seen].all() and not called[~seen].any()  # never as probable as one half


@pytest.mark.parametrize("folder", ["amfzoo/weights/amf_small.open", "weights/amf_base.open"])
def test_released_points_and_figures_are_those_of_the_saved_predictions(folder):
    root = Path(__file__).resolve().parents[2]
    saved = root / "results" / Path(folder).name / "validation_both.csv"
    if not saved.is_file() or not (root / folder).is_dir():
        pytest.skip("needs a checkout: a wheel has no results")
    cases, config = Cases.read(saved), json.loads((root / folder / "config.json").read_text())
    points = fit_operating_points(cases)
    stated = config["operating_points"]
    assert list(points) == list(stated) and len(points) == 6
    for task, point in points.items():  # tables have eight digits
        assert point == pytest.approx(stated[task], abs=1e-8)
    again = with_calls(cases, points, np.ones(len(cases), bool))
    assert all((again.called[task] == cases.called[task]).all() for task in points)
    stated = {(m["task"], m["name"]): m["value"] for m in config["info"]["metrics"] if m["name"].startswith("called_")}
    found = {(task, name): s.value for task in points for name, s in called_scores(cases, task, resamples=0).items()}
    assert stated == pytest.approx({key: value for key, value in found.items() if value == value}, abs=1e-6)
