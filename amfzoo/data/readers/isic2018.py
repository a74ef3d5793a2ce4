"""ISIC 2018 challenge, task 2: dermoscopy with masks of five structures.

Official layout: ``ISIC2018_Task1-2_Training_Input/<image_id>.jpg`` and
``ISIC2018_Task2_Training_GroundTruth_v3/<image_id>_attribute_<structure>.png``. In place of
the masks, a table ``isic2018_task2.csv`` with image_id and one column per structure (0 or
1) is read, which starts in no time; its images may lie anywhere below the folder.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...errors import ConfigError
from ...images import read_image
from ...labels import Schema
from ..faults import FaultLog
from ..records import Lesion, LesionSet
from .paths import ImageIndex, source_folder
from .structures import ABSENT, present_among, read_presence, structure_classes
from .tables import read_table

COLUMNS = {"pigment_network": "pigment_network", "streaks": "streaks", "dots_and_globules": "globules"}
_TABLE = "isic2018_task2.csv"
_MASK = "_attribute_"


def read_isic2018_task2(
    root: str | os.PathLike[str], *, schema: str | Schema | None = None, lenient: bool = False
) -> LesionSet:
    """Read pigment network, streaks and globules as absent or present; dermoscopy only.

    With ``schema="derm7pt"`` a structure that is present has its grades (typical,
    atypical ...) as candidates, to train together with a source that tells them apart.
    A structure is present if its mask has a pixel. Masks are labels, so these images are
    opened; the dermoscopy is not. Of a table, other columns are metadata.

    Raises:
        ConfigError: neither masks nor table, or (unless lenient) another value than 0 or 1.
        ImageError: a mask cannot be read.
    """
    folder, log = source_folder(root, "isic2018-task2"), FaultLog(lenient)
    if (folder / _TABLE).is_file():
        table = read_table(folder / _TABLE, log)
        return read_presence("isic2018-task2", table, ImageIndex(folder), COLUMNS, ("1",), log, schema)
    images = ImageIndex(folder)
    masks = _masks(images)
    if not masks:
        raise ConfigError(
            f"isic2018-task2: {folder} has neither {_TABLE} nor masks named <image_id>{_MASK}<structure>.png; "
            "give the folder that holds the unpacked images and masks"
        )
    with ThreadPoolExecutor() as pool:
        present = dict(zip(masks, pool.map(_marked, masks.values())))
    tasks = structure_classes(COLUMNS, schema)
    lesions = []
    for image in sorted({image for image, _ in masks}):
        labels = {
            task: present_among(tasks[task]) if present[image, column] else ABSENT
            for task, column in COLUMNS.items()
            if (image, column) in present
        }
        lesions.append(Lesion(image, dermoscopy=images.find(image), labels=labels))
    return LesionSet("isic2018-task2", tuple(lesions), tasks, tuple(log.faults))


def _masks(images: ImageIndex) -> dict[tuple[str, str], Path]:
    """(image id, structure) -> mask, of the structures that are criteria."""
    found = {}
    for path in images:
        image, _, structure = path.stem.partition(_MASK)
        if structure in COLUMNS.values() and path.suffix == ".png":
            found[image, structure] = path
    return found


def _marked(path: Path) -> bool:
    return any(high > 0 for _, high in read_image(path).getextrema())
