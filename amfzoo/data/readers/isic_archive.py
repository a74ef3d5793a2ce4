"""Downloads of the ISIC archive, e.g. the HIBA collection (Hospital Italiano de Buenos Aires, CC BY).

Layout: ``metadata.csv`` as the archive writes it (isic_id, image_type, lesion_id,
patient_id, diagnosis columns, ...), and ``<isic_id>.jpg`` anywhere below the same folder.
The archive leaves out columns in which it knows nothing, so only isic_id is required.
"""

from __future__ import annotations

import os

from ...csv_mark import MISSING
from ...errors import ConfigError
from ...labels import DIAGNOSIS
from ..faults import FaultLog
from ..records import LesionSet
from .image_rows import ImageRow, labels_by_row, lesion_key, to_lesions
from .paths import ImageIndex, first_file, source_folder
from .tables import Table, read_table

# The archive had one column `diagnosis`, and has now five, from coarse to fine.
_DIAGNOSES = ("diagnosis", "diagnosis_3", "diagnosis_2", "diagnosis_1")
_USED = ("isic_id", "lesion_id", "patient_id", "image_type")


def read_isic_archive(
    root: str | os.PathLike[str], *, diagnosis: str | None = None, name: str = "isic-archive", lenient: bool = False
) -> LesionSet:
    """Read a download of the archive, pairing clinical close-ups and dermoscopy by lesion.

    Args:
        diagnosis: column with the diagnosis; default `diagnosis`, else the finest of
            `diagnosis_3` to `diagnosis_1` that there is. Classes are its strings, sorted.

    Image types "clinical: close-up" and "dermoscopic" are read, others (overviews,
    total-body tiles) are left out; without that column every image is taken for
    dermoscopy. An image without a lesion_id is a lesion of its own. All other columns
    are metadata.

    Raises:
        ConfigError: a file or column is missing.
    """
    folder, log = source_folder(root, name), FaultLog(lenient)
    table = read_table(first_file(folder, ["metadata.csv"], name), log)
    table.column("isic_id", "the images")
    column = _diagnosis(table, diagnosis)
    table = table.named("isic_id", log)
    labels, tasks = labels_by_row(table, {DIAGNOSIS: column}, log)
    files = ImageIndex(folder)
    rows = []
    for row, known in zip(table.rows, labels):
        kind = _kind(row.cells.get("image_type", "dermoscopic"))
        if kind is None:
            if row.cells["image_type"] in MISSING:
                log.add("bad-row", f"{row.where}: image_type is empty; write dermoscopic or clinical: close-up into it")
            continue
        rows.append(
            ImageRow(
                lesion_key(row, ("lesion_id",), row.cells["isic_id"]),
                kind,
                files.find(row.cells["isic_id"]),
                known,
                patient=row.cells.get("patient_id") or None,
                metadata={key: text for key, text in row.cells.items() if key not in (*_USED, column)},
            )
        )
    return LesionSet(name, to_lesions(rows, log), tasks, tuple(log.faults))


def read_hiba(root: str | os.PathLike[str], *, diagnosis: str | None = None, lenient: bool = False) -> LesionSet:
    """The HIBA collection; see `read_isic_archive`."""
    return read_isic_archive(root, diagnosis=diagnosis, name="hiba", lenient=lenient)


def _diagnosis(table: Table, asked: str | None) -> str:
    if asked is not None:
        return table.column(asked, "the diagnosis")
    for column in _DIAGNOSES:
        if column in table.columns:
            return column
    raise ConfigError(f"{table.path}: no column {' or '.join(_DIAGNOSES)}; name it with diagnosis=")


def _kind(image_type: str) -> str | None:
    text = image_type.lower()
    if text.startswith("dermoscop"):
        return "dermoscopy"
    return "clinical" if text in ("clinical", "clinical: close-up") else None
