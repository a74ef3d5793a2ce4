"""Intervals of a row, and of its difference from the control, against formulas that know nothing of a bootstrap."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from evaluation_cases import make, make_derm7pt

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, paired_difference, score_intervals, task_scores
from benchmarks.asymmetry.figures import SCORES, score_rows

Z = 1.959964


def twin_runs(count: int = 400) -> tuple[np.ndarray, dict[str, dict[int, Cases]], dict[str, dict[int, np.ndarray]]]:
    """Labels of two classes, predictions of two rows and three seeds that err on much the same cases, and their hits."""
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(count // 4, int), np.ones(count - count // 4, int)]
    hard = rng.normal(size=count)  # of the lesion, shared by all runs
    rows, hits = {}, {}
    for row, skill in (("control", 0.9), ("other", 1.1)):
        rows[row], hits[row] = {}, {}
        for seed in range(3):
            hit = skill + hard + 0.5 * rng.normal(size=count) > 0
            p = np.where(hit, 0.8, 0.2)
            probabilities = np.stack([np.where(labels == 0, p, 1 - p), np.where(labels == 1, p, 1 - p)], 1)
            ids = [f"L{i}" for i in range(count)]
            rows[row][seed] = Cases(ids, {"diagnosis": ("a", "b")}, {"diagnosis": labels}, {"diagnosis": probabilities})
            hits[row][seed] = hit.astype(float)
    return labels, rows, hits


def standard_error(labels: np.ndarray, values: np.ndarray) -> float:
    """Of the mean over classes of the mean of `values` in each, by the usual formula."""
    parts = [values[labels == c] for c in (0, 1)]
    return math.sqrt(sum(part.var(ddof=1) / len(part) for part in parts)) / 2


def test_interval_of_a_paired_difference_is_that_of_the_plain_formula():
    labels, rows, hits = twin_runs()
    found = score_rows(rows, resamples=4000)
    figure = found["other"].minus(found["control"], "balanced_accuracy")
    per_case = np.mean([hits["other"][s] - hits["control"][s] for s in range(3)], axis=0)
    expected = np.mean([per_case[labels == c].mean() for c in (0, 1)])
    margin = Z * standard_error(labels, per_case)
    assert figure.value == pytest.approx(expected)
    assert (figure.high - figure.low) / 2 == pytest.approx(margin, rel=0.06)
    assert (figure.high + figure.low) / 2 == pytest.approx(expected, abs=0.1 * margin)
    single = np.sqrt(sum(standard_error(labels, np.mean(list(hits[row].values()), 0)) ** 2 for row in rows))
    assert margin < 0.7 * Z * single  # so that an unpaired interval would have failed


def test_interval_of_a_row_is_of_the_mean_over_seeds():
    labels, rows, hits = twin_runs()
    figure = score_rows(rows, resamples=4000)["control"].figure("balanced_accuracy")
    mean = np.mean(list(hits["control"].values()), axis=0)
    assert (figure.high - figure.low) / 2 == pytest.approx(Z * standard_error(labels, mean), rel=0.06)
    per_seed = [np.mean([h[labels == c].mean() for c in (0, 1)]) for h in hits["control"].values()]
    assert (figure.value, figure.sd, figure.seeds) == (
        pytest.approx(np.mean(per_seed)),
        pytest.approx(np.std(per_seed, ddof=1)),
        3,
    )


def test_one_seed_gives_what_the_package_gives():
    a, b = make(seed=1), make(seed=2)
    found = score_rows({"a": {0: a}, "b": {0: b}}, resamples=300)
    paired = paired_difference(a, b, "diagnosis", resamples=300)["diagnosis"]
    alone = score_intervals(b, "diagnosis", resamples=300)
    for score in SCORES:
        figure, own = found["b"].minus(found["a"], score), found["b"].figure(score)
        assert (figure.value, figure.low, figure.high) == pytest.approx(
            (paired[score].value, paired[score].low, paired[score].high)
        )
        assert (own.value, own.low, own.high) == pytest.approx(
            (alone[score].value, alone[score].low, alone[score].high)
        )
        assert math.isnan(figure.sd)


def test_rows_need_not_list_the_lesions_in_one_order():
    a, b = make(seed=1), make(seed=2)
    turned = b.select(np.arange(len(b))[::-1])
    straight, other = (score_rows({"a": {0: a}, "b": {0: c}}, resamples=50) for c in (b, turned))
    found, expected = (astuple(rows["b"].minus(rows["a"], "auroc")) for rows in (other, straight))
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_row_never_differs_from_itself():
    runs = {seed: make(seed=seed) for seed in range(2)}
    found = score_rows({"a": runs, "b": runs}, resamples=50)
    figure = found["b"].minus(found["a"], "macro_f1")
    assert (figure.value, figure.low, figure.high, figure.sd) == (0, 0, 0, 0)


def test_differences_are_of_the_seeds_that_both_rows_have():
    runs = {seed: make(seed=seed) for seed in range(3)}
    found = score_rows({"a": {0: runs[0], 2: runs[2]}, "b": {2: runs[1], 1: runs[0]}, "c": {7: runs[0]}}, resamples=20)
    figure = found["b"].minus(found["a"], "macro_f1")
    values = [task_scores(runs[i], "diagnosis")["macro_f1"].value for i in (1, 2)]
    assert (figure.value, figure.seeds) == (pytest.approx(values[0] - values[1]), 1)
    assert found["c"].minus(found["a"], "macro_f1") is None


def test_several_tasks_are_averaged_and_one_can_be_chosen():
    cases = make_derm7pt()
    values = [task_scores(cases, task)["auroc"].value for task in cases.tasks]
    assert score_rows({"a": {0: cases}}, resamples=20)["a"].figure("auroc").value == pytest.approx(np.mean(values))
    chosen = score_rows({"a": {0: cases}}, "streaks", resamples=20)["a"].figure("auroc").value
    assert chosen == pytest.approx(task_scores(cases, "streaks")["auroc"].value)
    with pytest.raises(ConfigError, match="no task 'none'"):
        score_rows({"a": {0: cases}}, "none")


def test_other_lesions_cannot_be_compared():
    with pytest.raises(ConfigError, match="same lesions"):
        score_rows({"a": {0: make(60)}, "b": {0: make(61)}})
