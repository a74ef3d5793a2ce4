"""The study as a table: one record per row, as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from amfzoo.text_tables import table

from .figures import SCORES, Figure, RowScores
from .plan import Row

NAMES = {"macro_f1": "macro-F1", "balanced_accuracy": "balanced accuracy", "auroc": "AUROC"}


@dataclass(frozen=True)
class Line:
    """One row with everything that was found of it.

    Attributes:
        scores: score -> figure. differences: score -> figure against the control; empty for the control itself and
            where the control is not trained.
        parameters, gmac: of one pair. speed, ratio: pairs per second, and as a multiple of the control's; NaN if
            not measured.
    """

    row: Row
    scores: Mapping[str, Figure]
    differences: Mapping[str, Figure]
    parameters: int
    gmac: float
    speed: float = math.nan
    ratio: float = math.nan


def make_line(row: Row, rows: Mapping[str, RowScores], cost: tuple[int, float], speed: Mapping[str, Any]) -> Line:
    """A line of the table.

    Args:
        rows: by id; holds this row, and its control if that is trained.
        cost: parameters and GMAC.
        speed: of `cost.speeds`, or empty.
    """
    own, control = rows[row.id], rows.get(row.control_id)
    differences: dict[str, Figure] = {}
    if control is not None and row.id != row.control_id:
        found = {score: own.minus(control, score) for score in SCORES}
        differences = {score: figure for score, figure in found.items() if figure is not None}
    timed = [speed.get(key, {}).get(row.id, math.nan) for key in ("pairs_per_second", "ratio")]
    return Line(row, {score: own.figure(score) for score in SCORES}, differences, *cost, *timed)


def as_csv(lines: Sequence[Line]) -> str:
    """One record per line, numbers in full; a column per bound."""
    records = []
    for line in lines:
        config = line.row.described()
        record: dict[str, Any] = {
            "family": line.row.family, "row": line.row.name, "title": line.row.title, "ablation": line.row.ablation,
            "clinical": config.clinical or "", "dermoscopy": config.dermoscopy or "", "fusion": config.fusion,
            "seeds": line.scores[SCORES[0]].seeds, "parameters": line.parameters, "gmac": _plain(line.gmac),
            "pairs_per_second": _plain(line.speed), "speed_ratio": _plain(line.ratio), "control": line.row.control,
        }  # fmt: skip
        for score in SCORES:
            for prefix, figure in ((score, line.scores[score]), (f"{score}_difference", line.differences.get(score))):
                for part in ("value", "low", "high", "sd"):
                    name = prefix if part == "value" else f"{prefix}_{part}"
                    record[name] = "" if figure is None else _plain(getattr(figure, part))
        records.append(record)
    target = io.StringIO()
    writer = csv.DictWriter(target, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return target.getvalue()


def as_markdown(lines: Sequence[Line]) -> str:
    """A table of figures and cost for each family, and one of paired differences."""
    parts = []
    for family in dict.fromkeys(line.row.family for line in lines):
        own = [line for line in lines if line.row.family == family]
        parts.append(f"## Family `{family}`: {own[0].row.model}\n\n{_figures(own)}")
        compared = [line for line in own if line.differences]
        if compared:
            parts.append(f"Difference from the control, paired by lesion and seed:\n\n{_differences(compared)}")
    return "\n".join(parts)


def _figures(lines: Sequence[Line]) -> str:
    head = ["", "clinical", "dermoscopy", "M parameters", "GMAC", "speed", *(NAMES[s] for s in SCORES), "seeds"]
    rows = []
    for line in lines:
        config = line.row.described()
        rows.append(
            [
                line.row.title,
                config.clinical or "–",
                config.dermoscopy or "–",
                f"{line.parameters / 1e6:.2f}",
                f"{line.gmac:.3f}",
                "–" if math.isnan(line.ratio) else f"× {line.ratio:.2f}",
                *(_score(line.scores[score]) for score in SCORES),
                str(line.scores[SCORES[0]].seeds),
            ]
        )
    return table(head, rows) + "\n"


def _differences(lines: Sequence[Line]) -> str:
    rows = [
        [line.row.title, f"`{line.row.control}`", *(_score(line.differences[score], signed=True) for score in SCORES)]
        for line in lines
    ]
    return table(["", "control", *(NAMES[score] for score in SCORES)], rows) + "\n"


def _score(figure: Figure, signed: bool = False) -> str:
    if not math.isfinite(figure.value):  # a task of one class has no AUROC
        return "–"
    form = "+.3f" if signed else ".3f"
    text = f"{figure.value:{form}}"
    if math.isfinite(figure.low):
        text += f" [{figure.low:{form}}, {figure.high:{form}}]"
    return text + (f" sd {figure.sd:.3f}" if math.isfinite(figure.sd) else "")


def _plain(value: float) -> Any:
    return value if math.isfinite(value) else ""
