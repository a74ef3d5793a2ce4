"""Figures as a model card and the manifest record them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .cases import Cases
from .intervals import is_uncertain, score_intervals
from .operating_point import called_scores

_DIGITS = 6


def recorded_metrics(cases: Cases, task: str, names: Iterable[str], data: str, **settings: Any) -> list[dict[str, Any]]:
    """Some scores of a task, and those of what is called; one that is not defined has no row.

    Args:
        data: words for the lesions.
        settings: of `score_intervals`.

    Returns:
        As `info["metrics"]` of a config has them: task, name, data, cases, value, low and high (None without an
        interval), and ``"uncertain": True`` where the interval is of an average over classes of few lesions.
    """
    scores = score_intervals(cases, task, **settings)
    shown = {name: scores[name] for name in names} | called_scores(cases, task, **settings)
    rows = []
    for name, score in shown.items():
        found = score.to_dict()
        plain = {key: found[key] and round(found[key], _DIGITS) for key in ("value", "low", "high")}
        uncertain = {"uncertain": True} if is_uncertain(score) else {}
        if plain["value"] is not None:
            of = {"task": task, "name": name, "data": data, "cases": int(cases.known(task).sum())}
            rows.append({**of, **plain, **uncertain})
    return rows
