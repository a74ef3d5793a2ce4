"""Scores of one task from labels and probabilities, by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score, roc_auc_score


def classification_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Scores of a task with exclusive classes.

    Args:
        labels: (N,) int class indices.
        probabilities: (N, C), rows sum to 1.

    Returns:
        accuracy; macro_f1 and balanced_accuracy over the classes that occur in
        `labels`; auroc, the unweighted mean of one-vs-rest areas over the same classes;
        log_loss. NaN where it is not defined (a single class for auroc).
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    predicted = probabilities.argmax(1)
    present = np.unique(labels)
    areas = [roc_auc_score(labels == c, probabilities[:, c]) for c in present] if len(present) > 1 else [np.nan]
    return {
        "macro_f1": float(f1_score(labels, predicted, labels=present, average="macro", zero_division=0)),
        "balanced_accuracy": float(recall_score(labels, predicted, labels=present, average="macro", zero_division=0)),
        "accuracy": float(accuracy_score(labels, predicted)),
        "auroc": float(np.mean(areas)),
        "log_loss": float(log_loss(labels, probabilities, labels=range(probabilities.shape[1]))),
    }


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature that minimises the log-loss of ``softmax(log p / T)``.

    Guo et al., "On Calibration of Modern Neural Networks" (ICML 2017); searched in [0.05, 20].
    """
    log_p = np.log(np.clip(np.asarray(probabilities, dtype=float), 1e-12, None))
    own = log_p[np.arange(len(log_p)), np.asarray(labels)]

    def loss(log_t: float) -> float:
        t = np.exp(log_t)
        return float(np.mean(logsumexp(log_p / t, axis=1) - own / t))

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded").x))


def bootstrap_intervals(
    labels: np.ndarray, probabilities: np.ndarray, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of `classification_scores`, resampling cases.

    Returns:
        {score: (low, high)}.
    """
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a resample may lack a class
        for _ in range(resamples):
            rows = rng.integers(len(labels), size=len(labels))
            for name, value in classification_scores(labels[rows], probabilities[rows]).items():
                draws.setdefault(name, []).append(value)
    tail = 50 * (1 - level)
    return {name: tuple(float(v) for v in np.nanpercentile(values, [tail, 100 - tail])) for name, values in draws.items()}
