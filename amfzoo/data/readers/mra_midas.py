"""MRA-MIDAS: dermoscopy and photos from 15 and 30 cm of biopsied lesions and controls.

Layout: ``release_midas.csv`` (the publisher's .xlsx, saved as CSV) with one row per image,
and the JPEG files anywhere below the same folder. Columns read: midas_record_id,
midas_file_name, midas_iscontrol, midas_distance (dscope, 6in, 1ft, or n/a - virtual),
midas_location, midas_path, midas_melanoma.

Assumed, as the table has no id of the lesion: rows with the same record, location and
control flag show one lesion, and a record is one patient. A row that lacks one of the three is a lesion of its own.
"""

from __future__ import annotations

import os

from ...errors import ConfigError
from ...labels import DIAGNOSIS
from ..faults import FaultLog
from ..records import LesionSet
from .image_rows import ImageRow, labels_by_row, lesion_key, to_lesions
from .paths import ImageIndex, first_file, source_folder
from .tables import read_table

DISTANCES = ("6in", "1ft")
_KEYS = ("midas_record_id", "midas_location", "midas_iscontrol")
_USED = (*_KEYS[:1], "midas_file_name", "midas_distance", "midas_path", "midas_melanoma")


def read_mra_midas(
    root: str | os.PathLike[str], *, distances: tuple[str, ...] | list[str] = DISTANCES[:1], lenient: bool = False
) -> LesionSet:
    """Read MRA-MIDAS as pairs of a photo and dermoscopy.

    Args:
        distances: of the photos to read: "6in" (15 cm), "1ft" (30 cm) or both.

    Tasks: diagnosis, the strings of midas_path, sorted (unknown for most
    controls), and melanoma, those of midas_melanoma. Virtual photos are left out. A file
    may have `_cropped` behind the name that the table gives. Other columns are metadata.

    Raises:
        ConfigError: a file or column is missing, or a distance is unknown.
    """
    if isinstance(distances, str) or not set(distances) <= set(DISTANCES):
        raise ConfigError(f"distances: {distances!r} must be a list of {', '.join(DISTANCES)}")
    folder, log = source_folder(root, "mra-midas"), FaultLog(lenient)
    table = read_table(first_file(folder, ["release_midas.csv"], "mra-midas"), log)
    for column in (*_KEYS, *_USED):
        table.column(column, "MRA-MIDAS")
    kinds = {"dscope": "dermoscopy", **dict.fromkeys(distances, "clinical")}
    table = table.named("midas_file_name", log, read=lambda row: row.cells["midas_distance"].lower() in kinds)
    labels, tasks = labels_by_row(table, {DIAGNOSIS: "midas_path", "melanoma": "midas_melanoma"}, log)
    files = ImageIndex(folder)
    rows = [
        ImageRow(
            lesion_key(row, _KEYS, row.cells["midas_file_name"]),
            kinds[row.cells["midas_distance"].lower()],
            files.find(row.cells["midas_file_name"], "_cropped"),
            known,
            patient=row.cells["midas_record_id"] or None,
            metadata={key: text for key, text in row.cells.items() if key not in _USED},
        )
        for row, known in zip(table.rows, labels)
        if row.cells["midas_distance"].lower() in kinds
    ]
    return LesionSet("mra-midas", to_lesions(rows, log), tasks, tuple(log.faults))
