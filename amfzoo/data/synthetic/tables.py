"""The tables of a drawn set: the plain CSV, or Derm7pt's own layout; and where the findings lie."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from amfzoo.labels import CHECKLIST, DERM7PT, DIAGNOSIS, seven_point_score

from ..export import write_csv
from ..records import SPLITS, Lesion, LesionSet
from .case import TRUTH_COLUMNS, Case, Files, write_whole

NOTE = "drawn, not real"  # in the metadata `notes` of every drawn lesion
LESIONS_FILE, TRUTH_FILE = "lesions.csv", "truth.csv"
RELEASE = "release_v0"
_META_COLUMNS = (
    "case_num", DIAGNOSIS, "seven_point_score", "pigment_network", "streaks", "pigmentation", "regression_structures",
    "dots_and_globules", "blue_whitish_veil", "vascular_structures", "level_of_diagnostic_difficulty", "elevation",
    "location", "sex", "management", "clinic", "derm", "case_id", "notes",
)  # fmt: skip


def write_lesions(folder: Path, cases: Iterable[tuple[Case, Files]]) -> Path:
    """``lesions.csv``, which the reader `csv` takes; returns its path.

    Raises:
        ConfigError: it cannot be written.
    """
    lesions = [
        Lesion(
            id=str(case.number),
            clinical=folder / files.clinical,
            dermoscopy=folder / files.dermoscopy,
            labels=_classes(case),
            split=case.split or None,
            metadata={
                "skin_tone": str(case.skin_tone), "diagnosis_label": case.labels[DIAGNOSIS],
                "seven_point_score": str(_score(case)), "notes": NOTE,
            },
        )
        for case, files in cases
    ]  # fmt: skip
    path = folder / LESIONS_FILE
    write_csv(LesionSet("drawn", tuple(lesions), DERM7PT.classes()), path)
    return path


def write_release(folder: Path, cases: Sequence[tuple[Case, Files]]) -> Path:
    """``release_v0/meta``, which the reader `derm7pt` takes; returns release_v0. Columns of the patient stay empty."""
    release = folder / RELEASE
    prefix = f"{RELEASE}/images/"
    rows = [
        {
            **dict.fromkeys(_META_COLUMNS, ""), **case.labels, "case_num": str(case.number),
            "seven_point_score": str(_score(case)), "clinic": files.clinical.removeprefix(prefix),
            "derm": files.dermoscopy.removeprefix(prefix), "notes": NOTE,
        }
        for case, files in cases
    ]  # fmt: skip
    for split in SPLITS:
        lines = [str(case.number - 1) for case, _ in cases if case.split == split]
        write_whole(release / "meta" / f"{split}_indexes.csv", "\n".join(["indexes", *lines, ""]).encode())
    write_whole(release / "meta" / "meta.csv", _text(rows, _META_COLUMNS))  # last: without it there is no set
    return release


def write_truth(folder: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """``truth.csv``: a row per picture and finding; see `case.write_case`."""
    write_whole(folder / TRUTH_FILE, _text(rows, TRUTH_COLUMNS))


def _classes(case: Case) -> dict[str, str]:
    return {name: task.group(case.labels[name]) for name, task in DERM7PT.tasks.items()}


def _score(case: Case) -> int:
    classes = _classes(case)
    return seven_point_score({name: classes[name] for name in CHECKLIST})


def _text(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
