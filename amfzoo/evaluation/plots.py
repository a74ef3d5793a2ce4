"""Plots of one task as SVG text, made by matplotlib (extra ``train``)."""

from __future__ import annotations

import io
from collections.abc import Callable

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from .cases import Cases
from .consistency import accuracy_range, ece_if_calibrated
from .metrics import confusion, expected_calibration_error, reliability

# told apart with any colour vision (Okabe & Ito), then repeated with other dashes
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", ":")
_STYLE = {
    "svg.fonttype": "path",  # looks alike without the font
    "svg.hashsalt": "amfzoo",  # the same file for the same cases
    "text.parse_math": False,  # a class may be called $x$
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
}
_LEGEND_INSIDE = 5  # classes; more go beside the plot


def roc(cases: Cases, task: str) -> str | None:
    """ROC curve of each class against the rest; None if no class has one."""

    def curve(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        x, y, _ = roc_curve(positive, score)
        return x, y, roc_auc_score(positive, score)

    return _curves(cases, task, curve, "1 − specificity", "sensitivity", "AUROC", "lower right", diagonal=True)


def precision_recall(cases: Cases, task: str) -> str | None:
    """Precision-recall curve of each class against the rest; None if no class has one."""

    def curve(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        precision, recall, _ = precision_recall_curve(positive, score)
        return recall, precision, average_precision_score(positive, score)

    return _curves(cases, task, curve, "sensitivity (recall)", "precision", "AP", "lower left", diagonal=False)


def calibration(cases: Cases, task: str, *, seed: int = 0, level: float = 0.95) -> str | None:
    """Accuracy against the mean probability of the predicted class, by bin, and how many cases each bin has.

    Grey bars: where the accuracies would lie by chance, at this `level`, were the probabilities exactly right.
    """
    labels, probabilities = _known(cases, task)
    if not len(labels):
        return None
    counts, confidence, accuracy = reliability(labels, probabilities)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.2, 3.8), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        above.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        used = counts > 0
        low, high = accuracy_range(probabilities, seed=seed, level=level)[:, used]
        above.vlines(
            confidence[used],
            low,
            high,
            color="0.85",
            linewidth=6,
            label=f"{100 * level:.3g} % by chance,\nif calibrated",
        )
        above.plot(confidence[used], accuracy[used], "o-", color=_COLOURS[0], markersize=4)
        above.set(ylim=(-0.02, 1.02), xlim=(0, 1), ylabel="share correct")
        error, chance = (
            expected_calibration_error(labels, probabilities),
            ece_if_calibrated(probabilities, seed=seed, level=level),
        )
        text = f"ECE {error:.3f}\nby chance {chance.low:.3f} to {chance.high:.3f}"
        above.text(0.03, 0.95, text, va="top", transform=above.transAxes)
        above.legend(loc="lower right", frameon=False, handlelength=0.8)
        edges = np.linspace(0, 1, len(counts) + 1)
        below.bar(edges[:-1], counts, width=np.diff(edges), align="edge", color="0.75", edgecolor="white")
        below.set(xlabel="probability of the predicted class", ylabel="cases")
        return _svg(figure)


def confusion_matrix(cases: Cases, task: str) -> str | None:
    """Counts by true and predicted class, shaded by the share of the true class; None without cases."""
    matrix, classes = confusion(cases, task), cases.tasks[task]
    if not matrix.sum():
        return None
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.2 + 0.36 * len(classes)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(side, side - 0.2), layout="constrained")
        axes = figure.subplots()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*matrix.shape):
            if matrix[row, column]:
                dark = share[row, column] > 0.55
                axes.text(
                    column,
                    row,
                    matrix[row, column],
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
        names = [_short(name) for name in classes]
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        return _svg(figure)


RELIABILITY = "Reliability"
PLOTS: dict[str, Callable[[Cases, str], str | None]] = {
    "ROC curves": roc,
    "Precision-recall curves": precision_recall,
    RELIABILITY: calibration,
    "Confusion matrix": confusion_matrix,
}


def _curves(
    cases: Cases, task: str, curve: Callable, xlabel: str, ylabel: str, area_name: str, place: str, *, diagonal: bool
) -> str | None:
    labels, probabilities = _known(cases, task)
    classes = cases.tasks[task]
    shown = [c for c in range(len(classes)) if 0 < np.sum(labels == c) < len(labels)]
    if not shown:
        return None
    beside = len(shown) > _LEGEND_INSIDE
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.4 if beside else 4.2, 3.8), layout="constrained")
        axes = figure.subplots()
        if diagonal:
            axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
        for c in shown:
            x, y, area = curve(labels == c, probabilities[:, c])
            style = {"color": _COLOURS[c % len(_COLOURS)], "linestyle": _DASHES[c // len(_COLOURS) % len(_DASHES)]}
            axes.step(x, y, where="post", linewidth=1.3, **style) if not diagonal else axes.plot(
                x, y, linewidth=1.3, **style
            )
            axes.lines[-1].set_label(f"{_short(classes[c])}  {area:.2f}")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=xlabel, ylabel=ylabel, aspect="equal")
        where = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)} if beside else {"loc": place}
        axes.legend(title=area_name, title_fontsize=7.5, **where)
        return _svg(figure)


def _known(cases: Cases, task: str) -> tuple[np.ndarray, np.ndarray]:
    known = cases.known(task)
    return cases.labels[task][known], cases.probabilities[task][known]


def _short(name: str) -> str:
    # a legend entry that begins with "_" would be left out
    name = f" {name}" if name.startswith("_") else name
    return name if len(name) <= 24 else f"{name[:22]}…"


def _svg(figure: Figure) -> str:
    target = io.StringIO()
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()
