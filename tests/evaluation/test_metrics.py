"""Every score equals scikit-learn called directly, or a plain formula; nothing crashes or warns."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import sklearn.metrics as sk
from evaluation_cases import CLASSES, make

from amfzoo import ConfigError
from amfzoo.evaluation import Cases, classification_scores, task_scores
from amfzoo.evaluation.metrics import confidence_bins, confusion, expected_calibration_error, scores


def plain_ece(labels, probabilities, bins=15) -> float:
    total = 0.0
    for i in range(bins):
        inside = [k for k in range(len(labels)) if i / bins < max(probabilities[k]) <= (i + 1) / bins]
        if inside:
            right = sum(int(np.argmax(probabilities[k]) == labels[k]) for k in inside) / len(inside)
            sure = sum(max(probabilities[k]) for k in inside) / len(inside)
            total += len(inside) / len(labels) * abs(right - sure)
    return total


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learn(seed):
    cases = make(80, seed, truth=seed)
    labels, p = cases.labels["diagnosis"], cases.probabilities["diagnosis"]
    predicted, one_hot = p.argmax(1), np.eye(3)[labels]
    found = {name: score.value for name, score in task_scores(cases, "diagnosis").items()}
    expected = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, predicted),
        "macro_f1": sk.f1_score(labels, predicted, average="macro"),
        "auroc": sk.roc_auc_score(labels, p, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(one_hot, p, average="macro"),
        "log_loss": sk.log_loss(labels, p),
        "brier": sum(sk.brier_score_loss(one_hot[:, c], p[:, c]) for c in range(3)),
        "ece": plain_ece(labels, p),
    }
    for c, name in enumerate(CLASSES):
        true, called = labels == c, predicted == c
        expected[f"auroc:{name}"] = sk.roc_auc_score(true, p[:, c])
        expected[f"average_precision:{name}"] = sk.average_precision_score(true, p[:, c])
        expected[f"sensitivity:{name}"] = sk.recall_score(true, called)
        expected[f"specificity:{name}"] = sk.recall_score(~true, ~called)
        expected[f"precision:{name}"] = sk.precision_score(true, called)
    assert found.keys() == expected.keys()
    for name in expected:
        assert found[name] == pytest.approx(expected[name], abs=1e-12), name


def test_ties_and_single_precision():
    labels = np.array([0, 1, 2, 0, 1, 2])
    tied = np.full((6, 3), 1 / 3, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores(labels, tied, CLASSES)
    assert found["auroc"].value == 0.5 and found["accuracy"].value == pytest.approx(1 / 3)
    assert found["average_precision:MEL"].value == pytest.approx(1 / 3)
    assert found["log_loss"].value == pytest.approx(math.log(3))


DEGENERATE = {
    "none": ([], []),
    "one": ([1], [[0.2, 0.5, 0.3]]),
    "one wrong and certain": ([1], [[1, 0, 0]]),
    "one class": ([2, 2, 2], [[0.2, 0.5, 0.3]] * 3),
    "class absent": ([0, 1, 0, 1], [[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.6, 0.2, 0.2], [0.1, 0.9, 0]]),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_input_gives_a_reason_without_warning(name):
    labels, rows = DEGENERATE[name]
    labels, p = np.array(labels, dtype=int), np.array(rows, dtype=float).reshape(-1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scores(labels, p, CLASSES)
    for score_name, score in found.items():
        assert math.isnan(score.value) == bool(score.note), score_name
    undefined = {score_name for score_name, score in found.items() if score.note}
    if name == "none":
        assert undefined == set(found)
    elif name == "class absent":
        assert undefined == {"auroc:NV", "average_precision:NV", "sensitivity:NV"}
        assert found["balanced_accuracy"].value == 0.75  # of the two classes that occur
        assert found["macro_f1"].value == pytest.approx((1 + 2 / 3) / 2)
        assert found["precision:NV"].value == 0 and found["specificity:NV"].value == 0.75
    else:
        assert {"auroc", "auroc:BCC", "average_precision", "sensitivity:BCC"} <= undefined
        assert math.isfinite(found["log_loss"].value) and math.isfinite(found["brier"].value)


def test_unknown_labels_do_not_count():
    cases = make(40)
    masked = cases.labels["diagnosis"].copy()
    masked[::3] = -1
    part = Cases(**{**vars(cases), "labels": {"diagnosis": masked}})
    expected = task_scores(cases.select(masked >= 0), "diagnosis")
    assert repr(task_scores(part, "diagnosis")) == repr(expected)  # some are NaN, which no record equals
    assert confusion(part, "diagnosis").sum() == (masked >= 0).sum()
    nothing = Cases(**{**vars(cases), "labels": {"diagnosis": np.full(40, -1)}})
    assert {score.note for score in task_scores(nothing, "diagnosis").values()} == {"no case with a known class"}
    assert (confusion(nothing, "diagnosis") == np.zeros((3, 3))).all()


def test_confusion_has_true_classes_as_rows():
    p = np.array([[0.1, 0.9, 0], [0.1, 0.9, 0], [1, 0, 0]])
    cases = Cases(["a", "b", "c"], {"diagnosis": CLASSES}, {"diagnosis": np.array([0, 1, 2])}, {"diagnosis": p})
    assert confusion(cases, "diagnosis").tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_calibration_error_at_the_edges_of_bins():
    assert confidence_bins(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 1.0])).tolist() == [0, 0, 1, 14]
    p = np.array([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [1.0, 0.0]])
    # 0.6 and 0.8 are edges of fifths: right-closed bins
    assert expected_calibration_error(np.array([0, 1, 1, 0]), p, bins=5) == pytest.approx((2 * 0.3 + 0.4 + 0) / 4)


def test_classification_scores_are_the_plain_numbers():
    cases = make(50)
    found = classification_scores(cases.labels["diagnosis"], cases.probabilities["diagnosis"])
    full = task_scores(cases, "diagnosis")
    assert set(found) == {"macro_f1", "balanced_accuracy", "accuracy", "auroc", "log_loss"}
    assert all(value == full[name].value for name, value in found.items())


def test_classification_scores_refuse_what_they_cannot_take_and_leave_unknown_classes_out():
    rows = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
    known = classification_scores(np.array([0, 1]), rows[:2])
    assert classification_scores(np.array([0, 1, -1]), rows) == known and known["accuracy"] == 1
    for labels, given, words in (
        ([0, 2, 1], rows, "lesion '1': no class has the index 2"),
        ([0, 1], rows, "labels must be 3 integers"),
        ([0, 1], [0.9, 0.8], r"\(N, C\), not of the shape \(2,\)"),
    ):
        with pytest.raises(ConfigError, match=words):
            classification_scores(np.array(labels), np.array(given))


def test_equal_probabilities_stay_equal_where_rows_add_up_differently():
    rows = [(0.7, 0.2, 0.1), (0.7, 0.1, 0.2), (0.7, 0.2, 0.1), (0.7, 0.1, 0.2), (0.7, 0.3, 0.0), (0.7, 0.15, 0.15)]
    labels = np.array([0, 1, 0, 1, 1, 2])
    found = scores(labels, np.array(rows), CLASSES)
    name = CLASSES[0]
    assert found[f"auroc:{name}"].value == sk.roc_auc_score(labels == 0, [0.7] * 6) == 0.5
    assert found[f"average_precision:{name}"].value == pytest.approx(1 / 3)
