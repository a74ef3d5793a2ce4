"""The scores of `metrics` under many sets of case weights at once, for the bootstrap.

scikit-learn scores one resample per call, which makes a thousand resamples of every
class take minutes. Here a resample is a row of weights (how often each case was drawn)
and a score is a few array operations over all rows. The tests hold each function to
scikit-learn's value with ``sample_weight``. Undefined values are NaN.
"""

from __future__ import annotations

import numpy as np

from .metrics import CLASS_SCORES, ECE_BINS, confidence_bins


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(N,) values, (R, N) weights -> (R,) weighted means."""
    return _ratio(weights @ np.asarray(values, dtype=float), weights.sum(1))


def auroc(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve; positive (N,) bool, score (N,), weights (R, N) -> (R,)."""
    return ranking(positive, score, weights)[0]


def ranking(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R,) areas under the ROC curve and (R,) average precisions; arguments as in `auroc`."""
    hits, alarms = _by_threshold(positive, score, weights)
    found, false = np.cumsum(hits, axis=1), np.cumsum(alarms, axis=1)
    positives, negatives = found[:, -1], false[:, -1]
    above = (hits * (false - alarms / 2)).sum(1)  # pairs in the wrong order; ties count half
    area = 1 - _ratio(above, positives * negatives)
    precision = np.divide(found, found + false, out=np.zeros_like(found), where=found + false > 0)
    average = _ratio((hits * precision).sum(1), positives)
    return area, np.where(negatives > 0, average, np.nan)


def specificity_at(positive: np.ndarray, score: np.ndarray, weights: np.ndarray, sensitivity: float) -> np.ndarray:
    """(R,) specificity where each row takes the highest threshold that reaches `sensitivity`."""
    hits, alarms = _by_threshold(positive, score, weights)
    found, false = np.cumsum(hits, axis=1), np.cumsum(alarms, axis=1)
    wanted = sensitivity * found[:, -1:] - 1e-9
    first = np.argmax(found >= wanted, axis=1)[:, None]
    rate = _ratio(np.take_along_axis(false, first, axis=1)[:, 0], false[:, -1])
    return np.where(found[:, -1] > 0, 1 - rate, np.nan)


def task_scores(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray, classes: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """All scores of `metrics.scores`, by the same names.

    Args:
        labels: (N,) int, all known. probabilities: (N, C). weights: (R, N).
        classes: C names.

    Returns:
        {score: (R,)}.
    """
    size, own = len(classes), probabilities[np.arange(len(labels)), labels]
    predicted = probabilities.argmax(1)
    one_hot = np.eye(size)[labels]
    found = {
        "accuracy": mean(labels == predicted, weights),
        "log_loss": mean(-np.log(np.clip(own, np.finfo(float).eps, 1)), weights),
        "brier": mean(((probabilities - one_hot) ** 2).sum(1), weights),
        "ece": _calibration_error(labels, probabilities, weights),
    }
    columns: dict[str, list[np.ndarray]] = {score: [] for score in CLASS_SCORES}
    for c in range(size):
        area, average = ranking(labels == c, probabilities[:, c], weights)
        columns["auroc"].append(area)
        columns["average_precision"].append(average)
    columns.update(_rates(one_hot, np.eye(size)[predicted], weights))
    f1 = columns.pop("f1")
    for score, values in columns.items():
        found.update({f"{score}:{name}": values[c] for c, name in enumerate(classes)})
    present = [weights @ one_hot[:, c] > 0 for c in range(size)]
    for name, values in (("balanced_accuracy", columns["sensitivity"]), ("macro_f1", f1)):
        found[name] = _macro(values, present)
    for name in ("auroc", "average_precision"):
        found[name] = _macro(columns[name], [np.isfinite(values) for values in columns[name]])
    return found


def _rates(true: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Sensitivity, specificity, precision and F1 per class, from (N, C) indicators."""
    total = weights.sum(1)
    hits, actual, called = (weights @ values for values in (true * predicted, true, predicted))  # (R, C) each
    rest = total[:, None] - actual
    return {
        "sensitivity": list(_ratio(hits, actual).T),
        "specificity": list(_ratio(rest - (called - hits), rest).T),
        "precision": list(_ratio(hits, called).T),
        "f1": list(_ratio(2 * hits, actual + called).T),
    }


def _calibration_error(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    top = probabilities.max(1)
    member = np.eye(ECE_BINS)[confidence_bins(top)]  # (N, bins)
    gap = ((probabilities.argmax(1) == labels) - top)[:, None] * member
    return _ratio(np.abs(weights @ gap).sum(1), weights.sum(1))


def _by_threshold(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weight of positives and of negatives at each distinct score, highest first: two (R, K) arrays, K at least 1."""
    if not len(score):
        nothing = np.zeros((len(weights), 1))
        return nothing, nothing
    order = np.argsort(-np.asarray(score), kind="stable")
    ordered, sign = np.asarray(score)[order], np.asarray(positive, dtype=bool)[order]
    starts = np.flatnonzero(np.r_[True, np.diff(ordered) != 0])
    drawn = weights[:, order]
    hits, alarms = drawn * sign, drawn * ~sign
    if len(starts) == len(ordered):
        return hits, alarms
    return np.add.reduceat(hits, starts, axis=1), np.add.reduceat(alarms, starts, axis=1)


def _macro(values: list[np.ndarray], present: list[np.ndarray]) -> np.ndarray:
    """Mean over the classes that a resample holds; see `intervals` for why not NaN where it lacks one."""
    used = np.stack(present)
    return _ratio(np.where(used, np.stack(values), 0).sum(0), used.sum(0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=float), np.asarray(whole, dtype=float))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
