"""Checklist structures that are labelled only as absent or present, without grading."""

from __future__ import annotations

from collections.abc import Mapping

from ..faults import FaultLog
from .paths import ImageIndex
from ..records import Lesion, LesionSet
from .tables import Table

PRESENCE = ("absent", "present")


def read_presence(
    name: str, table: Table, images: ImageIndex, columns: Mapping[str, str], present: tuple[str, ...], log: FaultLog
) -> LesionSet:
    """Dermoscopy with one row per `image_id`: "0" is absent, `present` are present, blank is unknown.

    Args:
        columns: task -> column. All other columns are metadata.

    Raises:
        ConfigError: a column is missing, or (unless the log is lenient) another value.
    """
    key = table.column("image_id", "the images")
    for task, column in columns.items():
        table.column(column, f"the task {task!r}")
    values = {"0": "absent", **dict.fromkeys(present, "present")}
    lesions = []
    for row in table.rows:
        labels = {}
        for task, column in columns.items():
            text = row.cells[column].removesuffix(".0")
            if text in values:
                labels[task] = values[text]
            elif text:
                log.add(
                    "unknown-label",
                    f"{row.where}, column {column!r}: {text!r} is not one of {', '.join(values)}",
                    row.cells[key],
                )
        lesions.append(
            Lesion(
                row.cells[key],
                dermoscopy=images.find(row.cells[key]),
                labels=labels,
                metadata={
                    column: text
                    for column, text in row.cells.items()
                    if column != key and column not in columns.values()
                },
            )
        )
    return LesionSet(name, tuple(lesions), {task: PRESENCE for task in columns}, tuple(log.faults))
