"""From the strings in label columns to classes; unknown strings are faults."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from ...csv_mark import METADATA_PREFIX, MISSING, of_answers
from ...errors import ConfigError
from ...image_cells import called
from ...labels import CHECKLIST, DIAGNOSIS, SCHEMAS, Schema, Task
from ..faults import FaultLog
from ..spelling import as_spoken
from .tables import Table

OR = "|"  # between candidate classes in a cell, and between the classes in a column's name

Classes = Union[Sequence[str], Task]
Labels = Union[Mapping[str, Union[str, "tuple[str, Classes]"]], Sequence[str]]

_HEADER = re.compile(r"(?P<task>[^\[\]]*[^\[\]\s])\s*\[(?P<classes>[^\[\]]*\|[^\[\]]*)\]")


@dataclass(frozen=True)
class LabelColumn:
    """Which column labels a task, and its classes; None: the strings that occur, sorted."""

    column: str
    task: Task | None


def header(task: str, classes: Iterable[str]) -> str:
    """A column name that carries the classes in their order: ``task [class|class]``."""
    return f"{task} [{OR.join(classes)}]"


def parse_header(column: str) -> tuple[str, tuple[str, ...]] | None:
    """Task and classes of a column named by `header`, else None."""
    found = None if column.startswith(METADATA_PREFIX) else _HEADER.fullmatch(column)
    return (found["task"], tuple(name.strip() for name in found["classes"].split(OR))) if found else None


def plan(table: Table, labels: Labels | None, schema: str | Schema | None) -> dict[str, LabelColumn]:
    """Task -> its column; see `csv_source.read_csv` for what is given and what is found.

    Raises:
        ConfigError: no such column or schema, or bad classes.
    """
    known = schema_tasks(schema)
    if isinstance(labels, str):
        raise ConfigError(f"labels must be a mapping of task to column or a list of columns, got the text {labels!r}")
    if labels is None:
        found = _found(table, known)
    else:
        given = labels if isinstance(labels, Mapping) else {column: column for column in labels}
        found = {task: _given(table, task, value, known) for task, value in given.items()}
    if of_answers(table.columns):
        for column in (source.column for source in found.values()):
            if any(name.startswith(f"{column}:") for name in table.columns):
                raise ConfigError(
                    f"{table.path}: the column {column!r} holds what `amfzoo predict` answered, not the truth; where somebody "
                    "has corrected it, give it another name and remove the probabilities beside it"
                )
    return found


def schema_tasks(schema: str | Schema | None) -> Mapping[str, Task]:
    """The tasks of a schema, given itself or by name; none without a schema.

    Raises:
        ConfigError: no such schema.
    """
    if schema is None or isinstance(schema, Schema):
        return schema.tasks if schema else {}
    if schema not in SCHEMAS:
        raise ConfigError(f"unknown label schema {schema!r}; known: {', '.join(SCHEMAS)}")
    return SCHEMAS[schema].tasks


def _given(table: Table, name: str, value: str | tuple[str, Classes], known: Mapping[str, Task]) -> LabelColumn:
    if isinstance(value, str):
        column = table.column(value, f"the task {name!r}")
        parsed = parse_header(column)
        return LabelColumn(column, Task(name, parsed[1]) if parsed else known.get(name))
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ConfigError(f"labels: {name!r} must be a column, or (column, classes), got {value!r}")
    column, classes = value
    task = classes if isinstance(classes, Task) else Task(name, classes)
    return LabelColumn(table.column(column, f"the task {name!r}"), task)


def _found(table: Table, known: Mapping[str, Task]) -> dict[str, LabelColumn]:
    """Columns that carry their classes, then those named like a task of the schema; without
    a schema, `diagnosis` and the criteria of the checklist."""
    found: dict[str, LabelColumn] = {}
    for column in table.columns:
        if parsed := parse_header(column):
            task, classes = parsed
            if task in found:
                raise ConfigError(f"{table.path}: two columns label the task {task!r}; rename or drop one")
            found[task] = LabelColumn(column, Task(task, classes))
    wanted: Mapping[str, Task | None] = known or {DIAGNOSIS: None, **CHECKLIST}
    for name, task in wanted.items():
        if name in found:
            continue
        alike = called([name], table.columns)
        if len(alike) > 1:
            raise ConfigError(
                f"{table.path}: the columns {', '.join(map(repr, alike))} are all called {name!r}; rename all but one"
            )
        if alike:
            found[name] = LabelColumn(alike[0], task)
    if known and not found:
        raise ConfigError(
            f"{table.path}: no column is named like a task of the schema ({', '.join(known)}); "
            "say which they are with labels={task: column} (--label TASK=COLUMN)"
        )
    return found


def read_labels(
    table: Table, columns: Mapping[str, LabelColumn], log: FaultLog, ids: Sequence[str] = ()
) -> tuple[list[dict[str, str | tuple[str, ...]]], dict[str, tuple[str, ...]]]:
    """The labels of every row, and the classes of every task.

    Empty cells are unknown; ``a|b`` is a candidate set. Strings that are no class go to
    `log` as "unknown-label" (with the row's id, if `ids` has one), and the label is unknown.
    """
    tasks: dict[str, Task] = {}
    for name, source in columns.items():
        task = source.task or _sorted_classes(table, name, source.column, log)
        if task is not None:
            tasks[name] = task
    rows = []
    for number, row in enumerate(table.rows):
        labels: dict[str, str | tuple[str, ...]] = {}
        for name, task in tasks.items():
            column = columns[name].column
            try:
                labels[name] = tuple(task.group(part, column) for part in split_cell(row.cells[column], task.classes))
            except ConfigError as error:
                log.add("unknown-label", f"{row.where}, column {column!r}: {error}", *ids[number : number + 1])
        rows.append(labels)
    return rows, {name: task.classes for name, task in tasks.items()}


def split_cell(cell: str, classes: Iterable[str] = ()) -> list[str]:
    """The candidate strings of a cell; none if it is empty, or says that there is nothing and is no class."""
    return [part for part in map(str.strip, cell.split(OR)) if part not in MISSING or part in classes]


def _sorted_classes(table: Table, name: str, column: str, log: FaultLog) -> Task | None:
    counts = Counter(part for row in table.rows for part in split_cell(row.cells[column]))
    spellings: dict[str, list[str]] = {}
    for text in sorted(counts, key=lambda text: (-counts[text], text)):
        spellings.setdefault(as_spoken(text, " "), []).append(text)
    for same in spellings.values():
        if len(same) > 1:
            log.add(
                "unknown-label",
                f"{table.path}, column {column!r}: {', '.join(map(repr, same))} differ only by their spelling "
                "(case, blanks, some of no width, accents stored in two ways, 1 and 1.0); spell them alike, or give the classes",
            )
    classes = sorted(same[0] for same in spellings.values())
    if len(classes) < 2:
        log.add(
            "bad-column",
            f"{table.path}, column {column!r}: a task needs at least two classes, this column has "
            f"{classes or 'none'}; give the classes with labels={{{name!r}: ({column!r}, [...])}} "
            f"(--label '{name}={column}:CLASS|CLASS')",
        )
        return None
    return Task(name, classes)
