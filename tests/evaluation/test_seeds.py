"""Figures over several runs, and the leaderboard made of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import make, make_derm7pt

from amfzoo.checks import UNCERTAIN_NOTE
from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, weighted
from amfzoo.evaluation.checklist import checklist_differences, checklist_scores
from amfzoo.evaluation.intervals import percentile, resample
from amfzoo.evaluation.leaderboard import OFFICIAL, PUBLISHED, leaderboard
from amfzoo.evaluation.metrics import task_scores
from amfzoo.evaluation.seeds import seed_scores


@pytest.fixture(scope="module")
def runs():
    return [make_derm7pt(seed=seed) for seed in range(3)]


@pytest.fixture(scope="module")
def scores(runs):
    return seed_scores(runs, resamples=100)


def test_mean_and_sd_are_those_of_the_runs(runs, scores):
    each = [checklist_scores(run, resamples=0)["avg_accuracy"].value for run in runs]
    found = scores["avg_accuracy"]
    assert found.values == pytest.approx(each) and found.mean == pytest.approx(np.mean(each))
    assert found.sd == pytest.approx(np.std(each, ddof=1)) and found.low < found.mean < found.high
    streaks = [task_scores(run, "streaks")["sensitivity:irregular"].value for run in runs]
    assert scores["streaks/sensitivity:irregular"].values == pytest.approx(streaks)


def test_balanced_average_is_over_the_tasks(runs, scores):
    each = [np.mean([task_scores(run, task)["balanced_accuracy"].value for task in run.tasks]) for run in runs]
    assert scores["avg_balanced_accuracy"].values == pytest.approx(each)


def test_order_of_the_lesions_does_not_matter(runs, scores):
    shuffled = runs[1].select(np.arange(len(runs[1]))[::-1])
    again = seed_scores([runs[0], shuffled, runs[2]], resamples=100)
    assert again["auc_24"].values == pytest.approx(scores["auc_24"].values)
    assert again["streaks/accuracy"].low == pytest.approx(scores["streaks/accuracy"].low)


def test_one_run_has_no_sd_and_one_task_no_protocol():
    cases = make()
    found = seed_scores([cases], resamples=0)
    assert "avg_accuracy" not in found and math.isnan(found["diagnosis/accuracy"].sd)
    assert json.loads(json.dumps(found["diagnosis/accuracy"].to_dict(), allow_nan=False))["sd"] is None
    assert "1 run," in leaderboard("mine", found, cases)


def test_runs_on_other_lesions_are_refused(runs):
    with pytest.raises(ConfigError):
        seed_scores([runs[0], replace(runs[1], ids=[f"X{name}" for name in runs[1].ids])])
    with pytest.raises(ConfigError, match="no runs"):
        seed_scores([])


def test_the_row_stands_beside_the_published_ones(runs, scores):
    text = leaderboard("mine", scores, runs[0], remarks=["drawn"])
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    names = [row[0] for row in rows]
    for published in PUBLISHED:
        row = rows[names.index(f"| {published.method}")]
        assert ("second-hand" in row[-1]) is published.second_hand
        assert row[1] == ("images and metadata" if published.metadata else "images")

    def told(name: str, factor: int = 100, digits: int = 2) -> str:
        mean, sd, low, high = (
            f"{factor * getattr(scores[name], key):.{digits}f}" for key in ("mean", "sd", "low", "high")
        )
        return f"{mean} sd {sd} [{low}, {high}]"

    own = rows[names.index("| **mine**")]
    assert own[2:4] == [f"**{told('avg_accuracy')}**", f"**{told('diagnosis/accuracy')}**"]
    assert f"| **AVG** |  | {told('avg_accuracy')} | {told('avg_balanced_accuracy')} |" in text
    for count in (12, 24):
        assert f"| {count} labels |  |  |  |  | {told(f'auc_{count}', 1, 3)} |" in text
    rates = (told(f"streaks/{kind}:irregular") for kind in ("sensitivity", "specificity", "precision"))
    assert f"| streaks | irregular | {told('streaks/auroc:irregular', 1, 3)} | {' | '.join(rates)} |" in text
    assert "> drawn" in text and f"test split of {len(runs[0])} lesions" in text
    assert sum(OFFICIAL.values()) == 1011


@pytest.mark.parametrize("resamples", [0, 20])
def test_a_task_without_a_label_leaves_the_rest_of_the_leaderboard(resamples):
    cases = make_derm7pt(60)
    half = np.where(np.arange(60) < 20, -1, cases.labels["pigmentation"])
    labels = {**cases.labels, "streaks": np.full(60, -1), "pigmentation": half}
    cases = Cases(**{**vars(cases), "labels": labels})
    text = leaderboard("mine", seed_scores([cases], resamples=resamples), cases)
    (row,) = (line for line in text.splitlines() if line.startswith("| streaks | irregular"))
    assert set(row.split("|")[3:-1]) == {" – "}
    assert "| diagnosis | 60 |" in text and "| pigmentation | 40 |" in text and "\n| streaks | 0 |" not in text
    assert math.isnan(checklist_differences(cases, cases, resamples=resamples)["avg_accuracy"].value)


@pytest.mark.parametrize("task", ["diagnosis", "streaks"])
def test_the_row_of_the_average_is_of_all_eight_tasks_or_empty(task):
    cases = make_derm7pt(60)
    cases = replace(cases, labels={**cases.labels, task: np.full(60, -1)})
    found = seed_scores([cases, cases], resamples=20)
    lines = leaderboard("mine", found, cases).splitlines()
    assert found["avg_balanced_accuracy"].note == found["avg_accuracy"].note == f"no labels for {task}"
    assert "| **AVG** |  | – | – |  |  |" in lines
    (own,) = (line.split(" | ") for line in lines if line.startswith("| **mine** |"))
    assert own[2] == "**–**" and (own[3] == "**–**") == (task == "diagnosis")


def test_tasks_beside_the_eight_are_not_averaged_in(runs, scores):
    """They have figures, but no part in the row that is explained as the mean of the eight."""
    more = []
    for run in runs:
        own = {
            name: {**getattr(run, name), "tone": getattr(run, name)["streaks"]} for name in ("labels", "probabilities")
        }
        more.append(replace(run, tasks={**run.tasks, "tone": ("a", "b", "c")}, **own))
    found = seed_scores(more, resamples=100)
    assert found["tone/accuracy"].mean == scores["streaks/accuracy"].mean
    assert found["avg_balanced_accuracy"] == scores["avg_balanced_accuracy"]


def test_the_interval_is_of_the_mean_of_all_runs_on_the_same_patients():
    groups = [f"patient:{i // 3}" for i in range(120)]
    runs = [make_derm7pt(seed=seed, groups=groups) for seed in range(2)]
    for run in runs:
        run.labels["streaks"][20:50] = -1
        run.labels["diagnosis"][run.labels["diagnosis"] == 2] = 1
        run.labels["diagnosis"][[0, 30]] = 2  # a class of two patients
    found = seed_scores(runs, resamples=60)
    known = runs[0].known("streaks")
    right = [(run.labels["streaks"] == run.probabilities["streaks"].argmax(1))[known] for run in runs]
    draws = resample(lambda w: {"x": sum(weighted.mean(one, w[:, known]) for one in right) / 2}, groups, resamples=60)[
        "x"
    ]
    assert (found["streaks/accuracy"].low, found["streaks/accuracy"].high) == pytest.approx(percentile(draws))
    assert math.isnan(found["diagnosis/auroc:MEL"].low) and "fewer than 5" in found["diagnosis/auroc:MEL"].note


def test_patients_that_one_run_knows_count_for_all(runs):
    known = replace(runs[1], groups=[f"patient:{i % 20}" for i in range(len(runs[1]))])
    found = [seed_scores(order, resamples=100)["streaks/accuracy"] for order in ([runs[0], known], [known, runs[0]])]
    alone = seed_scores(runs[:2], resamples=100)["streaks/accuracy"]
    assert (found[0].low, found[0].high) == (found[1].low, found[1].high) != (alone.low, alone.high)


def test_averages_over_rare_classes_say_so(runs):
    """In each summary alike: of one model, of several runs, of two models."""
    labels = runs[0].labels["diagnosis"].copy()
    column = runs[0].tasks["diagnosis"].index("MISC")
    labels[np.flatnonzero(labels == column)[3:]] = (column + 1) % 5
    few = [replace(run, labels={**run.labels, "diagnosis": labels}) for run in runs[:2]]
    notes = [
        checklist_scores(few[0], resamples=50)["auc_12"].note,
        checklist_differences(*few, resamples=50)["auc_12"].note,
        *(seed_scores(few, resamples=50)[name].note for name in ("auc_12", "avg_balanced_accuracy")),
    ]
    assert all(note.startswith("interval uncertain") and "MISC of diagnosis" in note for note in notes)


def test_what_must_be_known_of_an_interval_is_marked_and_told_on_the_page(runs, scores):
    """An average over a class of three lesions, and the sensitivities of seven."""
    plain = leaderboard("mine", scores, runs[0])
    labels = runs[0].labels["diagnosis"].copy()
    for name, keep in (("MISC", 3), ("MEL", 7)):
        column = runs[0].class_index("diagnosis", name)
        labels[np.flatnonzero(labels == column)[keep:]] = runs[0].class_index("diagnosis", "NEV")
    few = [replace(run, labels={**run.labels, "diagnosis": labels}) for run in runs]
    found = seed_scores(few, resamples=100)
    text = leaderboard("mine", found, few[0])
    tasks = text.partition("## Tasks")[2].partition("## Labels")[0]
    lines = {line.split(" | ")[0].strip("| "): line for line in tasks.splitlines() if line.startswith("| ")}
    assert lines["12 labels"].rstrip(" |").endswith("] †") and lines["diagnosis"].count("] †") == 3
    assert "†" not in lines["streaks"] and f"\n{UNCERTAIN_NOTE}.\n" in text
    melanoma = found["diagnosis/sensitivity:MEL"]
    right = [
        (run.probabilities["diagnosis"].argmax(1) == labels)[labels == few[0].class_index("diagnosis", "MEL")]
        for run in few
    ]
    assert (
        melanoma.mean == pytest.approx(np.mean(right)) and melanoma.note == "interval from only 7 patients or lesions"
    )
    assert f"{100 * melanoma.high:.2f}] ‡" in text
    assert "\n‡ from fewer than 10 patients or lesions: the interval may be too narrow.\n" in text
    assert not {"†", "‡"} & set(plain.partition("## Labels")[0])


def test_a_sensitivity_that_is_whole_in_all_runs_has_the_exact_bound():
    labels = np.arange(40) % 2
    cases = Cases([str(i) for i in range(40)], {"d": ("a", "b")}, {"d": labels}, {"d": np.eye(2)[labels]})
    worse = cases.probabilities["d"].copy()
    worse[:10:2] = (0.4, 0.6)  # five of a, called b
    found = seed_scores([cases, replace(cases, probabilities={"d": worse})], resamples=50)
    whole = found["d/sensitivity:b"]
    assert (whole.low, whole.high) == pytest.approx((0.025 ** (1 / 20), 1))
    called = found["d/precision:a"]  # of 20 by one run, of 15 by the other
    assert (called.low, called.high) == pytest.approx((0.025 ** (1 / 15), 1))
