"""DermaKNet labels: checklist structures of images of the ISIC archive.

Layout: ``dermaknet.csv`` with image_id and one column per structure (0 absent, 1 locally
present, 2 present and the main global pattern), and ``<image_id>.jpg`` anywhere below the
same folder. The publisher does not name the annotators.
"""

from __future__ import annotations

import os

from ...labels import Schema
from ..faults import FaultLog
from ..records import LesionSet
from .paths import ImageIndex, first_file, source_folder
from .structures import read_presence
from .tables import read_table

COLUMNS = {
    "pigment_network": "reticular_pigment_network",
    "blue_whitish_veil": "blue_white_veil",
    "vascular_structures": "vascular_structures",
    "streaks": "streaks",
    "dots_and_globules": "globules_cobblestone",
    "regression_structures": "regression_structures",
}


def read_dermaknet(
    root: str | os.PathLike[str], *, schema: str | Schema | None = None, lenient: bool = False
) -> LesionSet:
    """Read six criteria of the checklist as absent or present; dermoscopy only.

    Nothing says typical or atypical, regular or irregular, so there are no points for
    the seven-point score. With ``schema="derm7pt"`` a structure that is present has its
    grades as candidates, to train together with a source that tells them apart. Other columns, e.g. melanoma, are metadata.

    Raises:
        ConfigError: a file or column is missing, or (unless lenient) another value than 0, 1, 2.
    """
    folder, log = source_folder(root, "dermaknet"), FaultLog(lenient)
    table = read_table(first_file(folder, ["dermaknet.csv"], "dermaknet"), log)
    return read_presence("dermaknet", table, ImageIndex(folder), COLUMNS, ("1", "2"), log, schema)
