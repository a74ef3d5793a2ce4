"""The scores under many weights equal scikit-learn's with `sample_weight`, one set at a time."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
from evaluation_cases import CLASSES, make

from amfzoo.evaluation import task_scores, weighted


@pytest.mark.parametrize("decimals", [None, 1])
def test_scores_equal_scikit_learn_with_weights(decimals):
    rng = np.random.default_rng(0)
    cases = make(70)
    labels, p = cases.labels["diagnosis"], cases.probabilities["diagnosis"]
    if decimals is not None:  # ties
        p = np.round(p + 0.05, decimals)
        p = p / p.sum(1, keepdims=True)
    weights = rng.integers(0, 4, size=(5, 70)).astype(float)
    found = weighted.task_scores(labels, p, weights, CLASSES)
    predicted = p.argmax(1)
    for row, w in enumerate(weights):
        macro = {"average": "macro", "sample_weight": w}
        expected = {
            "accuracy": sk.accuracy_score(labels, predicted, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted, sample_weight=w),
            "macro_f1": sk.f1_score(labels, predicted, **macro),
            "log_loss": sk.log_loss(labels, p, sample_weight=w),
            "brier": sum(sk.brier_score_loss(labels == c, p[:, c], sample_weight=w) for c in range(3)),
        }
        for c, name in enumerate(CLASSES):
            true, called = labels == c, predicted == c
            expected[f"auroc:{name}"] = sk.roc_auc_score(true, p[:, c], sample_weight=w)
            expected[f"average_precision:{name}"] = sk.average_precision_score(true, p[:, c], sample_weight=w)
            expected[f"sensitivity:{name}"] = sk.recall_score(true, called, sample_weight=w)
            expected[f"specificity:{name}"] = sk.recall_score(~true, ~called, sample_weight=w)
            expected[f"precision:{name}"] = sk.precision_score(true, called, sample_weight=w)
        for name in ("auroc", "average_precision"):
            expected[name] = np.mean([expected[f"{name}:{label}"] for label in CLASSES])
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=1e-12), name


def test_weights_of_repeated_cases_equal_the_repeated_cases():
    cases = make(30)
    drawn = np.random.default_rng(1).integers(30, size=30)
    weights = np.bincount(drawn, minlength=30)[None].astype(float)
    found = weighted.task_scores(cases.labels["diagnosis"], cases.probabilities["diagnosis"], weights, CLASSES)
    from amfzoo.evaluation.metrics import scores

    expected = scores(cases.labels["diagnosis"][drawn], cases.probabilities["diagnosis"][drawn], CLASSES)
    assert found.keys() == expected.keys() == task_scores(cases, "diagnosis").keys()
    for name, score in expected.items():
        assert found[name][0] == pytest.approx(score.value, abs=1e-12, nan_ok=True), name


def test_a_class_that_was_not_drawn():
    cases = make(30)
    weights = (cases.labels["diagnosis"] != 1).astype(float)[None]
    found = weighted.task_scores(cases.labels["diagnosis"], cases.probabilities["diagnosis"], weights, CLASSES)
    assert (
        np.isnan(found["auroc:MEL"][0])
        and np.isnan(found["average_precision:MEL"][0])
        and np.isnan(found["sensitivity:MEL"][0])
    )
    positive, score = cases.labels["diagnosis"] == 1, cases.probabilities["diagnosis"][:, 1]
    assert np.isnan(weighted.specificity_at(positive, score, weights, 0.9)).all()
    assert found["auroc"][0] == pytest.approx((found["auroc:BCC"][0] + found["auroc:NV"][0]) / 2)
    assert found["balanced_accuracy"][0] == pytest.approx(
        (found["sensitivity:BCC"][0] + found["sensitivity:NV"][0]) / 2
    )


def test_nothing_but_one_class_was_drawn():
    cases = make(30)
    weights = (cases.labels["diagnosis"] == 1).astype(float)[None]
    found = weighted.task_scores(cases.labels["diagnosis"], cases.probabilities["diagnosis"], weights, CLASSES)
    ranked = ("auroc:MEL", "average_precision:MEL", "specificity:MEL", "auroc", "average_precision")
    assert np.isnan([found[name][0] for name in ranked]).all()


def test_a_class_that_was_drawn_once_counts():
    labels, p = np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    found = weighted.task_scores(labels, p, np.ones((1, 3)), ("a", "b"))
    assert found["sensitivity:b"][0] == found["precision:b"][0] == found["auroc:b"][0] == 1


def test_no_case_has_no_ranking():
    nothing, weights = np.empty(0), np.empty((3, 0))
    for found in (
        *weighted.ranking(nothing > 0, nothing, weights),
        weighted.specificity_at(nothing > 0, nothing, weights, 0.9),
    ):
        assert found.shape == (3,) and np.isnan(found).all()


def test_a_true_class_of_probability_zero_has_a_finite_loss():
    labels, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.5, 0.5]])
    found = weighted.task_scores(labels, p, np.ones((1, 2)), ("a", "b"))["log_loss"]
    assert found[0] == pytest.approx(sk.log_loss(labels, p))
