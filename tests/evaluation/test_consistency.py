"""What the calibration error is by chance, against cases that are calibrated by construction."""

from __future__ import annotations

import numpy as np
import pytest

from amfzoo.evaluation import Cases, evaluate
from amfzoo.evaluation.consistency import accuracy_range, ece_if_calibrated
from amfzoo.evaluation.metrics import expected_calibration_error, reliability
from amfzoo.evaluation.report import to_csv, to_text


def calibrated(seed, count, classes=4):
    """Labels drawn from the probabilities themselves."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), count)
    return (rng.random(count)[:, None] > p.cumsum(1)).sum(1), p


@pytest.mark.parametrize("count", [50, 500])
def test_calibrated_cases_lie_in_the_range_as_often_as_it_says(count):
    inside, values, medians = 0, [], []
    for seed in range(80):
        labels, p = calibrated(seed, count)
        chance = ece_if_calibrated(p, seed=seed)
        error = expected_calibration_error(labels, p)
        inside += chance.low <= error <= chance.high
        values.append(error)
        medians.append(chance.value)
    assert 70 <= inside  # of 80, binomial with p = .95
    assert np.mean(medians) == pytest.approx(np.median(values), rel=0.1)


def test_what_is_not_calibrated_lies_above():
    labels, p = calibrated(0, 500)
    sharper = p**3 / (p**3).sum(1, keepdims=True)
    assert expected_calibration_error(labels, sharper) > ece_if_calibrated(sharper).high


def test_the_bars_hold_most_bins_and_are_undefined_where_there_is_no_case():
    labels, p = calibrated(3, 2000)
    counts, _, accuracy = reliability(labels, p)
    low, high = accuracy_range(p)
    used = counts > 0
    assert np.isnan(low[~used]).all() and not np.isnan(low[used]).any() and not used.all()
    assert np.mean((low <= accuracy)[used] & (accuracy <= high)[used]) > 0.7


def test_the_order_of_the_cases_changes_nothing():
    _, p = calibrated(4, 200)
    turned = p[np.random.default_rng(0).permutation(len(p))]
    assert ece_if_calibrated(turned) == ece_if_calibrated(p)
    np.testing.assert_array_equal(accuracy_range(turned), accuracy_range(p))


def test_a_certain_network_has_no_error_by_chance_and_no_cases_no_figure():
    chance = ece_if_calibrated(np.eye(3)[[0, 1, 2, 2]])
    assert (chance.value, chance.low, chance.high) == (0, 0, 0)
    assert np.isnan(ece_if_calibrated(np.zeros((0, 3))).value)


def test_it_stands_below_the_error_in_every_report():
    labels, p = calibrated(1, 300, classes=2)
    cases = Cases([f"L{i}" for i in range(300)], {"d": ("a", "b")}, {"d": labels}, {"d": p})
    result = evaluate(cases, resamples=20)
    found = result["modes"]["both"]["tasks"]["d"]["scores"]["ece_if_calibrated"]
    assert found["low"] < found["value"] < found["high"]
    lines = to_text(result).splitlines()
    place = next(i for i, line in enumerate(lines) if "(ECE)" in line)
    assert "by chance" in lines[place + 1] and f"{found['value']:.3f}" in lines[place + 1]
    assert any(",ece_if_calibrated," in line and str(found["value"]) in line for line in to_csv(result).splitlines())
