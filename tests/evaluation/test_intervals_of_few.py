"""What few patients can carry: which intervals are withheld, and which say of how few they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from evaluation_cases import CLASSES, random_probabilities
from sklearn.metrics import roc_auc_score

from amfzoo.evaluation import Cases, measure_threshold, paired_difference, score_intervals

VEIL = ("absent", "present")


def of(counts: dict[str, int], seed: int = 0, groups=()) -> Cases:
    """One task with so many lesions of each class."""
    classes = tuple(counts)
    labels = np.repeat(np.arange(len(classes)), list(counts.values()))
    probabilities = random_probabilities(np.random.default_rng(seed), labels, len(classes))
    ids = [f"L{i}" for i in range(len(labels))]
    return Cases(ids, {"task": classes}, {"task": labels}, {"task": probabilities}, groups=groups)


@pytest.mark.parametrize(("present", "kept"), [(4, False), (5, True)])
def test_a_number_of_two_classes_is_given_and_withheld_for_both(present, kept):
    cases = of({"absent": 136, "present": present})
    found = score_intervals(cases, "task", resamples=100)
    truth = cases.labels["task"] == 1
    for name in VEIL:
        assert found[f"auroc:{name}"].value == pytest.approx(roc_auc_score(truth, cases.probabilities["task"][:, 1]))
        for score in ("auroc", "average_precision"):
            one = found[f"{score}:{name}"]
            assert math.isfinite(one.low) == math.isfinite(one.high) == (not one.note) == kept
    if not kept:
        assert found["auroc:absent"].note == "no interval: fewer than 5 patients or lesions of the other classes"
        assert found["auroc:present"].note == "no interval: fewer than 5 patients or lesions of this class"


@pytest.mark.parametrize(("others", "patients", "kept"), [(2, None, False), (3, None, True), (10, 4, False)])
def test_the_rest_of_many_classes_may_be_too_few_together(others, patients, kept):
    counts = {"BCC": others, "MEL": others, "NV": 100}
    groups = [f"patient:{i % patients if patients and i < 2 * others else i + 50}" for i in range(2 * others + 100)]
    cases = of(counts, groups=groups)
    unknown = replace(cases, labels={"task": np.where(np.arange(len(cases)) < 120, cases.labels["task"], -1)})
    found = score_intervals(unknown, "task", resamples=100)
    assert [math.isfinite(found[f"{score}:NV"].low) for score in ("auroc", "average_precision")] == [kept, kept]
    assert math.isnan(found["auroc:MEL"].low) and math.isfinite(found["auroc"].low)
    assert found["auroc"].note.startswith("interval uncertain")


@pytest.mark.parametrize(("present", "kept"), [(4, False), (5, True)])
def test_two_names_of_one_difference_have_both_a_p_value_or_neither(present, kept):
    counts = {"absent": 136, "present": present}
    found = paired_difference(of(counts), of(counts, seed=1), "task", resamples=100)["task"]
    for pair in (("auroc:absent", "auroc:present"), ("specificity:absent", "sensitivity:present")):
        first, second = (found[name] for name in pair)
        assert first.value == pytest.approx(second.value)
        assert [math.isfinite(one.p) and math.isfinite(one.low) for one in (first, second)] == [kept, kept]
        assert kept or all("fewer than 5" in one.note for one in (first, second))
    for name in ("sensitivity:absent", "specificity:present", "accuracy"):
        assert math.isfinite(found[name].p), name


def sick(patients: int, lesions: int) -> Cases:
    """200 lesions, of which the first are MEL, `lesions` of each of so many patients: of the first all but four are found, of the
    others all but three; the other lesions are of a patient each, every third is taken for MEL."""
    count = patients * lesions
    groups = [f"patient:{i // lesions if i < count else i + 1000}" for i in range(200)]
    missed = [i for i in range(count) if i % lesions < (4 if i < lesions else 3)]
    said = np.where(np.arange(200) < count, 1, np.where(np.arange(200) % 3 == 0, 1, 2))
    said[missed] = 2
    labels = np.where(np.arange(200) < count, 1, 2)
    rows = 0.1 + 0.7 * np.eye(3)[said]
    return Cases([str(i) for i in range(200)], {"d": CLASSES}, {"d": labels}, {"d": rows}, groups=groups)


def test_a_sensitivity_says_of_how_few_patients_it_is():
    cases = sick(2, 10)
    point = measure_threshold(cases, "d", "MEL", 0.5)
    for one in (score_intervals(cases, "d")["sensitivity:MEL"], point.sensitivity):
        assert [one.value, one.low, one.high] == pytest.approx([13 / 20, 6 / 10, 7 / 10])  # of both, of either patient
        assert one.note == "interval from only 2 patients or lesions"
    found = score_intervals(cases, "d", resamples=100)
    assert not any(found[name].note for name in ("specificity:MEL", "sensitivity:NV", "precision:MEL", "accuracy"))
    assert found["specificity:NV"].note == found["sensitivity:MEL"].note and not point.specificity.note


@pytest.mark.parametrize(("patients", "says"), [(9, "interval from only 9 patients or lesions"), (10, "")])
def test_ten_patients_are_enough_to_say_nothing(patients, says):
    assert score_intervals(sick(patients, 5), "d", resamples=100)["sensitivity:MEL"].note == says
