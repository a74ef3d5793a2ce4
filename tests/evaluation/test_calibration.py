"""Temperatures against a grid, thresholds against a plain search."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluation_cases import CLASSES, make
from scipy.special import log_softmax, softmax
from scipy.stats import norm

from amfzoo.errors import ConfigError
from amfzoo.evaluation import (
    Cases,
    apply_temperatures,
    fit_temperatures,
    measure_threshold,
    threshold_for_sensitivity,
    weighted,
)
from amfzoo.evaluation.calibration import fit_temperature


@pytest.mark.parametrize("skill", [0.5, 3.0])
def test_temperature_equals_a_grid_search(skill):
    cases = make(300, skill=skill)
    labels, log_p = cases.labels["diagnosis"], np.log(cases.probabilities["diagnosis"])
    grid = np.exp(np.linspace(math.log(0.05), math.log(20), 600))

    def posterior(t: float) -> float:
        likelihood = log_softmax(log_p / t, axis=1)[np.arange(300), labels].sum()
        return likelihood + norm.logpdf(math.log(t), scale=0.4)

    best = grid[np.argmax([posterior(t) for t in grid])]
    assert fit_temperature(labels, cases.probabilities["diagnosis"]) == pytest.approx(best, rel=0.01)


def test_few_cases_that_are_all_right_do_not_make_certain():
    def fitted(count: int) -> float:
        labels = np.arange(count) % 2
        return fit_temperature(labels, np.where(labels[:, None] == [0, 1], 0.9, 0.1))

    # where the slopes over log T cancel: of the normal distribution, and of each case's logarithm of its probability
    for count in (1, 10, 100):
        t = fitted(count)
        logit = math.log(9) / t
        assert -math.log(t) / 0.4**2 == pytest.approx(count * logit / (1 + math.exp(logit)), rel=0.01)
    assert 1 > fitted(1) > 0.9 > fitted(10) > 0.5 > fitted(100) > 0.2


def test_temperature_undoes_a_known_one():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20000, 3)) * 2
    labels = (softmax(logits, axis=1).cumsum(1) > rng.random((20000, 1))).argmax(1)
    assert fit_temperature(labels, softmax(3 * logits, axis=1)) == pytest.approx(3, rel=0.05)


def test_temperatures_per_task_leave_out_what_is_unknown():
    a, b = make(100, skill=0.5), make(100, 1, skill=3)
    known = np.r_[np.full(50, -1), b.labels["diagnosis"][50:]]
    cases = Cases(
        a.ids, dict.fromkeys("abc", CLASSES), {"a": a.labels["diagnosis"], "b": known, "c": np.full(100, -1)},
        {"a": a.probabilities["diagnosis"], "b": b.probabilities["diagnosis"], "c": b.probabilities["diagnosis"]},
    )  # fmt: skip
    found = fit_temperatures(cases)
    assert set(found) == {"a", "b"}
    assert found["b"] == fit_temperature(known[50:], b.probabilities["diagnosis"][50:])


def test_applying_a_temperature():
    cases = make(20)
    cooled = apply_temperatures(cases, {"diagnosis": 2.0}).probabilities["diagnosis"]
    roots = np.sqrt(cases.probabilities["diagnosis"])  # p ** (1 / T)
    np.testing.assert_allclose(cooled, roots / roots.sum(1, keepdims=True))
    assert (apply_temperatures(cases, {}).probabilities["diagnosis"] == cases.probabilities["diagnosis"]).all()
    for wrong in (0, math.inf):
        with pytest.raises(ConfigError, match="positive number"):
            apply_temperatures(cases, {"diagnosis": wrong})
    with pytest.raises(ConfigError, match="no task"):
        apply_temperatures(cases, {"x": 1.0})


@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("positive", ["MEL", ("MEL", "BCC")])
def test_threshold_lies_below_the_highest_that_reaches_the_sensitivity(wanted, positive):
    cases = make(90)
    names = (positive,) if isinstance(positive, str) else positive
    columns = [CLASSES.index(name) for name in names]
    score, truth = cases.probabilities["diagnosis"][:, columns].sum(1), np.isin(cases.labels["diagnosis"], columns)
    fitting = [t for t in score if np.mean(score[truth] >= t) >= wanted]
    point = threshold_for_sensitivity(cases, "diagnosis", positive, wanted, resamples=100)
    lower = max(score[score < max(fitting)])
    assert point.threshold == pytest.approx((max(fitting) + lower) / 2) and point.positive == names
    assert point.sensitivity.value == np.mean(score[truth] >= max(fitting)) >= wanted
    assert point.specificity.value == np.mean(score[~truth] < max(fitting))
    assert point.specificity.low <= point.specificity.value <= point.specificity.high
    assert (point.positives, point.negatives) == (truth.sum(), (~truth).sum())
    assert json.loads(json.dumps(point.to_dict()))["positive"] == list(names)


def test_interval_of_the_specificity_holds_for_the_choice_of_the_threshold():
    cases = make(300)
    point = threshold_for_sensitivity(cases, "diagnosis", "MEL", 0.9, resamples=400)
    fixed = measure_threshold(cases, "diagnosis", "MEL", point.threshold, resamples=400)
    assert fixed.specificity.value == point.specificity.value
    width = point.specificity.high - point.specificity.low
    assert width > 1.3 * (fixed.specificity.high - fixed.specificity.low)
    # the same by the slow way: threshold and specificity of each resample
    score, truth = cases.probabilities["diagnosis"][:, 1], cases.labels["diagnosis"] == 1
    rng, values = np.random.default_rng(0), []
    for _ in range(400):
        rows = rng.integers(300, size=300)
        s, t = score[rows], truth[rows]
        ordered = np.sort(s[t])[::-1]
        values.append(np.mean(s[~t] < ordered[math.ceil(0.9 * len(ordered)) - 1]))
    assert [point.specificity.low, point.specificity.high] == pytest.approx(
        np.percentile(values, [2.5, 97.5]), abs=0.04
    )


def test_threshold_on_other_cases_and_without_positives():
    point = measure_threshold(make(50), "diagnosis", "MEL", 0.4, resamples=50)
    assert 0 < point.sensitivity.low < point.sensitivity.high
    benign = Cases(**{**vars(make(50)), "labels": {"diagnosis": np.zeros(50, dtype=int)}})
    found = measure_threshold(benign, "diagnosis", "MEL", 0.4, resamples=50)
    assert math.isnan(found.sensitivity.value) and found.sensitivity.note == "no positive case"
    malign = Cases(**{**vars(make(50)), "labels": {"diagnosis": np.ones(50, dtype=int)}})
    for cases in (benign, malign):
        with pytest.raises(ConfigError, match="with and without MEL"):
            threshold_for_sensitivity(cases, "diagnosis", "MEL", 0.9)


def test_a_case_at_the_threshold_is_called():
    score, truth = np.array([0.75, 0.5, 0.25, 0.5, 0.25]), np.array([1, 1, 1, 0, 0])
    cases = Cases(range(5), {"d": ("a", "b")}, {"d": truth}, {"d": np.stack([1 - score, score], 1)})
    point = measure_threshold(cases, "d", "b", 0.5, resamples=0)
    assert (point.sensitivity.value, point.specificity.value) == (2 / 3, 1 / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("x", "MEL", 0.9), "no task"),
        (("diagnosis", "XX", 0.9), "no class 'XX'"),
        (("diagnosis", "MEL", 0), "must lie in"),
        (("diagnosis", "MEL", 1.1), "must lie in"),
        (("diagnosis", CLASSES, 0.9), "not all"),
        (("diagnosis", (), 0.9), "some"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ConfigError, match=message):
        threshold_for_sensitivity(make(), *arguments)


def test_a_threshold_from_a_table_finds_the_cases_of_the_model(tmp_path):
    """A table rounds: the case that set the threshold must not fall below it with the model's own digits."""
    cases = make(90)
    cases.write(tmp_path / "cases.csv")
    stored = Cases.read(tmp_path / "cases.csv")
    for wanted in np.linspace(0.05, 1, 20):
        point = threshold_for_sensitivity(stored, "diagnosis", "MEL", wanted, resamples=0)
        again = measure_threshold(cases, "diagnosis", "MEL", point.threshold, resamples=0)
        assert again.sensitivity.value == point.sensitivity.value >= wanted
        assert again.specificity.value == point.specificity.value


