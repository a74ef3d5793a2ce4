"""Intervals cover the truth where lesions of a patient are alike; comparisons are paired."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import CLASSES, make
from scipy.stats import norm

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, paired_difference, score_intervals, weighted
from amfzoo.evaluation.intervals import exact, few_groups, group_weights, percentile, resample, with_intervals
from amfzoo.evaluation.metrics import Score
from amfzoo.evaluation.paired import differences

PATIENTS, LESIONS, SIMULATIONS = 60, 5, 300
ALONE = [str(i) for i in range(PATIENTS * LESIONS)]
TOGETHER = [str(i // LESIONS) for i in range(PATIENTS * LESIONS)]


def covered(truth: float, draw, groups: list[str]) -> float:
    """Share of simulated data sets whose interval holds the truth; `draw` gives the statistic of one."""
    hits = 0
    for seed in range(SIMULATIONS):
        values = resample(draw(np.random.default_rng(seed)), groups, resamples=200, seed=seed)["score"]
        low, high = percentile(values)
        hits += low <= truth <= high
    return hits / SIMULATIONS


def accuracy(rng):
    """Each patient has an own difficulty; the mean accuracy is 0.75."""
    right = rng.random(PATIENTS * LESIONS) < np.repeat(rng.beta(1.5, 0.5, PATIENTS), LESIONS)
    return lambda weights: {"score": weighted.mean(right, weights)}


def area(rng):
    """Lesions of a patient share the class and half of the variance of the score."""
    positive = np.repeat(rng.random(PATIENTS) < 0.5, LESIONS)
    score = positive + np.repeat(rng.normal(size=PATIENTS), LESIONS) + rng.normal(size=PATIENTS * LESIONS)
    return lambda weights: {"score": weighted.auroc(positive, score, weights)}


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "truth"), [(accuracy, 0.75), (area, norm.cdf(1 / 2))])
def test_intervals_by_patient_cover_and_by_lesion_do_not(draw, truth):
    # 300 simulations have a standard error of 1.3 %
    assert 0.91 <= covered(truth, draw, TOGETHER) <= 0.99
    assert covered(truth, draw, ALONE) < 0.88


def test_groups_are_drawn_whole():
    weights = np.concatenate(list(group_weights(["a", "b", "a", "c"], 50, seed=3)))
    assert weights.shape == (50, 4) and (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 1:].sum(1) == 3).all()  # three groups are drawn
    assert weights[:, 0].std() > 0


def test_draws_do_not_depend_on_the_chunk_and_follow_the_seed():
    whole, parts = (np.concatenate(list(group_weights(ALONE, 40, seed=1, chunk=chunk))) for chunk in (40, 7))
    assert (whole == parts).all()
    assert (whole != np.concatenate(list(group_weights(ALONE, 40, seed=2)))).any()


def test_interval_equals_the_plain_bootstrap():
    cases = make(200, groups=[f"patient:{i // 4}" for i in range(200)])
    found = score_intervals(cases, "diagnosis", resamples=400)["accuracy"]
    right = (cases.probabilities["diagnosis"].argmax(1) == cases.labels["diagnosis"]).reshape(50, 4)
    rng = np.random.default_rng(5)
    means = [right[rng.integers(50, size=50)].mean() for _ in range(4000)]
    assert found.value == right.mean()
    assert [found.low, found.high] == pytest.approx(np.percentile(means, [2.5, 97.5]), abs=0.015)


def test_every_defined_score_lies_in_its_interval():
    for name, score in score_intervals(make(150, skill=0.5), "diagnosis", resamples=200).items():
        assert score.low < score.value < score.high, name


def test_the_calibration_error_interval_holds_the_truth_of_calibrated_probabilities():
    """Where the truth is known to be 0, the interval of most samples must reach down to small values."""
    lows = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        p = rng.dirichlet(np.ones(3), 300)
        labels = (rng.random(300)[:, None] > p.cumsum(1)).sum(1)
        cases = Cases([f"L{i}" for i in range(300)], {"d": ("a", "b", "c")}, {"d": labels}, {"d": p})
        found = score_intervals(cases, "d", resamples=100)["ece"]
        assert found.low < found.value < found.high
        lows.append(found.low)
    assert np.median(lows) < 0.03  # plain percentiles: 0.043


def test_perfect_shares_get_an_exact_bound():
    labels = np.arange(40) % 2
    groups = [f"patient:{name}" for name in TOGETHER[:40]]
    cases = Cases(ALONE[:40], {"d": ("a", "b")}, {"d": labels}, {"d": np.eye(2)[labels]}, groups=groups)
    found = score_intervals(cases, "d", resamples=50)
    bound = 0.025 ** (1 / 8)  # 8 patients, not 40 lesions
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx((bound, 1))
    assert "8 independent" in found["sensitivity:a"].note
    assert math.isnan(found["auroc"].low) and "the same on nearly every resample" in found["auroc"].note
    zero = exact(0.0, 10)
    assert zero.low == 0 and zero.high == pytest.approx(0.3085, abs=1e-4)  # tabulated bound of 0 of 10


def test_a_class_of_few_cases_has_no_interval_for_its_ranking():
    labels = np.r_[np.zeros(30, int), np.ones(30, int), 2, 2]
    base = make(62)
    cases = Cases(**{**vars(base), "labels": {"diagnosis": labels}})
    found = score_intervals(cases, "diagnosis", resamples=100)
    assert math.isnan(found["auroc:NV"].low) and "fewer than 5" in found["auroc:NV"].note
    assert math.isfinite(found["auroc"].low) and found["auroc"].note.endswith("of NV")
    assert not found["auroc:MEL"].note
    groups = [f"patient:{i if i < 30 else i % 4}" for i in range(62)]  # 32 lesions of MEL and NV, of four patients
    found = score_intervals(replace(base, labels={"diagnosis": labels}, groups=groups), "diagnosis", resamples=100)
    assert math.isnan(found["auroc:MEL"].low) and "fewer than 5" in found["auroc:MEL"].note


@pytest.mark.parametrize("count, kept", [(4, False), (5, True)])
def test_five_lesions_of_a_class_are_enough_for_its_ranking(count, kept):
    labels = np.r_[np.zeros(30, int), np.ones(30, int), np.full(count, 2)]
    found = score_intervals(replace(make(60 + count), labels={"diagnosis": labels}), "diagnosis", resamples=100)
    for name in ("auroc", "average_precision"):
        rare, average = found[f"{name}:NV"], found[name]
        assert math.isfinite(rare.low) == (not rare.note) == (not average.note) == kept


def test_the_calibration_error_interval_lies_around_the_value_and_not_below_zero():
    draws = {"ece": np.array([0.06, 0.1, 0.12, 0.14, 0.3])}  # the median is 0.12
    for level, bounds in ((0.5, (0.01, 0.05)), (0.999, (0, 0.21))):
        found = with_intervals({"ece": Score(0.03)}, lambda w: draws, list("abcdefghij"), resamples=5, level=level)[
            "ece"
        ]
        assert (found.low, found.high) == pytest.approx(bounds, abs=1e-3) and found.low >= 0


def test_lesions_of_one_patient_alone_have_no_interval():
    cases = replace(make(20), groups=["patient:1"] * 20)
    found = score_intervals(cases, "diagnosis", resamples=50)
    assert all(math.isnan(score.low) and score.note for score in found.values())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_cases_give_reasons_not_warnings(count):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score_intervals(make(count), "diagnosis", resamples=50)
        nothing = score_intervals(Cases(**{**vars(make(2)), "labels": {"diagnosis": np.array([-1, -1])}}), "diagnosis")
    assert all(score.note for score in found.values() if math.isnan(score.low))
    assert all(math.isnan(score.value) and score.note for score in nothing.values())


def test_no_resamples_no_intervals():
    assert all(math.isnan(score.low) for score in score_intervals(make(), "diagnosis", resamples=0).values())


def test_same_seed_same_interval():
    first, second, other = (
        score_intervals(make(), "diagnosis", resamples=100, seed=seed)["auroc"] for seed in (1, 1, 2)
    )
    assert first == second and first.low != other.low


def test_difference_is_paired_and_aligned_by_id():
    a, b = make(200, 1, skill=1.0), make(200, 2, skill=2.5)
    found = paired_difference(a, b, resamples=400)["diagnosis"]
    gain = found["accuracy"]
    assert gain.value == pytest.approx(gain.second - gain.first) and gain.value > 0
    assert gain.low > 0 and gain.p < 0.02 and found["log_loss"].high < 0
    shuffled = paired_difference(a, b.select(np.random.default_rng(0).permutation(200)), resamples=400)["diagnosis"]
    assert repr(shuffled) == repr(found)  # some are NaN, which no record equals
    back = paired_difference(b, a, resamples=400)["diagnosis"]["accuracy"]
    assert (back.value, back.low, back.high, back.p) == pytest.approx((-gain.value, -gain.high, -gain.low, gain.p))


def test_a_clear_difference_has_the_smallest_p_value_that_resamples_can_show():
    """A hundred resamples that all lie on one side do not show a p-value of 0."""
    a, b = make(200, 1, skill=0.0), make(200, 2, skill=5.0)
    for first, second in ((a, b), (b, a)):
        found = paired_difference(first, second, resamples=100)["diagnosis"]
        assert [found[name].p for name in ("accuracy", "log_loss", "auroc")] == pytest.approx([2 / 101] * 3)


def test_difference_of_nearly_the_same_predictions_is_narrow():
    a = make(200, 1)
    p = a.probabilities["diagnosis"] + 1e-3
    near = Cases(**{**vars(a), "probabilities": {"diagnosis": p / p.sum(1, keepdims=True)}})
    difference = paired_difference(a, near, resamples=200)["diagnosis"]["log_loss"]
    alone = score_intervals(a, "diagnosis", resamples=200)["log_loss"]
    assert difference.high - difference.low < 0.05 * (alone.high - alone.low)


def test_no_difference_from_itself():
    found = dict(paired_difference(make(), make(), "diagnosis", resamples=50)["diagnosis"])
    error = found.pop("ece")  # of which resamples are biased
    assert error.value == 0 and np.isnan([error.low, error.high, error.p]).all() and "biased" in error.note
    assert all(d.value == 0 and np.isnan([d.low, d.high, d.p]).all() and "the same" in d.note for d in found.values())


def test_a_few_lesions_have_no_p_value_and_rare_classes_are_named():
    few = make(40).select(np.arange(6))
    other = replace(few, probabilities={task: p[:, ::-1] for task, p in few.probabilities.items()})
    found = paired_difference(few, other, "diagnosis", resamples=200)["diagnosis"]
    assert math.isnan(found["log_loss"].p) and found["log_loss"].note == "interval from only 6 patients or lesions"
    assert math.isfinite(found["log_loss"].low)
    many = make(100, skill=0)
    labels = np.where(many.labels["diagnosis"] == 1, 0, many.labels["diagnosis"])
    labels[:2] = 1
    many = replace(many, labels={**many.labels, "diagnosis": labels})
    other = replace(many, probabilities={task: p[:, ::-1] for task, p in many.probabilities.items()})
    found = paired_difference(many, other, "diagnosis", resamples=200)["diagnosis"]
    assert found["macro_f1"].note == f"interval uncertain: fewer than 5 patients or lesions of {CLASSES[1]}"
    assert math.isfinite(found["macro_f1"].p) and not found["accuracy"].note


def test_patients_that_one_side_alone_knows_are_drawn_as_one():
    lesions = make(60)
    patients = replace(lesions, groups=[f"patient:{i % 6}" for i in range(60)])
    other = replace(lesions, probabilities={task: p[:, ::-1] for task, p in lesions.probabilities.items()})
    pairs = [(lesions, other), (patients, other), (lesions, replace(other, groups=patients.groups))]
    plain, first, second = (paired_difference(*pair, "diagnosis", resamples=200)["diagnosis"] for pair in pairs)
    assert repr(first["accuracy"]) == repr(second["accuracy"]) and first["accuracy"].low != plain["accuracy"].low
    renamed = replace(other, groups=[f"patient:{'abcdef'[i % 6]}" for i in range(60)])
    again = paired_difference(patients, renamed, "diagnosis", resamples=200)["diagnosis"]
    assert repr(again) == repr(first)  # some are NaN, which no record equals
    for number in (lambda i: i % 5, lambda i: min(i % 6, 4)):  # others, or two of them taken for one
        with pytest.raises(ConfigError, match="same patients on both sides"):
            paired_difference(patients, replace(other, groups=[f"patient:{number(i)}" for i in range(60)]))


def test_classes_in_another_order_are_compared():
    cases = make(50)
    cases.labels["diagnosis"][-1] = -1  # unknown in any order
    order = [2, 0, 1]
    labels = np.array([{2: 0, 0: 1, 1: 2, -1: -1}[label] for label in cases.labels["diagnosis"]])
    other = replace(
        cases,
        tasks={"diagnosis": [CLASSES[i] for i in order]},
        labels={"diagnosis": labels},
        probabilities={"diagnosis": cases.probabilities["diagnosis"][:, order]},
    )
    found = paired_difference(cases, other, "diagnosis", resamples=20)["diagnosis"]
    assert {round(d.value, 12) for d in found.values()} == {0.0}


def test_difference_needs_a_task_in_common():
    other = Cases(
        **{
            **vars(make()),
            **{key: {"other": vars(make())[key]["diagnosis"]} for key in ("tasks", "labels", "probabilities")},
        }
    )
    with pytest.raises(ConfigError, match="no task in common"):
        paired_difference(make(), other)
    with pytest.raises(ConfigError, match="no task 'x'"):
        paired_difference(make(), make(), "x")


def test_a_gain_on_a_handful_of_cases_has_no_interval():
    a = make(100, skill=0)
    labels = np.where(a.labels["diagnosis"] == 1, 0, a.labels["diagnosis"])
    labels[0] = 1  # the only one of its class
    a = replace(a, labels={**a.labels, "diagnosis": labels})
    better = a.probabilities["diagnosis"].copy()
    better[0] = (0.01, 0.98, 0.01)
    worse = a.probabilities["diagnosis"].copy()
    worse[0] = (0.98, 0.01, 0.01)
    first, second = (replace(a, probabilities={**a.probabilities, "diagnosis": p}) for p in (worse, better))
    found = paired_difference(first, second, "diagnosis", resamples=50)["diagnosis"]
    for score in ("sensitivity", "auroc", "average_precision"):
        one = found[f"{score}:{CLASSES[1]}"]
        assert one.value > 0 and all(map(math.isnan, (one.low, one.high, one.p))) and "fewer than 5" in one.note
    assert math.isfinite(found[f"auroc:{CLASSES[0]}"].low) and math.isfinite(found["accuracy"].low)


def test_draws_without_a_value_or_a_difference():
    mostly_undefined = np.r_[np.full(60, np.nan), np.arange(40.0)]
    assert all(map(math.isnan, percentile(mostly_undefined))) and percentile(mostly_undefined[30:])[0] < 2
    draws = np.r_[np.zeros(60), np.ones(30), -np.ones(10)]  # no difference on most, which speaks for neither side
    points = [{"score": Score(value)} for value in (0.5, 0.6)]
    found = differences(*points, lambda weights: {"score": draws}, [str(i) for i in range(10)], resamples=1)["score"]
    assert found.p == 1 and not found.note and few_groups(9)
