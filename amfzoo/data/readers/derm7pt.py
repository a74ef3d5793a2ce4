"""Derm7pt, the seven-point checklist data set (Kawahara et al., IEEE JBHI 2019).

Layout: ``release_v0/images/<folder>/<file>``, ``release_v0/meta/meta.csv`` and
``release_v0/meta/{train,valid,test}_indexes.csv``, each with one column `indexes` of
row numbers of meta.csv, the first being 0. It is had from its publisher; the images
may not be passed on.
"""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import ConfigError
from ...labels import DERM7PT
from ..faults import FaultLog
from ..records import SPLITS, Lesion, LesionSet
from .labelling import plan, read_labels
from .paths import CaseBlindFolder, first_file, source_folder
from .tables import Row, Table, read_table

# Many pictures have a black frame. The authors cut 25 pixels a side of 768 x 512;
# `Preprocess.border` is one fraction for both axes, so it is what 25 of 512 asks for.
BORDER = 0.05
INDEX_FILE = "{}_indexes.csv"
_IMAGES = ("clinic", "derm")


def read_derm7pt(root: str | os.PathLike[str], *, lenient: bool = False) -> LesionSet:
    """Read `release_v0` (or the folder that holds it): 1011 lesions, official split.

    Ids are the case numbers, 1 to 1011. Tasks, classes and their grouping are
    `labels.DERM7PT`. Where clinical and dermoscopy path are the same (nine cases), there
    is no clinical image. Paths are found on disk although the case of letters differs.
    All other columns are metadata; two of them, `management` and
    `level_of_diagnostic_difficulty`, are the clinician's own decision: never feed them
    to a model. `hints["border"]` is for `Preprocess.border`. Patients are not recorded.
    Rows that are in no index file have no split.

    Raises:
        ConfigError: a file or column is missing, meta.csv was sorted or cut, an index is
            out of range or in two splits, or (unless lenient) an unknown label.
    """
    folder = source_folder(root, "derm7pt")
    if not (folder / "meta").is_dir() and (folder / "release_v0" / "meta").is_dir():
        folder = folder / "release_v0"
    log = FaultLog(lenient)
    table = read_table(first_file(folder, ["meta/meta.csv"], "derm7pt"), log)
    for column in _IMAGES:
        table.column(column, "the image paths")
    _check_order(table)
    columns = plan(table, {task: task for task in DERM7PT.tasks}, DERM7PT)
    ids = [str(number) for number in range(1, len(table.rows) + 1)]
    labels, tasks = read_labels(table, columns, log, ids)
    splits = index_splits(folder / "meta", len(table.rows))
    images = CaseBlindFolder(folder / "images")
    lesions = [
        Lesion(
            id=ids[number],
            **_images(row, images),
            labels=labels[number],
            split=splits.get(number),
            metadata={key: text for key, text in row.cells.items() if key not in tasks and key not in _IMAGES},
        )
        for number, row in enumerate(table.rows)
    ]
    return LesionSet("derm7pt", tuple(lesions), tasks, tuple(log.faults), {"border": BORDER})


def _images(row: Row, images: CaseBlindFolder) -> dict[str, Path | None]:
    clinic, derm = (row.cells[column] for column in _IMAGES)
    if clinic.lower() == derm.lower():
        clinic = ""
    return {"clinical": images.find(clinic) if clinic else None, "dermoscopy": images.find(derm) if derm else None}


def _check_order(table: Table) -> None:
    """The index files count rows, so a table in another order would mix up the splits."""
    if "case_num" not in table.columns:
        return
    for number, row in enumerate(table.rows, start=1):
        if row.cells["case_num"] != str(number):
            raise ConfigError(
                f"{row.where}: case_num is {row.cells['case_num']!r}, expected {number}; the index files count "
                "the rows of the original meta.csv, so restore its order"
            )


def index_splits(meta: Path, rows: int) -> dict[int, str]:
    """Row number, from 0 -> split, of the index files in a folder, which belong to a table of so many rows."""
    found: dict[int, str] = {}
    for split in SPLITS:
        table = read_table(first_file(meta, [INDEX_FILE.format(split)], "derm7pt"), FaultLog())
        column = table.column("indexes", "the row numbers")
        for row in table.rows:
            text = row.cells[column]
            if not text.isdecimal() or int(text) >= rows:
                raise ConfigError(f"{row.where}: {text!r} is not a row number from 0 to {rows - 1} of meta.csv")
            if found.setdefault(int(text), split) != split:
                raise ConfigError(f"{row.where}: row {text} is in the splits {found[int(text)]} and {split}")
    return found
