"""The Derm7pt protocol and the seven-point rule, against counts by hand and the human label table."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import certain, human_labels, make, make_derm7pt
from sklearn.metrics import roc_auc_score

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, checklist_scores, rule_counts, weighted
from amfzoo.evaluation.checklist import all_classes, checklist_differences, positive_classes, rule_points
from amfzoo.evaluation.intervals import exact, percentile, resample
from amfzoo.evaluation.summary import evaluate, rows
from amfzoo.labels import CHECKLIST, DERM7PT, seven_point_score

# counts of the official test split, classes in the order of the schema
TEST_SPLIT = {
    "diagnosis": (16, 219, 101, 40, 19), "pigment_network": (156, 146, 93), "blue_whitish_veil": (320, 75),
    "vascular_structures": (313, 52, 30), "pigmentation": (223, 48, 124), "streaks": (257, 44, 94),
    "dots_and_globules": (100, 118, 177), "regression_structures": (289, 106),
}  # fmt: skip
TRAINING_MAJORITY = {"diagnosis": "NEV", "dots_and_globules": "irregular"}  # else absent


def test_labels_of_the_averages():
    assert len(positive_classes()) == 12 and len(all_classes()) == 24
    assert positive_classes()[5:] == [
        ("pigment_network", "atypical"), ("blue_whitish_veil", "present"), ("vascular_structures", "irregular"),
        ("pigmentation", "irregular"), ("streaks", "irregular"), ("dots_and_globules", "irregular"), ("regression_structures", "present"),
    ]  # fmt: skip


def test_averages_equal_plain_means():
    cases = make_derm7pt()
    found = checklist_scores(cases, resamples=50)
    right = [np.mean(cases.labels[t] == cases.probabilities[t].argmax(1)) for t in DERM7PT.tasks]
    assert found["avg_accuracy"].value == pytest.approx(np.mean(right))
    for name, pairs in (("auc_12", positive_classes()), ("auc_24", all_classes())):
        areas = []
        for task, label in pairs:
            column = cases.tasks[task].index(label)
            areas.append(roc_auc_score(cases.labels[task] == column, cases.probabilities[task][:, column]))
        assert found[name].value == pytest.approx(np.mean(areas))
        assert found[name].low < found[name].value < found[name].high


def test_class_order_does_not_matter():
    cases = make_derm7pt()
    turned = {task: tuple(reversed(names)) for task, names in cases.tasks.items()}
    mirrored = Cases(
        cases.ids, turned, {t: len(names) - 1 - cases.labels[t] for t, names in turned.items()},
        {t: p[:, ::-1] for t, p in cases.probabilities.items()},
    )  # fmt: skip
    found, expected = (checklist_scores(c, resamples=0) for c in (mirrored, cases))
    assert found.keys() == expected.keys()
    assert all(found[name].value == pytest.approx(expected[name].value) for name in expected)


def test_always_the_training_majority_scores_61_84():
    labels = {task: np.repeat(np.arange(len(n)), n) for task, n in TEST_SPLIT.items()}
    tasks, n = DERM7PT.classes(), 395
    answer = {
        task: tasks[task].index(TRAINING_MAJORITY.get(task, "absent" if task != "diagnosis" else "NEV"))
        for task in tasks
    }
    answer["pigment_network"] = tasks["pigment_network"].index("absent")
    cases = Cases(
        [str(i) for i in range(n)],
        tasks,
        labels,
        {t: np.tile(np.eye(len(c))[answer[t]], (n, 1)) for t, c in tasks.items()},
    )
    found = checklist_scores(cases, resamples=0)
    assert 100 * found["avg_accuracy"].value == pytest.approx(61.84, abs=0.01)
    assert found["auc_12"].value == found["auc_24"].value == 0.5


def test_rule_points_equal_the_rule_case_by_case():
    cases = make_derm7pt(40)
    score, expected = rule_points(cases)
    for i in range(len(cases)):
        rows = {task: dict(zip(cases.tasks[task], cases.probabilities[task][i])) for task in CHECKLIST}
        assert score[i] == seven_point_score({task: max(row, key=row.get) for task, row in rows.items()})
        assert expected[i] == pytest.approx(
            sum(p * CHECKLIST[t].points[name] for t, row in rows.items() for name, p in row.items())
        )


def test_rule_counts_and_rates():
    cases = make_derm7pt(80)
    score, _ = rule_points(cases)
    melanoma = cases.labels["diagnosis"] == cases.tasks["diagnosis"].index("MEL")
    found, counted = checklist_scores(cases, resamples=50), rule_counts(cases)
    for threshold in (3, 1):
        hits = sum(1 for s, m in zip(score, melanoma) if m and s >= threshold)
        false = sum(1 for s, m in zip(score, melanoma) if not m and s >= threshold)
        assert counted[threshold] == {
            "TP": hits,
            "FN": melanoma.sum() - hits,
            "FP": false,
            "TN": (~melanoma).sum() - false,
        }
        assert found[f"rule_{threshold}:sensitivity"].value == hits / melanoma.sum()
        assert found[f"rule_{threshold}:specificity"].value == 1 - false / (~melanoma).sum()
        called = score >= threshold
        for name, rows, right in (("sensitivity", melanoma, called), ("specificity", ~melanoma, ~called)):
            draws = resample(lambda w: {"x": weighted.mean(right[rows], w[:, rows])}, cases.groups, resamples=50)["x"]
            one = found[f"rule_{threshold}:{name}"]
            sure = exact(one.value, int(rows.sum()))
            bound = (sure.low, sure.high) if one.value in (0, 1) else percentile(draws)
            assert (one.low, one.high) == pytest.approx(bound)
    assert found["rule_auc"].value == pytest.approx(roc_auc_score(melanoma, score))
    assert found["rule_auc"].low < found["rule_auc"].value < found["rule_auc"].high


def test_intervals_of_the_rule_are_each_of_their_own_score():
    """Against scikit-learn, resample by resample."""
    cases = make_derm7pt(80)
    melanoma = cases.labels["diagnosis"] == cases.tasks["diagnosis"].index("MEL")
    found = checklist_scores(cases, resamples=20)
    for name, score in zip(("rule_auc", "rule_auc_expected"), rule_points(cases)):
        draws = resample(
            lambda w: {"x": np.array([roc_auc_score(melanoma, score, sample_weight=row) for row in w])},
            cases.groups,
            resamples=20,
        )["x"]
        assert (found[name].low, found[name].high) == pytest.approx(percentile(draws))
    assert found["rule_auc"].low != found["rule_auc_expected"].low


def test_rule_on_the_human_labels(shared):
    cases = certain(human_labels(shared))
    assert len(cases) == 1011
    found = checklist_scores(cases, resamples=0)
    figures = {name: round(found[name].value, 3) for name in found if name.startswith("rule")}
    assert figures == {
        "rule_auc": 0.922, "rule_auc_expected": 0.922,
        "rule_3:sensitivity": 0.929, "rule_3:specificity": 0.822, "rule_1:sensitivity": 0.992, "rule_1:specificity": 0.407,
    }  # fmt: skip
    assert found["avg_accuracy"].value == 1


def test_unknown_labels():
    cases = make_derm7pt(60)
    labels = {task: values.copy() for task, values in cases.labels.items()}
    labels["streaks"][:20] = -1
    labels["diagnosis"][20:30] = -1
    part = Cases(**{**vars(cases), "labels": labels})
    counted, rule = rule_counts(part)[3], checklist_scores(part, resamples=20)
    assert sum(counted.values()) == 50
    assert rule["rule_3:specificity"].value == counted["TN"] / (counted["TN"] + counted["FP"])
    right = [np.mean((labels[t] == cases.probabilities[t].argmax(1))[labels[t] >= 0]) for t in DERM7PT.tasks]
    assert checklist_scores(part, resamples=20)["avg_accuracy"].value == pytest.approx(np.mean(right))


def test_figures_that_the_labels_do_not_allow_say_why():
    cases = make_derm7pt(60)
    rare = {**cases.labels, "streaks": np.zeros(60, dtype=int)}
    found = checklist_scores(Cases(**{**vars(cases), "labels": rare}), resamples=20)
    assert math.isnan(found["auc_12"].value) and "streaks irregular" in found["auc_12"].note
    assert math.isfinite(found["avg_accuracy"].value)
    benign = {**cases.labels, "diagnosis": np.zeros(60, dtype=int)}
    found = checklist_scores(Cases(**{**vars(cases), "labels": benign}), resamples=20)
    assert found["rule_3:sensitivity"].note == found["rule_auc"].note == "no melanoma"
    unknown = {**cases.labels, "streaks": np.full(60, -1)}
    found = checklist_scores(Cases(**{**vars(cases), "labels": unknown}), resamples=20)
    assert found["avg_accuracy"].note == "no labels for streaks" and math.isfinite(found["rule_auc"].value)


def test_other_tasks_have_no_checklist():
    assert checklist_scores(make()) == {}
    with pytest.raises(ConfigError, match="lacking: pigment_network"):
        rule_points(make())


def test_differences_of_the_averages():
    a, b = make_derm7pt(200, 1, 1.0), make_derm7pt(200, 2, 2.0)
    found = checklist_differences(a, b, resamples=100)
    first, second = (checklist_scores(cases, resamples=0) for cases in (a, b))
    for name in ("avg_accuracy", "auc_12", "auc_24"):
        assert found[name].value == pytest.approx(second[name].value - first[name].value)
        assert 0 < found[name].low < found[name].value < found[name].high and found[name].p < 0.05
    assert checklist_differences(make(), make()) == {}
    patients = [f"patient:{i % 20}" for i in range(200)]  # as known to either side
    other = checklist_differences(replace(a, groups=patients), b, resamples=100)
    assert other == checklist_differences(a, replace(b, groups=patients), resamples=100) != found
    found = checklist_differences(a, b, resamples=5)
    assert checklist_differences(a, b.select(np.arange(200)[::-1]), resamples=5) == found  # by id
    melanoma = a.labels["diagnosis"] == a.tasks["diagnosis"].index("MEL")
    patients = ["patient:0" if of_one else f"patient:{i}" for i, of_one in enumerate(melanoma, 1)]
    rare = checklist_differences(a, replace(b, groups=patients), resamples=5)["auc_24"].note
    assert "uncertain" in rare and "MEL of diagnosis" in rare


def test_a_handful_of_melanomas_has_no_interval_and_rule_figures_count_known_diagnoses():
    cases = make_derm7pt(60)
    column = cases.tasks["diagnosis"].index("MEL")
    labels = np.where(cases.labels["diagnosis"] == column, (column + 1) % 5, cases.labels["diagnosis"])
    labels[:2], labels[50:] = column, -1
    cases = Cases(**{**vars(cases), "labels": {**cases.labels, "diagnosis": labels}})
    found = checklist_scores(cases, resamples=50)
    assert math.isnan(found["rule_auc"].low) and "fewer than 5" in found["rule_auc"].note
    eight = checklist_scores(cases.select(np.arange(8)), resamples=50)["rule_auc"]
    assert math.isnan(eight.low) and eight.note.startswith("no interval: fewer than 5")
    assert "uncertain" in found["auc_24"].note and "MEL of diagnosis" in found["auc_24"].note
    count = {row["score"]: row["cases"] for row in rows(evaluate(cases, resamples=0)) if row["task"] == "checklist"}
    assert count["rule_auc"] == count["rule_3"] == 50 and count["avg_accuracy"] == 60
