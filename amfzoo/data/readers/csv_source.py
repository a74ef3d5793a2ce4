"""Lesions from a CSV or Parquet table of file paths."""

from __future__ import annotations

import os
from pathlib import Path

from ...csv_mark import METADATA_PREFIX, NO_NAME
from ...errors import ConfigError
from ...image_cells import called, image_file, not_a_path
from ...images.names import shorten
from ...labels import CHECKLIST, DIAGNOSIS, Schema
from ..faults import FaultLog
from ..records import MODALITIES, SPLIT_NAMES, SPLITS, Lesion, LesionSet
from .labelling import Labels, parse_header, plan, read_labels
from .tables import Row, Table, read_table

# Column names that are understood without being told, the first of them that there is, else one that differs from
# them in case, blanks and punctuation alone.
DEFAULT_COLUMNS = {
    "clinical": ("clinical",),
    "dermoscopy": ("dermoscopy",),
    "id": ("lesion_id", "id"),
    "patient": ("patient_id", "patient"),
    "split": ("split",),
}


def read_csv(
    path: str | os.PathLike[str],
    *,
    clinical: str | None = None,
    dermoscopy: str | None = None,
    id: str | None = None,
    patient: str | None = None,
    split: str | None = None,
    labels: Labels | None = None,
    schema: str | Schema | None = None,
    delimiter: str | None = None,
    name: str | None = None,
    lenient: bool = False,
) -> LesionSet:
    """Read a table with one row per lesion.

    Args:
        path: CSV (comma, semicolon or tab; UTF-8 or UTF-16) or Parquet (extra `parquet`).
        clinical, dermoscopy: columns of image paths, relative to the table's folder; an
            empty cell is a missing image. Default: the columns of these names, in upper or
            lower case; one of the two may be missing.
        id: column of unique names; default `lesion_id` or `id`, else, or for "", the rows are
            numbered, the first below the header being 1.
        patient: default `patient_id` or `patient`, if there is one.
        split: column of train, valid (or val) and test, or empty; default `split`, if there is one.
        labels: ``{task: column}`` or ``{task: (column, classes)}`` or a list of columns.
            `classes` is a list in the order of the logits, or a `Task` that groups raw
            strings. Without it: the schema's task of that name, else the strings that
            occur, sorted. Default: columns named ``task [class|class]``, and those named
            like a task of the schema (without a schema: `diagnosis`, and the criteria of
            the seven-point checklist with its classes).
        schema: "derm7pt", "milk10k" or a `Schema`: classes, and how strings map to them.
        delimiter: of a CSV file; default: found from the header.
        name: of the set; default the file's name.
        lenient: collect faults in `LesionSet.faults` and leave out what they concern.

    An empty label is unknown; ``typical|atypical`` is a candidate set. All other columns
    are metadata (``metadata:`` in front of a name is taken off). No image is opened, and none need exist.

    Raises:
        ConfigError: the table or a column cannot be used, or (unless lenient) a row.
    """
    log = FaultLog(lenient)
    table = read_table(path, log, delimiter=delimiter)
    asked = {"clinical": clinical, "dermoscopy": dermoscopy, "id": id, "patient": patient, "split": split}
    columns = {role: _column(table, role, column) for role, column in asked.items()}
    if columns["clinical"] is None and columns["dermoscopy"] is None:
        raise ConfigError(
            f"{table.path}: no column of image paths; its columns are "
            f"{', '.join(map(repr, table.columns[:20]))}. Say which hold them with clinical= and dermoscopy= (--clinical and "
            "--dermoscopy), or name them clinical and dermoscopy; nothing may stand above the line with the columns' names"
        )
    label_columns = plan(table, labels, schema)
    ids = _ids(table, columns["id"], columns["patient"], log)
    row_labels, tasks = read_labels(table, label_columns, log, ids)
    used = {*columns.values(), *(source.column for source in label_columns.values())}
    metadata = {column: column.removeprefix(METADATA_PREFIX) for column in table.columns if column not in used}
    for key in metadata.values():
        if key in metadata and METADATA_PREFIX + key in metadata:  # else one would be lost
            raise ConfigError(
                f"{table.path}: the columns {key!r} and {METADATA_PREFIX + key!r} are read as the same; rename or remove one"
            )
    lesions = [
        Lesion(
            id=ids[index],
            **{kind: _image(row, columns[kind], table.path.parent, log, ids[index]) for kind in MODALITIES},
            labels=row_labels[index],
            patient=_cell(row, columns["patient"]) or None,
            split=_split(row, columns["split"], log, ids[index]),
            metadata={key: row.cells[column] for column, key in metadata.items()},
        )
        for index, row in enumerate(table.rows)
    ]
    return LesionSet(name or table.path.name, tuple(lesions), tasks, tuple(log.faults))


def _column(table: Table, role: str, asked: str | None) -> str | None:
    if role == "id" and asked == "":
        return None
    alike = called(DEFAULT_COLUMNS[role], table.columns) if asked is None else [table.column(asked, role)]
    if len(alike) > 1:
        raise ConfigError(f"{table.path}: the columns {', '.join(map(repr, alike))} may each be the {role}; say which")
    if alike and alike[0] in table.no_text:
        wanted = "the paths of images as text" if role in MODALITIES else "text"
        raise ConfigError(
            f"{table.path}: the column {alike[0]!r} holds {table.no_text[alike[0]]}; it must hold {wanted}"
        )
    return alike[0] if alike else None


def _cell(row: Row, column: str | None) -> str:
    return row.cells[column] if column else ""


def _ids(table: Table, column: str | None, patient: str | None, log: FaultLog) -> list[str]:
    """One id per row, unique: faulty ones are made so."""
    if column is None:
        return [str(number) for number in range(1, len(table.rows) + 1)]
    seen: dict[str, Row] = {}
    together = (
        f"; the column {patient!r} keeps those of a patient in one split, where it is filled in"
        if patient
        else ", and this column as the patient's, which keeps them in one split"
    )
    for number, row in enumerate(table.rows, start=1):
        name = row.cells[column]
        if not name:
            log.add("bad-row", f"{row.where}: the id in column {column!r} is empty; fill it in")
        elif name in seen:
            log.add(
                "repeated-id",
                f"{row.where}: the id {name!r} was used before ({seen[name].where}); ids must be unique. If these are "
                f"several pictures of one lesion, give another column as the id, or '' to number the rows{together}",
                name,
            )
        seen[name if name and name not in seen else f"{name} (row {number})".strip()] = row
    return list(seen)


def _image(row: Row, column: str | None, folder: Path, log: FaultLog, lesion: str) -> Path | None:
    text = _cell(row, column)
    if reason := not_a_path(text):
        log.add("bad-path", f"{row.where}, column {column!r}: {shorten(text)}: {reason}", lesion)
        return None
    return image_file(row.padded.get(column or "", text), folder)


def _split(row: Row, column: str | None, log: FaultLog, lesion: str) -> str | None:
    text = _cell(row, column)
    found = SPLIT_NAMES.get(text.lower())
    if found is None and text not in NO_NAME:
        log.add(
            "bad-split",
            f"{row.where}, column {column!r}: split {text!r} must be one of {', '.join(SPLITS)}, or empty",
            lesion,
        )
    return found


def metadata_column(key: str) -> str:
    """The column name that is read back as the metadata `key`, whatever it is called."""
    taken = {name for candidates in DEFAULT_COLUMNS.values() for name in candidates} | {DIAGNOSIS, *CHECKLIST}
    plain = key not in taken and not key.startswith(METADATA_PREFIX) and parse_header(key) is None
    return key if plain else METADATA_PREFIX + key
