"""PAD-UFES-20: clinical photos from smartphones, six diagnoses (Pacheco et al., Data in Brief 2020, CC BY 4.0).

Layout: ``metadata.csv`` with patient_id, lesion_id, img_id (the file's name), diagnostic
and some twenty columns on the patient, and the PNG files anywhere below the same folder.
"""

from __future__ import annotations

import os

from ...labels import DIAGNOSIS, Task
from ..faults import FaultLog
from ..records import LesionSet
from .image_rows import ImageRow, labels_by_row, lesion_key, to_lesions
from .paths import ImageIndex, first_file, source_folder
from .tables import read_table

DIAGNOSTIC = Task(DIAGNOSIS, ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK"))
_KEYS = ("patient_id", "lesion_id", "img_id")


def read_pad_ufes(root: str | os.PathLike[str], *, lenient: bool = False) -> LesionSet:
    """Read PAD-UFES-20: clinical images only, with patients.

    Ids are ``<patient_id>_<lesion_id>``, with ``#2`` and so on for further images, and the image's where one of the two is blank. All
    other columns are metadata (`fitspatrick` is spelled as in the file).

    Raises:
        ConfigError: a file or column is missing, or (unless lenient) an unknown label.
    """
    folder, log = source_folder(root, "pad-ufes-20"), FaultLog(lenient)
    table = read_table(first_file(folder, ["metadata.csv"], "pad-ufes-20"), log)
    patient, lesion, image = (table.column(name, "PAD-UFES-20") for name in _KEYS)
    table = table.named(image, log)
    labels, tasks = labels_by_row(table, {DIAGNOSIS: ("diagnostic", DIAGNOSTIC)}, log)
    files = ImageIndex(folder)
    rows = [
        ImageRow(
            lesion_key(row, (patient, lesion), row.cells[image]),
            "clinical",
            files.find(row.cells[image]),
            known,
            patient=row.cells[patient] or None,
            metadata={key: text for key, text in row.cells.items() if key not in (*_KEYS, "diagnostic")},
        )
        for row, known in zip(table.rows, labels)
    ]
    return LesionSet("pad-ufes-20", to_lesions(rows, log), tasks, tuple(log.faults))
