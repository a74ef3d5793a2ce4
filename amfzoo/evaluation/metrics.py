"""Scores of one task from labels and probabilities, by scikit-learn.

Definitions. A case's predicted class is the most probable one (the first of equals).
Macro averages run over the classes that occur among the true labels, each with the same
weight. Names with a colon, ``auroc:MEL``, are of one class against the rest.

    accuracy, balanced_accuracy, macro_f1
    auroc, auroc:<class>                          area under the ROC curve
    average_precision, average_precision:<class>  sum of precision x step in recall
    sensitivity:, specificity:, precision:<class> from the confusion matrix of predicted classes
    log_loss    mean of -ln p(true class)
    brier       mean over cases of sum over classes (p - y)^2, 0 to 2 (Brier, Mon Weather Rev 1950)
    ece         expected calibration error of the predicted class: 15 bins of equal width in its
                probability, mean |accuracy - mean probability| weighted by cases (Naeini et al.,
                AAAI 2015; Guo et al., ICML 2017)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)

from ..errors import ConfigError
from .cases import Cases

ECE_BINS = 15
CLASS_SCORES = ("auroc", "average_precision", "sensitivity", "specificity", "precision")
TASK_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision", "log_loss", "brier", "ece")
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})


@dataclass(frozen=True)
class Score:
    """One figure, with its interval if it was asked for.

    Attributes:
        value: NaN where it is not defined.
        low, high: bounds of the interval; NaN without one.
        note: why the value or the interval is missing, or how the interval was made.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: NaN is None."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {
            **{key: number if math.isfinite(number) else None for key, number in numbers.items()},
            "note": self.note,
        }


def undefined(note: str) -> Score:
    """A score that cannot be given, and why."""
    return Score(math.nan, note=note)


def task_scores(cases: Cases, task: str) -> dict[str, Score]:
    """Every score of one task, over the cases whose class is known; values only, no intervals.

    Raises:
        ConfigError: no such task.
    """
    known = cases.known(task)
    return scores(cases.labels[task][known], cases.probabilities[task][known], cases.tasks[task])


def scores(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict[str, Score]:
    """Every score, by name.

    Args:
        labels: (N,) int class indices, all known; N may be 0.
        probabilities: (N, C), rows sum to 1.
        classes: C names.

    Returns:
        {score: Score}; NaN with its reason in `note` where a score is not defined.
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    names = [*TASK_SCORES, *(f"{score}:{name}" for score in CLASS_SCORES for name in classes)]
    if not len(labels):
        return {name: undefined("no case with a known class") for name in names}
    found = {**_averages(labels, probabilities), **_ranking(labels, probabilities, classes)}
    found.update(_from_confusion(labels, probabilities, classes))
    return {name: found[name] for name in names}


def classification_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """The scores that a training loop looks at, as plain numbers.

    Args:
        labels: (N,) int class indices; -1 where the class is unknown, which leaves the case out.
        probabilities: (N, C), rows sum to 1.

    Returns:
        macro_f1, balanced_accuracy, accuracy, auroc, log_loss; NaN where not defined.

    Raises:
        ConfigError: shapes or values do not fit; cases and classes are numbered from 0.
    """
    if len(shape := np.shape(probabilities)) != 2:
        raise ConfigError(f"probabilities must be of cases and classes, (N, C), not of the shape {shape}")
    tasks = {"labels": tuple(str(i) for i in range(shape[1]))}
    cases = Cases([str(i) for i in range(shape[0])], tasks, {"labels": labels}, {"labels": probabilities})
    found = task_scores(cases, "labels")
    return {name: found[name].value for name in ("macro_f1", "balanced_accuracy", "accuracy", "auroc", "log_loss")}


def confusion(cases: Cases, task: str) -> np.ndarray:
    """(C, C) int counts over the cases of known class; rows are true, columns predicted classes."""
    known = cases.known(task)
    size = len(cases.tasks[task])
    if not known.any():
        return np.zeros((size, size), dtype=int)
    return confusion_matrix(cases.labels[task][known], cases.probabilities[task][known].argmax(1), labels=range(size))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, bins: int = ECE_BINS) -> float:
    """The expected calibration error as defined above; labels (N,), probabilities (N, C), N > 0."""
    counts, confidence, accuracy = reliability(labels, probabilities, bins)
    used = counts > 0
    return float(np.sum(counts[used] * np.abs(accuracy - confidence)[used]) / counts.sum())


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = ECE_BINS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cases, mean probability and accuracy of the predicted class in each bin: three (bins,) arrays, NaN where empty."""
    top = np.max(probabilities, axis=1)
    index = confidence_bins(top, bins)
    counts = np.bincount(index, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(index, weights=top, minlength=bins) / counts
        accuracy = np.bincount(index, weights=np.argmax(probabilities, axis=1) == labels, minlength=bins) / counts
    return counts, confidence, accuracy


def confidence_bins(top: np.ndarray, bins: int = ECE_BINS) -> np.ndarray:
    """(N,) bin of each probability; bin i is (i / bins, (i + 1) / bins]."""
    return np.clip(np.ceil(np.asarray(top) * bins).astype(int) - 1, 0, bins - 1)


def _averages(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, Score]:
    predicted, present = probabilities.argmax(1), np.unique(labels)
    one_hot = np.eye(probabilities.shape[1])[labels]
    normalised = probabilities / probabilities.sum(1, keepdims=True)  # log_loss warns where a sum is 1 only roughly
    macro = {"labels": present, "average": "macro", "zero_division": 0}
    values = {
        "accuracy": accuracy_score(labels, predicted),
        "balanced_accuracy": recall_score(labels, predicted, **macro),
        "macro_f1": f1_score(labels, predicted, **macro),
        "log_loss": log_loss(labels, normalised, labels=range(probabilities.shape[1])),
        "brier": np.mean(np.sum((normalised - one_hot) ** 2, axis=1)),
        "ece": expected_calibration_error(labels, probabilities),
    }
    return {name: Score(float(value)) for name, value in values.items()}


def _ranking(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict[str, Score]:
    """AUROC and average precision, per class and macro."""
    found: dict[str, Score] = {}
    for score, function in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        values = []
        for column, name in enumerate(classes):
            positive = labels == column
            if not positive.any():
                found[f"{score}:{name}"] = undefined("no case of this class")
            elif positive.all():
                found[f"{score}:{name}"] = undefined("no case of another class")
            else:
                values.append(float(function(positive, probabilities[:, column])))
                found[f"{score}:{name}"] = Score(values[-1])
        found[score] = Score(float(np.mean(values))) if values else undefined("all cases are of one class")
    return found


def _from_confusion(labels: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...]) -> dict[str, Score]:
    matrix = confusion_matrix(labels, probabilities.argmax(1), labels=range(len(classes)))
    found: dict[str, Score] = {}
    for i, name in enumerate(classes):
        hit, true, predicted = matrix[i, i], matrix[i].sum(), matrix[:, i].sum()
        rest = len(labels) - true
        found[f"sensitivity:{name}"] = _share(hit, true, "no case of this class")
        found[f"specificity:{name}"] = _share(rest - (predicted - hit), rest, "no case of another class")
        found[f"precision:{name}"] = _share(hit, predicted, "this class was never predicted")
    return found


def _share(part: int, whole: int, note: str) -> Score:
    return Score(float(part / whole)) if whole else undefined(note)
