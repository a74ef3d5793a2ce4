"""HAM10000: dermoscopy of pigmented lesions, seven diagnoses (Tschandl et al., Sci Data 2018).

Layout: ``HAM10000_metadata`` (or .csv, .tab) with the columns lesion_id, image_id, dx,
dx_type, age, sex, localization, and the JPEG files anywhere below the same folder.
"""

from __future__ import annotations

import os

from ...labels import DIAGNOSIS, Task
from ..faults import FaultLog
from ..records import LesionSet
from .image_rows import ImageRow, labels_by_row, lesion_key, to_lesions
from .paths import ImageIndex, first_file, source_folder
from .tables import read_table

DX = Task(DIAGNOSIS, ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"))
_FILES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
_METADATA = ("dx_type", "age", "sex", "localization", "dataset")


def read_ham10000(root: str | os.PathLike[str], *, lenient: bool = False) -> LesionSet:
    """Read HAM10000: dermoscopy only, several images of some lesions.

    One record per image; the records of one lesion share a patient (see `to_lesions`).

    Raises:
        ConfigError: a file or column is missing, or (unless lenient) an unknown label.
    """
    folder, log = source_folder(root, "ham10000"), FaultLog(lenient)
    table = read_table(first_file(folder, _FILES, "ham10000"), log)
    lesion, image = (table.column(name, "HAM10000") for name in ("lesion_id", "image_id"))
    table = table.named(image, log)
    labels, tasks = labels_by_row(table, {DIAGNOSIS: ("dx", DX)}, log)
    files = ImageIndex(folder)
    rows = [
        ImageRow(
            lesion_key(row, (lesion,), row.cells[image]),
            "dermoscopy",
            files.find(row.cells[image]),
            known,
            metadata={key: row.cells[key] for key in _METADATA if key in table.columns},
        )
        for row, known in zip(table.rows, labels)
    ]
    return LesionSet("ham10000", to_lesions(rows, log), tasks, tuple(log.faults))
