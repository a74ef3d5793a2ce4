"""From which probability on a criterion of the checklist is called present, and how good what is called is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..labels import CHECKLIST, criterion_points
from .calibration import next_lower, without_last_digits
from .cases import Cases
from .intervals import score_intervals
from .metrics import Score

ABSENT = "absent"
LEAST_OF_EACH = 5  # cases with, and without, to choose an operating point by
CALLED_MACRO_F1 = "called_macro_f1"
CALLED_BY_CLASS = ("called_sensitivity", "called_precision")


def fit_operating_points(cases: Cases) -> dict[str, dict[str, float]]:
    """{criterion: {class: threshold}}: as many of these cases are called present as are labelled so.

    A rare criterion seldom reaches a probability of one half, so its most probable class is nearly always "absent",
    however well the network ranks. Calling as often as the human readers do makes the network one more reader with
    the habits of those (the operating point at which two label sets are compared, `benchmarks/criteria_agreement.py`);
    where finding most of the positive cases matters more, take `threshold_for_sensitivity`. The threshold lies halfway
    between two cases, as there; of cases with the same probability all are called.

    Fitted for criteria of the seven-point checklist that are only absent or not, with `LEAST_OF_EACH` known cases of
    either class. Not for networks that know all seven with their grades: the published rule reads the most probable
    classes (`amfzoo.evaluation.checklist`).

    Args:
        cases: not trained on, with dermoscopy, and with the temperatures that the network keeps.
    """
    found: dict[str, dict[str, float]] = {}
    if all(criterion_points(name, cases.tasks.get(name, ())) for name in CHECKLIST):
        return found
    for task, classes in cases.tasks.items():
        if task not in CHECKLIST or len(classes) != 2 or ABSENT not in classes:
            continue
        known = cases.known(task)
        column = 1 - classes.index(ABSENT)
        present = int((cases.labels[task][known] == column).sum())
        if min(present, int(known.sum()) - present) < LEAST_OF_EACH:
            continue
        scores = cases.probabilities[task][known, column]
        last = float(np.sort(without_last_digits(scores))[-present])
        lower = next_lower(scores, last)
        if lower is not None:  # else every case would be called
            found[task] = {classes[column]: (last + lower) / 2}
    return found


def with_calls(cases: Cases, points: Mapping[str, Mapping[str, float]], dermoscopy: np.ndarray) -> Cases:
    """The cases with what operating points call, as `Prediction.called` does.

    Args:
        dermoscopy: (N,) bool, whether the network saw a dermoscopy image: criteria are called by their points with it alone.
    """
    called = {}
    for task, point in points.items():
        for label, threshold in point.items():
            column, rows = cases.class_index(task, label), cases.probabilities[task]
            by_point = np.where(rows[:, column] >= threshold, column, 1 - column)
            called[task] = np.where(dermoscopy | (task not in CHECKLIST), by_point, rows.argmax(1))
    return replace(cases, called=called)


def as_called(cases: Cases, task: str) -> Cases:
    """Cases whose most probable class of a task is the one that is called; they stay as they are where nothing says so."""
    if task not in cases.called:
        return cases
    sure = np.eye(len(cases.tasks[task]))[cases.called[task]]
    return replace(cases, probabilities={**cases.probabilities, task: sure})


def called_scores(cases: Cases, task: str, **settings: Any) -> dict[str, Score]:
    """Macro-F1, and sensitivity and precision of each class, of what is called; {} where nothing is (`Cases.called`).

    Args:
        settings: of `score_intervals`.
    """
    if task not in cases.called:
        return {}
    scores = score_intervals(as_called(cases, task), task, **settings)
    return {name: scores[score] for name, score in called_names(cases.tasks[task]).items()}


def called_names(classes: Iterable[str]) -> dict[str, str]:
    """{name of a score of what is called: name of the same score of the most probable class}, of a task's classes."""
    names = [CALLED_MACRO_F1, *(f"{score}:{name}" for score in CALLED_BY_CLASS for name in classes)]
    return {name: name.removeprefix("called_") for name in names}
