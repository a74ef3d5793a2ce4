"""The CSV file of per-case predictions.

One row per lesion, UTF-8 (or UTF-16), comma, semicolon or tab, with the columns

    lesion_id             unique
    <task>                true class; empty where it is unknown, or candidates: A|B
    <task>:<class>        probability; one column per class, so two or more per task
    <task> called         optional; the class that the model's operating point calls
    patient               optional, and/or patient_id; lesions of one patient are resampled together
    split                 optional; train, valid or test
    mode                  optional; both, clinical or dermoscopy, one value per file
    model                 optional; one value per file
    metadata:<name>       optional; e.g. metadata:sex. Columns of any other name count as
                          metadata too.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..csv_mark import METADATA_PREFIX, MISSING, NO_NAME, advice, csv_rows, encoding_of, not_text, of_answers, skip_mark
from ..data.readers.labelling import OR
from ..data.records import SPLIT_NAMES
from ..errors import ConfigError, TableError
from ..files import replacing
from .cases import PATIENT_GROUP, Cases, recorded
from .cases_checks import UNKNOWN

ID, PATIENT, SPLIT, MODE, MODEL = "lesion_id", "patient", "split", "mode", "model"
PATIENT_ID = "patient_id"  # as tables of images have it
CALLED = " called"  # behind the name of a task
_FIXED = (ID, PATIENT, SPLIT, MODE, MODEL)


def check_task_names(names: Iterable[str]) -> None:
    """Raise ConfigError if `write_cases` could not hold a task: its name has a colon or a slash, or is another column's."""
    for name in names:
        if ":" in name or "/" in name or name in (*_FIXED, PATIENT_ID, METADATA_PREFIX.rstrip(":")):
            raise ConfigError(
                f"{name!r} cannot be the name of a task: it has a colon or a slash, or is a column of tables of "
                "predictions; rename it (--label NAME=COLUMN)"
            )


def write_cases(cases: Cases, path: str | os.PathLike[str]) -> None:
    """Write `cases` to a CSV file, whole or not at all; probabilities with eight digits.

    Raises:
        TableError: the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [*_FIXED]
        + [
            column
            for task, classes in cases.tasks.items()
            for column in (
                task,
                *(f"{task}:{name}" for name in classes),
                *([task + CALLED] if task in cases.called else []),
            )
        ]
        + [METADATA_PREFIX + name for name in cases.metadata]
    )
    for i, name in enumerate(cases.ids):
        group = cases.groups[i]
        patient = group.removeprefix(PATIENT_GROUP) if group.startswith(PATIENT_GROUP) else ""
        row = [name, patient, cases.splits[i], cases.mode, cases.model]
        for task, classes in cases.tasks.items():
            label = cases.labels[task][i]
            row.append("" if label == UNKNOWN else classes[label])
            row += [f"{p:.8g}" for p in cases.probabilities[task][i]]
            row += [classes[cases.called[task][i]]] if task in cases.called else []
        writer.writerow(row + [column[i] for column in cases.metadata.values()])
    path = Path(path)
    try:
        with replacing(path) as partial:
            partial.write_text(text.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        raise TableError(f"{path} cannot be written: {error.strerror or error}") from error


def read_cases(path: str | os.PathLike[str]) -> Cases:
    """Cases from a CSV file with the columns above.

    Raises:
        TableError: the file cannot be read, lacks a column, or a cell is wrong; the
            message names the file and the line, column or lesion.
    """
    path = Path(path)
    columns, rows = _read(path)
    try:
        return _parse(path.name, columns, rows)
    except ConfigError as error:
        raise TableError(f"{path.name}: {error}") from error


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    """Header and rows, without columns that have no name; rows are filled up to the header's width."""
    try:
        text = path.read_text(encoding=encoding_of(path))
    except UnicodeDecodeError as error:
        raise TableError(f"{path.name} is {not_text(error)}") from error
    except OSError as error:
        raise TableError(f"the table {path} cannot be read: {error.strerror or error}") from error
    blank = len(text) - len(text.lstrip("\r\n"))
    file = io.StringIO(text[blank:], newline="")
    skip_mark(file)
    first = file.readline()
    try:
        delimiter = max(",;\t", key=lambda one: _fit(first, one))
        table = [row for _, row in csv_rows(file, delimiter, before=blank) if any(row)]
    except csv.Error as error:
        raise TableError(f"{path.name} is not a well-formed CSV file: {error}; {advice(error)}") from error
    if len(table) < 2:
        raise TableError(f"{path.name} has no rows; it needs a header and one row per lesion")
    columns = [":".join(part.strip() for part in name.split(":", 1)) for name in table[0]]
    for name in filter(None, columns):
        if columns.count(name) > 1:
            raise TableError(f"{path.name} has the column {name!r} twice; rename or remove one")
    for number, row in enumerate(table[1:], 1):
        if any(row[len(columns) :]):
            raise TableError(f"{path.name}, row {number}: {len(row)} cells, but the header has {len(columns)}")
        row += [""] * (len(columns) - len(row))
    # the others are the index that pandas writes, or were emptied in a spreadsheet, which goes on writing them
    named = [i for i, name in enumerate(columns) if name]
    return [columns[i] for i in named], [[row[i] for i in named] for row in table[1:]]


def _fit(header: str, delimiter: str) -> tuple[bool, int]:
    """How well a delimiter goes with a header: whether the ids then have a column, and how often it is there. Names of classes
    may have more commas than a table with semicolons has columns."""
    cells = next(csv.reader([header], delimiter=delimiter), [])
    return ID in map(str.strip, cells), header.count(delimiter)


