"""The benchmark of intervals: what it draws, and that a resample without a rare class is what widens them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.interval_coverage import draw, intervals


def test_labels_and_answers_have_the_frequencies_and_sensitivities_asked_for():
    frequency, sensitivity = np.array([0.7, 0.2, 0.1]), np.array([0.9, 0.5, 0.0])
    labels, called = draw(200_000, frequency, sensitivity, np.random.default_rng(0))
    assert np.bincount(labels) / len(labels) == pytest.approx(frequency, abs=0.01)
    right = [(called[labels == c] == c).mean() for c in range(3)]  # wrong answers hit by their frequency
    assert right == pytest.approx(sensitivity + (1 - sensitivity) * frequency, abs=0.01)


def test_intervals_over_all_resamples_reach_further_up_where_a_rare_class_is_never_found():
    frequency, sensitivity = np.array([0.6, 0.385, 0.015]), np.array([0.9, 0.8, 0.0])
    found = intervals(5, 100, frequency, sensitivity, np.random.default_rng(0), 100)
    (_, high), (_, whole) = (np.array(found[name]).mean(0) for name in ("all", "those with every class"))
    assert len(found["all"]) == 5 and high > whole + 0.02
