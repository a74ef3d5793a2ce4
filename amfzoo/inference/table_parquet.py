"""Parquet tables of bulk prediction: pairs read a block at a time, answers written a shard at a time."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import TableError
from .table_files import Block, ImageColumns, Row, image_columns, image_path, repeated_columns

SUFFIX = ".parquet"
_READ = 1024  # rows at a time


class ParquetPairs:
    """A Parquet file with the columns `clinical` and `dermoscopy`, and any others; as `PairTable`.

    The two hold text: paths relative to the file's folder; null or empty is a missing
    image. Rows are streamed, never held; a row's `cells` are the two paths.

    Args:
        images: as of `PairTable`.

    Raises:
        TableError: the file cannot be read or is not such a table, or pyarrow is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], images: ImageColumns = (None, None)) -> None:
        self.path = Path(path).expanduser().absolute()
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "does not exist"
            raise TableError(f"the table {path} {what}; it must be a Parquet file on disk")
        with self._reading() as file:
            schema = file.schema_arrow
        self.columns = tuple(schema.names)
        self.image_columns = image_columns(self.columns, self.path.name, images)
        repeated_columns(self.columns, f"{self.path.name} has the column {{}} twice; rename one of them")
        for name in self.image_columns:
            _check_paths(schema.field(name).type, name, self.path.name)

    def count(self) -> int:
        """Number of rows, from the file's own notes."""
        with self._reading() as file:
            return file.metadata.num_rows

    def rows(self) -> Iterator[Row]:
        """All rows in order, numbered from 1."""
        for block in self.blocks(_READ, range(self.count())):
            yield from block.rows

    def blocks(self, size: int, wanted: Container[int]) -> Iterator[Block]:
        """Those of the blocks of `size` rows (the last may have fewer) whose numbers are `wanted`, in order."""
        with self._reading() as file:
            for number, content in enumerate(_regrouped(file.iter_batches(_READ), size)):
                if number in wanted:
                    paths = zip(*(content.column(name).to_pylist() for name in self.image_columns))
                    first = number * size + 1
                    rows = [Row(first + i, tuple(path or "" for path in pair)) for i, pair in enumerate(paths)]
                    yield Block(number, rows, content)

    def pair(self, row: Row) -> tuple[str | Path | None, str | Path | None]:
        """The clinical and the dermoscopy image of a row, None where the cell is empty."""
        clinical, dermoscopy = (image_path(cell.strip(), self.path.parent) for cell in row.cells)
        return clinical, dermoscopy

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        try:
            from pyarrow import ArrowException, parquet
        except ImportError as error:
            raise TableError(
                f"{self.path.name}: Parquet needs pyarrow: pip install 'amfzoo[parquet]', or save the table as CSV"
            ) from error
        try:
            # a buffer of its own, else whole row groups are read into memory
            with parquet.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file:
                yield file
        except (ArrowException, OSError) as error:
            raise TableError(f"{self.path} is not a readable Parquet file: {error}") from error


def _check_paths(kind: Any, column: str, table: str) -> None:
    from pyarrow import types

    text = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(text) or types.is_large_string(text) or types.is_string_view(text) or types.is_null(text)):
        raise TableError(f"the column {column!r} of {table} holds {kind}; it must hold the paths of images as text")


def _regrouped(batches: Iterator[Any], size: int) -> Iterator[Any]:
    """Record batches of any lengths as tables of `size` rows; the last may have fewer."""
    from pyarrow import Table, concat_tables

    held: Any = None
    for batch in batches:
        more = Table.from_batches([batch])
        held = more if held is None else concat_tables([held, more])
        while held.num_rows >= size:
            yield held.slice(0, size)
            held = held.slice(size)
    if held is not None and held.num_rows:
        yield held


def write_answers(
    file: Path, block: Block, names: Sequence[str], types: Sequence[type], answers: Sequence[Sequence[str]]
) -> None:
    """Write a shard: the block's columns as they are in the input, then the answers.

    Args:
        names, types: of the added columns (`AnswerColumns`).
        answers: their cells as text, for each row; empty ones become null.
    """
    import pyarrow
    from pyarrow import parquet

    arrow = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
    content = block.content
    for name, kind, cells in zip(names, types, zip(*answers)):
        values = [kind(cell) if cell else None for cell in cells]
        content = content.append_column(name, pyarrow.array(values, arrow[kind]))
    with open(file, "wb") as stream:
        parquet.write_table(content, stream)
        stream.flush()
        os.fsync(stream.fileno())


def read_answers(file: Path, names: Sequence[str]) -> Iterator[list[str]]:
    """The cells of some columns of a shard, as `write_answers` took them, row by row.

    Raises:
        TableError: the file is damaged or has no such columns.
    """
    from pyarrow import ArrowException, parquet

    try:
        content = parquet.read_table(file, columns=list(names))
        columns = [content.column(name).to_pylist() for name in names]
    except (ArrowException, OSError, KeyError) as error:
        raise TableError(
            f"{file} is damaged ({error}); remove it, and the same command answers its rows again"
        ) from error
    yield from ([_text(value) for value in row] for row in zip(*columns))


def _text(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.8f}" if isinstance(value, float) else str(value)
