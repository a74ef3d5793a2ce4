"""Figures as cards record them, beside those of the report, and what is said of doubtful intervals wherever they stand."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import make
from networks import build

from amfzoo.checks import UNCERTAIN, UNCERTAIN_NOTE
from amfzoo.evaluation import Cases, score_intervals
from amfzoo.evaluation.operating_point import called_scores, with_calls
from amfzoo.evaluation.recorded import recorded_metrics
from amfzoo.report.model_html import model_section

NAMES = ("accuracy", "macro_f1", "auroc")


def with_rare(cases: Cases) -> Cases:
    """The last class with two lesions only."""
    labels = np.where(np.arange(len(cases)) < 2, 2, np.minimum(cases.labels["diagnosis"], 1))
    return Cases(cases.ids, cases.tasks, {"diagnosis": labels}, cases.probabilities)


def test_rows_hold_the_scores_and_mark_averages_over_few():
    cases = with_rare(make(80))
    rows = {row["name"]: row for row in recorded_metrics(cases, "diagnosis", NAMES, "mine, test", resamples=200)}
    scores = score_intervals(cases, "diagnosis", resamples=200)
    assert list(rows) == list(NAMES)
    for name, row in rows.items():
        assert (row["value"], row["low"], row["high"]) == pytest.approx(
            (scores[name].value, scores[name].low, scores[name].high), abs=1e-6
        )
        assert (row["task"], row["data"], row["cases"]) == ("diagnosis", "mine, test", 80)
        assert row.get("uncertain", False) is (name != "accuracy")
    assert not any("uncertain" in row for row in recorded_metrics(make(80), "diagnosis", NAMES, "mine", resamples=200))


def test_an_exact_bound_is_no_average_over_few():
    """Nothing wrong in 80 cases, of which two are of one class: accuracy has a binomial bound, and is not marked."""
    cases = with_rare(make(80))
    cases = Cases(cases.ids, cases.tasks, cases.labels, {"diagnosis": np.eye(3)[cases.labels["diagnosis"]]})
    rows = {row["name"]: row for row in recorded_metrics(cases, "diagnosis", NAMES, "mine", resamples=200)}
    assert rows["accuracy"]["value"] == 1 and 0.9 < rows["accuracy"]["low"] < 1 == rows["accuracy"]["high"]
    assert score_intervals(cases, "diagnosis", resamples=200)["accuracy"].note and "uncertain" not in rows["accuracy"]


def test_what_is_called_has_rows_and_what_is_undefined_has_none():
    cases = make(60, classes=("absent", "present"))
    called = with_calls(cases, {"diagnosis": {"present": 0.3}}, dermoscopy=True)
    found = recorded_metrics(called, "diagnosis", ["accuracy"], "mine", resamples=50)
    assert [row["name"] for row in found] == ["accuracy", *called_scores(called, "diagnosis", resamples=50)]
    one = make(20)
    alone = Cases(one.ids, one.tasks, {"diagnosis": np.zeros(20, int)}, one.probabilities)
    assert [row["name"] for row in recorded_metrics(alone, "diagnosis", NAMES, "mine", resamples=50)] == [
        name for name in NAMES if np.isfinite(score_intervals(alone, "diagnosis", resamples=50)[name].value)
    ]


def test_the_page_of_an_answer_marks_them_as_the_card_does():
    config = build().config

    def page(cases):
        metrics = recorded_metrics(cases, "diagnosis", ("macro_f1", "accuracy"), "mine", resamples=50)
        return "".join(model_section(config.replace(info={"metrics": metrics}), "mine", "0"))

    assert page(with_rare(make(80))).count(UNCERTAIN) == 1 and UNCERTAIN_NOTE in page(with_rare(make(80)))
    assert UNCERTAIN.strip() not in page(make(80))
