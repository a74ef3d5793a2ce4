"""From which probability on a criterion of the checklist is called present."""

from __future__ import annotations

import numpy as np

from ..labels import CHECKLIST, criterion_points
from .cases import Cases

ABSENT = "absent"
LEAST_OF_EACH = 5  # cases with, and without, to choose an operating point by


def fit_operating_points(cases: Cases) -> dict[str, dict[str, float]]:
    """{criterion: {class: threshold}}: as many of these cases are called present as are labelled so.

    A rare criterion seldom reaches a probability of one half, so its most probable class is nearly always "absent",
    however well the network ranks. Calling as often as the human readers do makes the network one more reader with
    the habits of those (the operating point at which two label sets are compared, `benchmarks/criteria_agreement.py`);
    where finding most of the positive cases matters more, take `threshold_for_sensitivity`.

    Fitted for criteria of the seven-point checklist that are only absent or not, with `LEAST_OF_EACH` known cases of
    either class. Not for networks that know all seven with their grades: the published rule reads the most probable
    classes (`amfzoo.evaluation.checklist`).

    Args:
        cases: not trained on, and with the temperatures that the network keeps.
    """
    found: dict[str, dict[str, float]] = {}
    if all(criterion_points(name, cases.tasks.get(name, ())) for name in CHECKLIST):
        return found
    for task, classes in cases.tasks.items():
        if task not in CHECKLIST or len(classes) != 2 or ABSENT not in classes:
            continue
        known, column = cases.known(task), 1 - classes.index(ABSENT)
        present = int((cases.labels[task][known] == column).sum())
        if min(present, int(known.sum()) - present) < LEAST_OF_EACH:
            continue
        ordered = np.sort(cases.probabilities[task][known, column])[::-1]
        threshold = float(ordered[present - 1 : present + 1].mean())  # between the last that is called and the next
        if 0 < threshold < 1:
            found[task] = {classes[column]: threshold}
    return found
