"""Rows of pairs of whatever table they come from, and its columns of images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import TableError
from ..image_cells import called, image_file, not_a_path, plain

IMAGE_COLUMNS = ("clinical", "dermoscopy")
ImageColumns = tuple[str | None, str | None]
IN_TABLE = "in the table"  # what a picture is called that a table itself holds, without a path


@dataclass(frozen=True)
class Row:
    """One row of pairs.

    Attributes:
        line: where it starts in the file; the header is line 1, or 2 below Excel's ``sep=;``.
        cells: as many as there are columns.
        problem: why it cannot be used, if so.
        images: pictures that the table itself holds (`pyarrow.Scalar`), None in the place of one that it names.
    """

    line: int
    cells: tuple[str, ...]
    problem: str | None = None
    images: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Block:
    """Rows of the input that follow each other.

    Attributes:
        number: of the block, from 0.
        rows: in order.
        content: a `pyarrow.Table` of the same rows with all their columns, if the input is Parquet.
    """

    number: int
    rows: list[Row]
    content: Any = None


def repeated_columns(columns: Sequence[str], message: str) -> None:
    """Raise TableError, with the name put into `message`, if a column comes twice; those without a name may."""
    for index, column in enumerate(columns):
        if column and column in columns[:index]:
            raise TableError(message.format(repr(column)))


def image_columns(columns: Sequence[str], name: str, images: ImageColumns = (None, None)) -> list[str]:
    """The columns of the clinical and of the dermoscopy image, however their names are written.

    Args:
        images: what they are called, where that is not clinical and dermoscopy.

    Raises:
        TableError: one is not there, several may be meant, or both are the same; `name` is the table's.
    """
    asked = dict(zip(IMAGE_COLUMNS, images))
    found = {usual: called([column or usual], columns) for usual, column in asked.items()}
    missing = [asked[usual] or usual for usual, alike in found.items() if not alike]
    if missing:
        raise TableError(
            f"{name} has no column named {' and none named '.join(map(repr, missing))}; its columns are "
            f"{', '.join(map(repr, columns[:12]))}. Name the two columns of image paths clinical and dermoscopy; "
            "leave the cell empty where an image is missing"
        )
    for wanted, alike in found.items():
        if len(alike) > 1:
            raise TableError(
                f"{name}: the columns {', '.join(map(repr, alike))} may each be the {wanted} image; rename all but one"
            )
    first, second = (alike[0] for alike in found.values())
    if first == second:
        raise TableError(f"{name}: the column {first!r} cannot be the clinical and the dermoscopy image")
    return [first, second]


def other_columns(columns: Iterable[str]) -> str:
    """The two columns of images, where they are called otherwise than usual; else ""."""
    names = list(columns)
    return "" if [*map(plain, names)] == [*IMAGE_COLUMNS] else " and ".join(names)


def image_path(text: str, folder: Path) -> str | Path | None:
    """As `image_file`; a URL stays one, and is refused by its own name."""
    return name if not_a_path(name := text.strip()) else image_file(text, folder)