def _parse(file: str, columns: list[str], rows: list[list[str]]) -> Cases:
    _refuse_answers(file, columns)
    if ID not in columns:
        raise TableError(f"{file} has no column {ID!r}; its columns are {', '.join(columns[:12])}")
    table = {name: [row[i].strip() for row in rows] for i, name in enumerate(columns)}
    for number, name in enumerate(table[ID], 1):
        if not name:
            raise TableError(f"{file}, row {number}: {ID} is empty")
    tasks: dict[str, list[str]] = {}
    for column in columns:
        if ":" in column and not column.startswith(METADATA_PREFIX):
            task, _, name = column.partition(":")
            tasks.setdefault(task, []).append(name)
    # the index of pandas, "Unnamed: 0", and others whose name holds a colon
    tasks = {task: names for task, names in tasks.items() if len(names) > 1 or task in columns}
    if not tasks:
        raise TableError(f"{file} has no probabilities: name their columns <task>:<class>, e.g. diagnosis:MEL")
    for task in tasks:
        if task not in columns:
            raise TableError(
                f"{file} has probabilities for {task!r} but no column {task!r} with the true class; "
                "add it (cells may be empty where the class is unknown)"
            )
    called = {task: _called(file, task, names, table) for task, names in tasks.items() if task + CALLED in columns}
    used = {
        *_FIXED,
        PATIENT_ID,
        *tasks,
        *(task + CALLED for task in called),
        *(f"{task}:{name}" for task, names in tasks.items() for name in names),
    }
    metadata: dict[str, list[str]] = {}
    for column in columns:
        name = column.removeprefix(METADATA_PREFIX)
        if column in used:
            continue
        if name in metadata:
            raise TableError(
                f"{file} has the columns {name!r} and {METADATA_PREFIX + name!r}, which say the same; remove one"
            )
        metadata[name] = [recorded(cell) for cell in table[column]]
    return Cases(
        ids=table[ID],
        tasks=tasks,
        labels={task: _labels(file, task, names, table) for task, names in tasks.items()},
        probabilities={task: _probabilities(file, task, names, table) for task, names in tasks.items()},
        groups=[
            f"{PATIENT_GROUP}{patient}" if patient else f"lesion:{name}"
            for name, patient in zip(table[ID], _patients(file, table))
        ],
        splits=[SPLIT_NAMES.get(cell.lower(), cell) for cell in map(recorded, table.get(SPLIT, ()))],
        metadata=metadata,
        mode=_single(file, MODE, table.get(MODE)) or "both",
        model=_single(file, MODEL, table.get(MODEL)),
        called=called,
    )


def _patients(file: str, table: dict[str, list[str]]) -> list[str]:
    """The patient of each row, in whichever of the two columns it is; empty where unknown."""
    found = [""] * len(table[ID])
    for column in (PATIENT, PATIENT_ID):
        for row, cell in enumerate(table.get(column, ())):
            if cell in NO_NAME:
                continue
            if found[row] not in ("", cell):
                raise TableError(
                    f"{file}, lesion {table[ID][row]!r}: {PATIENT} is {found[row]!r} and {PATIENT_ID} is {cell!r}; remove one column"
                )
            found[row] = cell
    return found


def _refuse_answers(file: str, columns: list[str]) -> None:
    """In the tables of `amfzoo predict` the column of a task holds the predicted class: never take it for the truth."""
    if of_answers(columns):
        raise TableError(
            f"{file} is an answer table of `amfzoo predict`: its task columns hold the predicted class, not the true one; "
            "run `amfzoo evaluate --model NAME --data SOURCE`, or make a table in which they hold the true class "
            "and remove its columns 'missing' and 'error'"
        )


def _labels(file: str, task: str, names: Sequence[str], table: dict[str, list[str]]) -> np.ndarray:
    index = {**dict.fromkeys(MISSING, UNKNOWN), **{name: i for i, name in enumerate(names)}}
    for lesion, label in zip(table[ID], table[task]):
        if label not in index:
            candidates = [part.strip() for part in label.split(OR)]
            if len(candidates) > 1 and all(part in names for part in candidates):
                index[label] = UNKNOWN
                continue
            raise TableError(
                f"{file}, lesion {lesion!r}: {task} is {label!r}, but there are probabilities for {', '.join(names)}"
            )
    return np.array([index[label] for label in table[task]], dtype=np.int64)


def _called(file: str, task: str, names: Sequence[str], table: dict[str, list[str]]) -> np.ndarray:
    for lesion, label in zip(table[ID], table[task + CALLED]):
        if label not in names:
            raise TableError(
                f"{file}, lesion {lesion!r}: {task + CALLED} is {label!r}, but there are probabilities for {', '.join(names)}"
            )
    return np.array([names.index(label) for label in table[task + CALLED]], dtype=np.int64)


def _probabilities(file: str, task: str, names: Sequence[str], table: dict[str, list[str]]) -> np.ndarray:
    values = np.empty((len(table[ID]), len(names)))
    for column, name in enumerate(names):
        for i, cell in enumerate(table[f"{task}:{name}"]):
            try:
                values[i, column] = float(cell)
            except ValueError:
                what = "is empty" if not cell else f"{cell!r} is not a number (decimal point, no unit)"
                raise TableError(f"{file}, lesion {table[ID][i]!r}: the probability {task}:{name} {what}") from None
    return values


def _single(file: str, column: str, cells: list[str] | None) -> str:
    values = sorted(set(cells or [""]))
    if len(values) > 1:
        raise TableError(
            f"{file}: the column {column!r} has several values ({', '.join(values[:4])}); give each its own file"
        )
    return values[0]
