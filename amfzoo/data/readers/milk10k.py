"""MILK10k: pairs of clinical close-ups and dermoscopic images, 11 diagnoses.

MILK study team, doi:10.34970/648456, CC BY-NC 4.0. Layout, with `part` "Training":
``MILK10k_Training_Input/<lesion_id>/<isic_id>.jpg``, ``MILK10k_Training_Metadata.csv``
(one row per image) and ``MILK10k_Training_GroundTruth.csv`` (one row per lesion).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...labels import DIAGNOSIS, MILK10K
from ..faults import FaultLog
from ..records import Lesion, LesionSet
from .paths import first_file, source_folder
from .tables import Row, Table, read_table

IMAGE_TYPES = {"clinical: close-up": "clinical", "dermoscopic": "dermoscopy"}
METADATA = {"age": "age_approx", "sex": "sex", "site": "site", "skin_tone_class": "skin_tone_class"}


def read_milk10k(root: str | os.PathLike[str], *, part: str = "Training", lenient: bool = False) -> LesionSet:
    """Read the official layout: 5240 lesions in the Training part, without a split.

    Lesions come in the order of the metadata; the diagnosis is unknown for those without
    a row of ground truth, and for all of the part "Test", which has none.
    Metadata: age (years), sex, site, skin_tone_class (0 very dark to 5 very light).
    The MONET scores are made by a model and are not read. Patients are not recorded.

    Raises:
        ConfigError: a file or column is missing, or (unless lenient) a row is not as
            described, e.g. an image of another type or ground truth that is not one-hot.
    """
    folder, log = source_folder(root, "milk10k"), FaultLog(lenient)
    images = read_table(first_file(folder, [f"MILK10k_{part}_Metadata.csv"], "milk10k"), log)
    for column in ("lesion_id", "isic_id", "image_type", *METADATA.values()):
        images.column(column, "MILK10k")
    images = images.named("lesion_id", log).named("isic_id", log)
    truth = {} if part == "Test" else _truth(first_file(folder, [f"MILK10k_{part}_GroundTruth.csv"], "milk10k"), log)
    rows: dict[str, list[Row]] = {}
    for row in images.rows:
        rows.setdefault(row.cells["lesion_id"], []).append(row)
    for lesion in truth:
        rows.setdefault(lesion, [])  # without images, which `check` reports
    lesions = [
        Lesion(
            id=lesion,
            **_pair(lesion, of_lesion, folder / f"MILK10k_{part}_Input", log),
            labels={DIAGNOSIS: truth[lesion]} if lesion in truth else {},
            metadata={key: _first(row.cells[column] for row in of_lesion) for key, column in METADATA.items()},
        )
        for lesion, of_lesion in rows.items()
    ]
    return LesionSet("milk10k", tuple(lesions), MILK10K.classes(), tuple(log.faults))


def _pair(lesion: str, rows: list[Row], folder: Path, log: FaultLog) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for row in rows:
        kind = IMAGE_TYPES.get(row.cells["image_type"])
        if kind is None:
            log.add(
                "bad-row",
                f"{row.where}: image_type {row.cells['image_type']!r} is not one of "
                f"{', '.join(map(repr, IMAGE_TYPES))}",
                lesion,
            )
        elif kind in found:
            log.add(
                "bad-row", f"{row.where}: a second {kind} image of lesion {lesion}; expected one of each kind", lesion
            )
        else:
            found[kind] = folder / lesion / f"{row.cells['isic_id']}.jpg"
    return found


def _truth(file: Path, log: FaultLog) -> dict[str, str]:
    table: Table = read_table(file, log)
    classes = MILK10K.classes()[DIAGNOSIS]
    for column in ("lesion_id", *classes):
        table.column(column, "the ground truth")
    found: dict[str, str] = {}
    for row in table.named("lesion_id", log).rows:
        try:
            values = [float(row.cells[name] or 0) for name in classes]
        except ValueError:
            values = []
        if sorted(values) != [0.0] * (len(classes) - 1) + [1.0]:
            log.add(
                "bad-row",
                f"{row.where}: the diagnosis is not one-hot; exactly one class must be 1, the others 0",
                row.cells["lesion_id"],
            )
            continue
        lesion, diagnosis = row.cells["lesion_id"], classes[values.index(1)]
        if found.setdefault(lesion, diagnosis) != diagnosis:
            log.add(
                "bad-row",
                f"{row.where}: the diagnosis of lesion {lesion} is {diagnosis} here and {found[lesion]} before; remove one of the two rows",
                lesion,
            )
    return found


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
