"""Prediction sets cover as stated, in simulation, and survive config.json."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from evaluation_cases import CLASSES, make, random_probabilities

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, ConformalSets, coverage_report, fit_conformal

CALIBRATION, NEW, REPEATS = 99, 400, 200


def sample(rng: np.random.Generator, count: int) -> Cases:
    """Overconfident probabilities, and a rare class that is under-predicted."""
    labels = rng.choice(3, size=count, p=[0.6, 0.15, 0.25])
    p = random_probabilities(rng, labels, 3) ** 2 * (1, 0.15, 1)
    return Cases(range(count), {"d": CLASSES}, {"d": labels}, {"d": p / p.sum(1, keepdims=True)})


def simulate(method: str, by_class: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per repeat: coverage, share of sets that are the most probable class alone, coverage of each class."""
    rng = np.random.default_rng(0)
    covered, sizes, classes = [], [], []
    for _ in range(REPEATS):
        sets = fit_conformal(sample(rng, CALIBRATION), "d", method=method, by_class=by_class)
        report = coverage_report(sets, sample(rng, NEW), "d")
        covered.append(report["coverage"])
        sizes.append(report["mean_size"])
        classes.append([report["by_class"][name] for name in CLASSES])
    return np.array(covered), np.array(sizes), np.array(classes, dtype=float)


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_sets_cover_as_stated(method):
    covered, sizes, _ = simulate(method, by_class=False)
    error = covered.std() / math.sqrt(REPEATS)
    assert covered.mean() > 0.9 - 3 * error
    assert 1 < sizes.mean() < 2.9  # not by giving every class
    if method == "lac":  # nearly exact: at most 1 / (n + 1) above
        assert covered.mean() < 0.9 + 1 / (CALIBRATION + 1) + 3 * error


def test_by_class_covers_the_rare_class_too():
    together, alone = (simulate("lac", by_class)[2].mean(0) for by_class in (False, True))
    assert together[1] < 0.87  # what coverage over all classes leaves out
    assert (alone > 0.89).all()


def test_thresholds_are_the_stated_order_statistic():
    cases = make(19)
    own = np.sort(1 - cases.probabilities["diagnosis"][np.arange(19), cases.labels["diagnosis"]])
    assert fit_conformal(cases, "diagnosis", coverage=0.9).thresholds["NV"] == own[17]  # ceil(20 * 0.9) = 18th
    assert fit_conformal(cases, "diagnosis", coverage=0.8).thresholds["NV"] == own[15]
    cases = make(9)  # the least: the worst of them
    own = 1 - cases.probabilities["diagnosis"][np.arange(9), cases.labels["diagnosis"]]
    assert fit_conformal(cases, "diagnosis", coverage=0.9).thresholds["NV"] == own.max() < 1
    cases = make(24)
    own = np.sort(1 - cases.probabilities["diagnosis"][np.arange(24), cases.labels["diagnosis"]])
    found = fit_conformal(cases, "diagnosis", coverage=0.56)
    assert found.thresholds["NV"] == own[13] and found.coverage == 0.56  # 25 * 0.56 is above 14 by rounding alone


def test_members_of_each_method():
    p = np.array([[0.5, 0.3, 0.2]])
    lac = ConformalSets("lac", 0.9, dict.fromkeys(CLASSES, 0.7), dict.fromkeys(CLASSES, 9))
    aps = ConformalSets("aps", 0.9, dict.fromkeys(CLASSES, 0.8), dict.fromkeys(CLASSES, 9))
    assert lac.members(p).tolist() == aps.members(p).tolist() == [[True, True, False]]
    assert lac.members(p - [0, 1e-12, 0]).tolist() == [[True, True, False]]  # another runtime's last digits
    assert lac.set_of({"NV": 0.5, "MEL": 0.2, "BCC": 0.3}) == ("NV", "BCC")
    strict = ConformalSets("lac", 0.9, dict.fromkeys(CLASSES, 0.1), dict.fromkeys(CLASSES, 9))
    assert strict.members(p).tolist() == [[True, False, False]]  # never empty
    assert aps.members(np.array([[0.4, 0.4, 0.2]])).tolist() == [[True, True, False]]  # equals enter together
    p = np.array([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1], [0.9, 0.1, 0.0], [0.2, 0.2, 0.6]])
    cases = Cases(range(4), {"d": CLASSES}, {"d": np.array([0, 1, -1, 2])}, {"d": p})
    found = coverage_report(lac, cases, "d")  # sets of two, one and one, of known class
    assert (found["cases"], found["by_class"]) == (3, {"BCC": 1.0, "MEL": 0.0, "NV": 1.0})
    assert (found["coverage"], found["mean_size"], found["singletons"]) == pytest.approx((2 / 3, 4 / 3, 2 / 3))
    with pytest.raises(ConfigError, match="of the classes"):  # thresholds go by column
        coverage_report(lac, Cases(range(4), {"d": CLASSES[::-1]}, cases.labels, cases.probabilities), "d")


def test_sets_go_by_the_order_of_the_columns():
    p = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    sets = ConformalSets("lac", 0.9, dict(zip(CLASSES, (0.3, 0.6, 0.9))), dict.fromkeys(CLASSES, 9), by_class=True)
    other = sets.in_order(CLASSES[::-1])
    assert tuple(other.thresholds) == tuple(other.cases) == CLASSES[::-1] and other == sets
    assert (other.members(p[:, ::-1]) == sets.members(p)[:, ::-1]).all()


def test_classes_of_few_cases_are_in_every_set():
    labels = np.r_[np.zeros(40, int), np.ones(40, int), np.full(8, 2)]
    cases = Cases(**{**vars(make(88)), "labels": {"diagnosis": labels}})
    sets = fit_conformal(cases, "diagnosis", by_class=True)
    assert sets.cases == {"BCC": 40, "MEL": 40, "NV": 8} and sets.thresholds["NV"] == 1
    assert sets.members(np.array([[1.0, 0.0, 0.0]])).tolist() == [[True, False, True]]


def test_json_round_trip():
    sets = fit_conformal(make(), "diagnosis", method="aps", by_class=True)
    assert ConformalSets.from_dict(json.loads(json.dumps(sets.to_dict()))) == sets


@pytest.mark.parametrize(
    "change",
    [
        {"method": "x"},
        {"coverage": 1.0},
        {"coverage": "high"},
        {"thresholds": {"a": float("nan")}},
        {"thresholds": {}},
        {"new": 1},
    ],
)
def test_bad_records(change):
    data = {"method": "lac", "coverage": 0.9, "thresholds": {"a": 0.5}, "cases": {"a": 20}}
    ConformalSets.from_dict(data)
    with pytest.raises(ConfigError):
        ConformalSets.from_dict({**data, **change})


def test_too_few_cases_for_the_coverage():
    assert fit_conformal(make(9), "diagnosis").coverage == 0.9
    with pytest.raises(ConfigError, match="at least 9 cases of known class, got 8"):
        fit_conformal(make(8), "diagnosis")
    with pytest.raises(ConfigError, match="of the classes"):
        coverage_report(fit_conformal(make(), "diagnosis"), make(5, classes=("a", "b")), "diagnosis")
