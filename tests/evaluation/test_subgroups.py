"""Subgroups: who is in them, their scores, and those too small to have any."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import make

from amfzoo.data.records import Lesion
from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, score_intervals, subgroup_scores
from amfzoo.evaluation.cases_checks import UNKNOWN
from amfzoo.evaluation.subgroups import MINIMUM, NOT_RECORDED, all_subgroups, default_columns, members
from amfzoo.inference import Prediction

CELLS = ("f", NOT_RECORDED, "", "NA", "nan", "f")


def test_ages_come_in_bands():
    ages = ["0", "29", "29.9", "30", "44", "45", "60", "75", "100", "", "nan", "old", "-1"]
    found = {
        name: np.flatnonzero(rows).tolist() for name, rows in members(make(13, metadata={"age": ages}), "age").items()
    }
    assert found == {
        "-1": [12], "0-29": [0, 1, 2], "30-44": [3, 4], "45-59": [5], "60-74": [6], "75+": [7, 8], "old": [11], "not recorded": [9, 10]
    }  # fmt: skip


def test_numbers_with_decimal_commas():
    cases = make(4, metadata={"age": ["30,5", "29,9", "100,0", "1,5,2"], "site": ["10,5", "x", "2,5", "1"]})
    assert list(members(cases, "age")) == ["0-29", "30-44", "75+", "1,5,2"]
    assert list(members(cases, "site")) == ["1", "2,5", "10,5", "x"]


def test_other_columns_are_taken_as_they_are_in_order():
    cases = make(6, metadata={"skin_tone": ["10", "2", "", "2", "V", "10"]})
    assert list(members(cases, "skin_tone")) == ["2", "10", "V", "not recorded"]


def test_columns_without_a_record_of_a_tasks_cases_are_left_out():
    labels = {"a": np.array([0, 1, UNKNOWN, UNKNOWN]), "b": np.array([UNKNOWN, UNKNOWN, 0, 1])}
    rows = np.full((4, 2), 0.5)
    tasks = dict.fromkeys(labels, ("x", "y"))
    metadata = {"sex": ["f", "m", "", ""], "site": ["arm", "", "leg", ""]}
    cases = Cases(list("1234"), tasks, labels, dict.fromkeys(labels, rows), metadata=metadata)
    assert list(all_subgroups(cases, "a")) == ["sex", "site"] and list(all_subgroups(cases, "b")) == ["site"]


def test_default_columns_are_those_recorded():
    cases = make(
        3, metadata={"sex": ["", "", ""], "age_approx": ["", "5", ""], "camera": ["a", "b", "c"], "site": ["x", "", ""]}
    )
    assert default_columns(cases) == ["age_approx", "site"]


def test_scores_are_those_of_the_cases_alone_and_small_groups_have_counts_only():
    sex = np.array(["f"] * 70 + ["m"] * (MINIMUM - 1) + ["x"] * MINIMUM)
    groups = [f"patient:{i // 2}" for i in range(len(sex))]
    cases = make(len(sex), metadata={"sex": sex.tolist()}, groups=groups)
    last = cases.labels["diagnosis"][-MINIMUM:]
    last[last == 2], last[0] = 0, 2  # of one patient of the last group alone
    rows = {row["subgroup"]: row for row in subgroup_scores(cases, "diagnosis", "sex", resamples=50)}
    assert [rows[name]["cases"] for name in "fmx"] == [70, MINIMUM - 1, MINIMUM]
    assert rows["m"]["scores"] == {} and sum(rows["m"]["counts"].values()) == MINIMUM - 1
    for name in "fx":
        alone = score_intervals(cases.select(sex == name), "diagnosis", resamples=50)
        assert {"accuracy", "auroc", "sensitivity:MEL"} <= set(rows[name]["scores"])
        assert rows[name]["scores"] == {score: alone[score] for score in rows[name]["scores"]}
    assert "uncertain" in rows["x"]["scores"]["auroc"].note and not rows["f"]["scores"]["auroc"].note


def test_only_known_labels_count():
    cases = make(60, metadata={"sex": ["f"] * 60})
    labels = np.r_[np.full(31, -1), cases.labels["diagnosis"][31:]]
    (row,) = subgroup_scores(Cases(**{**vars(cases), "labels": {"diagnosis": labels}}), "diagnosis", "sex")
    assert row["cases"] == 29 and not row["scores"]


def test_unknown_column():
    with pytest.raises(ConfigError, match="no metadata 'eyes'; they have sex"):
        members(make(3, metadata={"sex": ["f", "f", "m"]}), "eyes")


def test_what_programs_write_for_nothing_and_the_words_themselves_are_one_group():
    lesions = [Lesion(str(i), labels={"d": "a"}, metadata={"Sex": cell}) for i, cell in enumerate(CELLS)]
    cases = Cases.from_predictions(lesions, [Prediction({"d": {"a": 0.5, "b": 0.5}})] * len(CELLS), {"d": ("a", "b")})
    assert default_columns(cases) == ["Sex"]
    found = members(cases, "Sex")
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "f": [True, False, False, False, False, True], NOT_RECORDED: [False, True, True, True, True, False],
    }  # fmt: skip


def test_ages_in_capitals_have_bands():
    cases = make(3, metadata={"Age": ["31", "inf", "44"]})
    assert list(members(cases, "Age")) == ["30-44", "inf"]
