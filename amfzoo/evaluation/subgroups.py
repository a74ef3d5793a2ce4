"""Scores within subgroups of the cases: skin tone, sex, age, site or any other metadata column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ConfigError
from . import weighted
from .cases import Cases
from .intervals import LEVEL, RESAMPLES, proportions, with_intervals, withhold
from .metrics import Score, task_scores

MINIMUM = 30  # cases of known class below which a subgroup gets no scores
NOT_RECORDED = "not recorded"
AGE_BANDS = (30, 45, 60, 75)  # years at which a band begins, after the first
# column -> what it is, under the names that the known data sets use, in any case
_NAMES = {
    "skin tone": ("skin_tone", "skin_tone_class", "fitzpatrick", "fitspatrick", "midas_fitzpatrick"),
    "sex": ("sex", "gender", "midas_gender"),
    "age": ("age", "age_approx", "midas_age"),
    "site": ("site", "location", "localization", "region", "anatom_site_general", "midas_location"),
}
COLUMNS = {name: what for what, names in _NAMES.items() for name in names}
_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
_MELANOMA = "MEL"
_DECIMAL_COMMA = re.compile(r"\d+,\d+")


def default_columns(cases: Cases) -> list[str]:
    """The known subgroup columns in which something is recorded."""
    own = {name.lower(): name for name in cases.metadata if any(cases.metadata[name])}
    return [own[name] for name in COLUMNS if name in own]


def members(cases: Cases, column: str) -> dict[str, np.ndarray]:
    """{subgroup: (N,) bool} of a metadata column, in order; ages in bands; unrecorded cases last.

    Raises:
        ConfigError: no such column.
    """
    if column not in cases.metadata:
        raise ConfigError(f"the cases have no metadata {column!r}; they have {', '.join(cases.metadata) or 'none'}")
    values = np.array(
        [_band(cell) if COLUMNS.get(column.lower()) == "age" else cell for cell in cases.metadata[column]], dtype=object
    )
    values[values == ""] = NOT_RECORDED
    names = sorted(set(values) - {NOT_RECORDED}, key=_order)
    return {name: values == name for name in (*names, *({NOT_RECORDED} & set(values)))}


def subgroup_scores(
    cases: Cases,
    task: str,
    column: str,
    *,
    minimum: int = MINIMUM,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> list[dict[str, Any]]:
    """One row per subgroup.

    Macro averages run over the classes that occur in the subgroup, so they compare
    different classes where subgroups have different ones: read them with the counts.

    Args:
        column: of the metadata. Ages in years are put into bands.
        minimum: cases of known class below which a subgroup gets no scores.
        resamples, seed, level: of the intervals, as of `score_intervals`.

    Returns:
        [{"subgroup", "cases", "counts": {class: n}, "scores": {score: Score}}]; `scores` is
        empty for a subgroup with fewer than `minimum` cases of known class.

    Raises:
        ConfigError: no such task or column.
    """
    known = cases.select(cases.known(task))
    rows = []
    for name, mask in members(known, column).items():
        part = known.select(mask)
        counts = np.bincount(part.labels[task], minlength=len(part.tasks[task])).tolist()
        scores = _scores(part, task, resamples, seed, level) if len(part) >= minimum else {}
        rows.append(
            {"subgroup": name, "cases": len(part), "counts": dict(zip(part.tasks[task], counts)), "scores": scores}
        )
    return rows


def all_subgroups(
    cases: Cases, task: str, columns: Iterable[str] | None = None, **settings: Any
) -> dict[str, list[dict[str, Any]]]:
    """{column: rows of `subgroup_scores`}; default the known columns in which something is recorded of the task's cases."""
    columns = default_columns(cases.select(cases.known(task))) if columns is None else columns
    return {column: subgroup_scores(cases, task, column, **settings) for column in columns}


def _scores(cases: Cases, task: str, resamples: int, seed: int, level: float) -> dict[str, Score]:
    names = list(_SCORES)
    if _MELANOMA in cases.tasks[task]:
        names += [f"sensitivity:{_MELANOMA}", f"specificity:{_MELANOMA}"]
    points = task_scores(cases, task)
    labels, probabilities, classes = cases.labels[task], cases.probabilities[task], cases.tasks[task]
    found = with_intervals(
        {name: points[name] for name in names},
        lambda weights: weighted.task_scores(labels, probabilities, weights, classes),
        cases.groups,
        binomial=proportions(labels, probabilities, classes),
        resamples=resamples,
        seed=seed,
        level=level,
    )
    return withhold(found, cases, task)


def _band(cell: str) -> str:
    """The age band of a cell in years; a cell that is no number stays as it is."""
    try:
        age = _number(cell)
    except ValueError:
        return cell
    if not 0 <= age < 130:
        return "" if age != age else cell
    edges = (0, *AGE_BANDS)
    low = max(edge for edge in edges if edge <= age)
    above = [edge for edge in edges if edge > low]
    return f"{low}-{above[0] - 1}" if above else f"{low}+"


def _order(name: str) -> tuple[int, float, str]:
    """Numbers, and bands by their start, before words."""
    head = name.split("-")[0].rstrip("+")
    try:
        number = _number(head)
    except ValueError:
        number = math.nan
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)


def _number(text: str) -> float:
    """A number, with a decimal comma too. Raises ValueError."""
    return float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