def test_what_differs_in_the_last_digits_alone_is_a_tie():
    score, truth = np.array([0.9, 0.1 + 0.2, 0.3, 0.3, 0.05]), np.array([1, 1, 0, 0, 0])
    cases = Cases(range(5), {"d": ("a", "b")}, {"d": truth}, {"d": np.stack([1 - score, score], 1)})
    point = threshold_for_sensitivity(cases, "d", "b", 1.0, resamples=0)
    assert point.threshold == pytest.approx(0.175) and point.specificity.value == pytest.approx(1 / 3)
    alike = Cases(range(4), {"d": ("a", "b")}, {"d": truth[:4]}, {"d": np.full((4, 2), 0.5)})
    assert threshold_for_sensitivity(alike, "d", "b", 0.5, resamples=0).threshold == 0.25


def test_a_whole_number_of_cases_is_not_rounded_up_and_a_perfect_specificity_has_an_exact_bound():
    score, truth = np.linspace(0.98, 0.2, 50), np.arange(50) % 2 == 0  # positives and negatives in turn
    cases = Cases(range(50), {"d": ("a", "b")}, {"d": truth.astype(int)}, {"d": np.stack([1 - score, score], 1)})
    point = threshold_for_sensitivity(cases, "d", "b", 0.56, resamples=0)
    between = pytest.approx((score[26] + score[27]) / 2)
    assert (point.threshold, point.sensitivity.value) == (between, 0.56)  # 25 * 0.56 is above 14 by rounding alone
    assert weighted.specificity_at(truth, score, np.ones((1, 50)), 0.56) == pytest.approx(point.specificity.value)
    perfect = Cases(range(50), cases.tasks, cases.labels, {"d": np.eye(2)[truth.astype(int)]})
    found = threshold_for_sensitivity(perfect, "d", "b", 0.9, resamples=50).specificity
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 25), 1))


