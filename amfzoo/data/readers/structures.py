"""Checklist structures that are labelled only as absent or present, without grading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...csv_mark import MISSING
from ...errors import ConfigError
from ...labels import Schema
from ..faults import FaultLog
from ..records import Lesion, LesionSet
from .labelling import schema_tasks
from .paths import ImageIndex
from .tables import Table

ABSENT = "absent"
PRESENCE = (ABSENT, "present")


def structure_classes(tasks: Iterable[str], schema: str | Schema | None) -> dict[str, tuple[str, ...]]:
    """Task -> classes: absent and present, or those of the schema, to train together with graded labels.

    Raises:
        ConfigError: no such schema, or it lacks one of the tasks.
    """
    if schema is None:
        return dict.fromkeys(tasks, PRESENCE)
    known = schema_tasks(schema)
    for task in tasks:
        if task not in known or ABSENT not in known[task].classes:
            raise ConfigError(f"the label schema has no structure {task!r}; use derm7pt, or no schema")
    return {task: known[task].classes for task in tasks}


def present_among(classes: tuple[str, ...]) -> tuple[str, ...]:
    """What "present" says: each of the classes but absent."""
    return tuple(name for name in classes if name != ABSENT)


def read_presence(
    name: str,
    table: Table,
    images: ImageIndex,
    columns: Mapping[str, str],
    present: tuple[str, ...],
    log: FaultLog,
    schema: str | Schema | None = None,
) -> LesionSet:
    """Dermoscopy with one row per `image_id`: "0" is absent, `present` are present, blank is unknown.

    Args:
        columns: task -> column. All other columns are metadata.
        schema: classes of the tasks; a structure that is present has all but absent as candidates.

    Raises:
        ConfigError: a column is missing, see `structure_classes`, or (unless the log is lenient) another value, or an image that is
            blank or comes twice.
    """
    tasks = structure_classes(columns, schema)
    key = table.column("image_id", "the images")
    for task, column in columns.items():
        table.column(column, f"the task {task!r}")
    table = table.named(key, log, unique=True)
    lesions = []
    for row in table.rows:
        labels: dict[str, str | tuple[str, ...]] = {}
        for task, column in columns.items():
            text = row.cells[column].removesuffix(".0")
            if text == "0":
                labels[task] = ABSENT
            elif text in present:
                labels[task] = present_among(tasks[task])
            elif text not in MISSING:
                log.add(
                    "unknown-label",
                    f"{row.where}, column {column!r}: {text!r} is not one of 0, {', '.join(present)}",
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
    return LesionSet(name, tuple(lesions), tasks, tuple(log.faults))
