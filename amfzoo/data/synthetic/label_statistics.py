"""Which findings go with which diagnosis: a user's label table, or the counts that come with the package.

A table is drawn from row by row, which keeps its joint distribution exactly. The package
ships no table, only counts over the 1011 cases of Derm7pt in `label_counts.json`: how
often each diagnosis occurs and, within its class, each finding together with one other.
Which other is a tree of largest conditional mutual information (Chow & Liu, IEEE Trans
Inf Theory 1968; with the class as a common parent, Friedman et al., Mach Learn 1997).
Findings drawn from the counts have the frequencies of the table per diagnosis and the
strongest ties between findings, not every tie of higher order.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np

from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST, DERM7PT, DIAGNOSIS

from ..faults import FaultLog
from ..readers.tables import read_table

Labels = dict[str, str]  # task -> raw label, for the eight tasks of Derm7pt
_NO_PARENT = "any"


def read_label_table(path: str | os.PathLike[str]) -> list[Labels]:
    """The raw labels of every row of a table such as Derm7pt's meta.csv; other columns are ignored.

    Raises:
        ConfigError: the file or one of the eight label columns is missing, or a label is
            unknown; the message names the row.
    """
    table = read_table(path, FaultLog())
    for name in DERM7PT.tasks:
        table.column(name, "its labels")
    rows = []
    for row in table.rows:
        labels = {name: row.cells[name].lower() for name in DERM7PT.tasks}
        for name, task in DERM7PT.tasks.items():
            try:
                task.group(labels[name])
            except ConfigError as error:
                raise ConfigError(f"{row.where}: {error}") from error
        rows.append(labels)
    if not rows:
        raise ConfigError(f"{table.path}: the table has no rows to draw labels from")
    return rows


def draw_from_table(rows: Sequence[Labels], rng: np.random.Generator) -> Labels:
    """The labels of one row, each row being as likely."""
    return dict(rows[int(rng.integers(len(rows)))])


def bundled_counts() -> dict[str, Any]:
    """The counts that come with the package; see `count_labels`."""
    return json.loads((resources.files(__package__) / "label_counts.json").read_text(encoding="utf-8"))


def draw_from_counts(counts: Mapping[str, Any], rng: np.random.Generator) -> Labels:
    """Labels of a made-up case, from `bundled_counts` or `count_labels`."""
    diagnosis = _pick(counts["diagnosis"], rng)
    family = DERM7PT.tasks[DIAGNOSIS].group(diagnosis)
    classes: dict[str, str] = {}
    raw = {}
    for name, parent in counts["parents"].items():
        classes[name] = _pick(counts["findings"][name][family][classes.get(parent, _NO_PARENT)], rng)
        raw[name] = _pick(counts["raw"][name][family][classes[name]], rng)
    return {DIAGNOSIS: diagnosis, **{name: raw[name] for name in CHECKLIST}}


def count_labels(rows: Sequence[Labels]) -> dict[str, Any]:
    """The counts of a label table, as plain data for JSON.

    Returns:
        {"cases": N, "diagnosis": {raw label: n}, "parents": {criterion: criterion or None},
        parents first, "findings": {criterion: {diagnosis class: {parent's class: {class: n}}}},
        "raw": {criterion: {diagnosis class: {class: {raw label: n}}}}}.
    """
    grouped = [{name: task.group(row[name]) for name, task in DERM7PT.tasks.items()} for row in rows]
    parents = _tree(grouped)
    findings: dict[str, Any] = {name: {} for name in parents}
    raw: dict[str, Any] = {name: {} for name in parents}
    for row, classes in zip(rows, grouped):
        family = classes[DIAGNOSIS]
        for name, parent in parents.items():
            above = classes[parent] if parent else _NO_PARENT
            _add(findings[name], family, above, classes[name])
            _add(raw[name], family, classes[name], row[name])
    return _ordered(
        {
            "cases": len(rows),
            "diagnosis": dict(Counter(row[DIAGNOSIS] for row in rows)),
            "findings": findings,
            "raw": raw,
        }
    ) | {"parents": parents}


def _add(counts: dict[str, Any], first: str, second: str, name: str) -> None:
    leaf = counts.setdefault(first, {}).setdefault(second, {})
    leaf[name] = leaf.get(name, 0) + 1


def _ordered(value: Any) -> Any:
    """Keys sorted, so that the order of a table's rows changes nothing that is drawn."""
    return {key: _ordered(value[key]) for key in sorted(value)} if isinstance(value, dict) else value


def _pick(counts: Mapping[str, int], rng: np.random.Generator) -> str:
    total = np.cumsum(list(counts.values()))
    return list(counts)[int(np.searchsorted(total, rng.integers(total[-1]), side="right"))]


def _tree(grouped: Sequence[Mapping[str, str]]) -> dict[str, str | None]:
    """Criterion -> the one it is tied to most, given the diagnosis; grown from the first criterion."""
    first, *left = CHECKLIST
    parents: dict[str, str | None] = {first: None}
    while left:
        ties = [(_information(grouped, inside, name), inside, name) for inside in parents for name in left]
        _, parent, name = max(ties, key=lambda tie: tie[0])
        parents[name] = parent
        left.remove(name)
    return parents


def _information(grouped: Sequence[Mapping[str, str]], a: str, b: str) -> float:
    """Mutual information of two criteria given the diagnosis, in nats."""
    triples = Counter((row[DIAGNOSIS], row[a], row[b]) for row in grouped)
    with_a = Counter((row[DIAGNOSIS], row[a]) for row in grouped)
    with_b = Counter((row[DIAGNOSIS], row[b]) for row in grouped)
    alone = Counter(row[DIAGNOSIS] for row in grouped)
    return sum(
        n / len(grouped) * math.log(n * alone[d] / (with_a[d, x] * with_b[d, y])) for (d, x, y), n in triples.items()
    )