def test_saturated_probabilities_keep_the_specificity_within_its_interval():
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-np.r_[rng.normal(15, 1.5, 300), rng.normal(13, 1.5, 300)]))
    labels = np.r_[np.ones(300, int), np.zeros(300, int)]
    cases = Cases(list(map(str, range(600))), {"d": ("N", "M")}, {"d": labels}, {"d": np.stack([1 - p, p], 1)})
    found = threshold_for_sensitivity(cases, "d", "M", 0.5, resamples=200).specificity
    assert found.low <= found.value <= found.high


def test_interval_of_the_specificity_ties_where_the_threshold_does():
    """Cases that differ in the last digits alone are called together, on the cases and on each resample."""
    p = np.r_[np.full(20, 0.5), np.full(50, 0.5 - 1e-7), np.full(50, 0.1)]
    labels = np.r_[np.ones(20, int), np.zeros(100, int)]
    cases = Cases(list(map(str, range(120))), {"d": ("N", "M")}, {"d": labels}, {"d": np.stack([1 - p, p], 1)})
    found = threshold_for_sensitivity(cases, "d", "M", 0.9, resamples=200).specificity
    assert found.value == 0.5 and found.low < 0.5 < found.high


@pytest.mark.parametrize(("few", "patients"), [("all", 3), ("positive", 4), ("negative", 4), ("none", None)])
def test_an_interval_from_few_patients_says_so_also_where_the_threshold_is_chosen_anew(few, patients):
    """Of few positive patients, too, who choose the threshold."""
    base = make(100, skill=1)
    of = {"all": np.full(100, True), "none": np.full(100, False), "positive": base.labels["diagnosis"] == 1}
    of["negative"] = ~of["positive"]
    groups = [f"patient:{i % patients if of[few][i] else i + 10}" for i in range(100)]
    cases = Cases(**{**vars(base), "groups": groups})
    found = threshold_for_sensitivity(cases, "diagnosis", "MEL", 0.8, resamples=50)
    from_few, anew = f"interval from only {patients} patients or lesions", "threshold chosen anew on each resample"
    assert found.specificity.note == (anew if few == "none" else f"{from_few}; {anew}")
    assert found.sensitivity.note == (from_few if few in ("all", "positive") else "")
    fixed = measure_threshold(cases, "diagnosis", "MEL", found.threshold, resamples=50)
    assert fixed.specificity.note == (from_few if few in ("all", "negative") else "")


def test_a_specificity_that_few_resamples_define_has_no_interval():
    """Two patients, one with all positive cases: on half of the resamples there is no threshold or nothing to call by it."""
    rows = np.array([[0.1, 0.9], [0.6, 0.4], [0.4, 0.6], [0.7, 0.3]])
    groups = ["patient:a", "patient:a", "patient:b", "patient:b"]
    cases = Cases(range(4), {"d": ("N", "M")}, {"d": np.array([1, 1, 0, 0])}, {"d": rows}, groups=groups)
    notes = {
        threshold_for_sensitivity(cases, "d", "M", 1, resamples=50, seed=seed).specificity.note for seed in range(6)
    }
    assert "no interval: too few cases, most resamples lack a class" in notes
    assert notes <= {
        "no interval: too few cases, most resamples lack a class",
        "no interval: the same on nearly every resample",
    }


def test_numbers_that_are_none_are_refused():
    """A threshold of NaN would call nothing, with a specificity of 1."""
    cases = make(12)
    for temperature in ("2", None):
        with pytest.raises(ConfigError, match="'diagnosis' must be a positive number"):
            apply_temperatures(cases, {"diagnosis": temperature})
    for wrong in ("0.9", None, math.nan):
        with pytest.raises(ConfigError, match="wanted sensitivity must lie in"):
            threshold_for_sensitivity(cases, "diagnosis", "MEL", wrong)
        with pytest.raises(ConfigError, match="the threshold must be a number"):
            measure_threshold(cases, "diagnosis", "MEL", wrong)
