"""From one row per image to lesions, for public sets that come as such tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...csv_mark import MISSING, NO_NAME
from ...labels import Task
from ..faults import FaultLog
from ..records import MODALITIES, Lesion
from .labelling import LabelColumn, read_labels
from .tables import Row, Table

LabelsOf = Mapping[str, "str | tuple[str, ...]"]


@dataclass(frozen=True)
class ImageRow:
    """One image: the lesion it shows, "clinical" or "dermoscopy", its file, what is known."""

    lesion: str
    kind: str
    path: Path
    labels: LabelsOf = field(default_factory=dict)
    patient: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def to_lesions(images: Iterable[ImageRow], log: FaultLog) -> tuple[Lesion, ...]:
    """One record per lesion, more where a lesion has several images of one kind.

    The k-th record holds the k-th clinical and the k-th dermoscopy image; from the second
    on, ids end in ``#2``, ``#3``, ... The records of one lesion must stay in one split, so
    where no patient is recorded, the lesion's id stands for the patient. Rows that
    disagree on a label leave their classes open, as candidates.

    Args:
        log: gets the lesions whose rows name several patients.
    """
    by_lesion: dict[str, dict[str, list[ImageRow]]] = {}
    for image in images:
        by_lesion.setdefault(image.lesion, {kind: [] for kind in MODALITIES})[image.kind].append(image)
    lesions = []
    for name, kinds in by_lesion.items():
        everything = [image for of_kind in kinds.values() for image in of_kind]
        patients = dict.fromkeys(image.patient for image in everything if (image.patient or "") not in NO_NAME)
        if len(patients) > 1:
            log.add(
                "bad-row",
                f"lesion {name}: its images are of several patients, {', '.join(map(str, patients))}; correct the lesion or the patient in the table",
                name,
            )
        patient = next(iter(patients), None)
        records = max(map(len, kinds.values()))
        labels, metadata = _merged_labels(everything), _merged(everything)
        for k in range(records):
            lesions.append(
                Lesion(
                    id=name if k == 0 else f"{name}#{k + 1}",
                    **{kind: of_kind[k].path for kind, of_kind in kinds.items() if k < len(of_kind)},
                    labels=labels,
                    patient=patient or (name if records > 1 else None),
                    metadata=metadata,
                )
            )
    return tuple(lesions)


def lesion_key(row: Row, columns: Sequence[str], image: str) -> str:
    """The cells that say together which lesion a row shows; where one of them is blank, the image is a lesion of its own."""
    cells = [row.cells.get(column, "") for column in columns]
    return image if any(cell in MISSING for cell in cells) else "_".join(cells)


def labels_by_row(
    table: Table, columns: Mapping[str, str | tuple[str, Task]], log: FaultLog
) -> tuple[list[dict[str, str | tuple[str, ...]]], dict[str, tuple[str, ...]]]:
    """`read_labels` for ``{task: column}`` or ``{task: (column, Task)}``."""
    plan = {}
    for task, value in columns.items():
        column, known = (value, None) if isinstance(value, str) else value
        plan[task] = LabelColumn(table.column(column, f"the task {task!r}"), known)
    return read_labels(table, plan, log)


def _merged_labels(images: list[ImageRow]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for image in images:
        for task, label in image.labels.items():
            found[task] = found.get(task, ()) + ((label,) if isinstance(label, str) else tuple(label))
    return found


def _merged(images: list[ImageRow]) -> dict[str, str]:
    """The first known value of each key."""
    found: dict[str, str] = {}
    for image in images:
        for key, value in image.metadata.items():
            if value:
                found.setdefault(key, value)
    return found
