"""Parquet tables of bulk prediction: pairs read a block at a time, answers written a shard at a time."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import TableError
from ..images.source import named_bytes
from .table_parquet_columns import check_pictures, image_kind, is_bytes
from .table_rows import IN_TABLE, Block, ImageColumns, Row, image_columns, image_path, repeated_columns

MAGIC = b"PAR1"  # the first bytes of such a file, whatever it is called
_READ = 1024  # rows at a time
_HELD = 128 << 20  # bytes of pictures of a block, about
_NOT_TEXT = "the cell {!r} is no UTF-8 text; write the path of the image as UTF-8"


class ParquetPairs:
    """A Parquet file with the columns `clinical` and `dermoscopy`, and any others; as `PairTable`.

    The two hold text, paths relative to the file's folder, or the pictures themselves: the bytes of their files, alone
    or as the `bytes` beside a `path` (so the Hugging Face library `datasets` writes them). Null or empty text is a
    missing image. Rows are streamed, never held; a row's `cells` are the two paths.

    Args:
        images: as of `PairTable`.

    Attributes:
        most_rows: that a block should have, so that what is held of pictures stays small; None if the table holds none.

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
            kinds = [image_kind(schema.field(name).type, name, self.path.name) for name in self.image_columns]
            self._pictures = [name for name, kind in zip(self.image_columns, kinds) if kind != "text"]
            self.most_rows = _rows_within(_HELD, file.metadata, self._pictures) if self._pictures else None
            for name, kind in zip(self.image_columns, kinds):
                if kind == "bytes":
                    check_pictures(file, name, self.path.name)

    def count(self) -> int:
        """Number of rows, from the file's own notes."""
        with self._reading() as file:
            return file.metadata.num_rows

    def rows(self) -> Iterator[Row]:
        """All rows in order, numbered from 1."""
        size = self._step
        for block in self.blocks(size, range(-(-self.count() // size))):
            yield from block.rows

    def lines(self, indices: Sequence[int]) -> Iterator[int]:
        """The numbers of the rows at some indices, which count from 0."""
        yield from (index + 1 for index in indices)

    def blocks(self, size: int, wanted: Container[int]) -> Iterator[Block]:
        """Those of the blocks of `size` rows (the last may have fewer) whose numbers are `wanted`, in order."""
        from pyarrow import Table

        with self._reading() as file:
            total, parts = file.metadata.num_rows, []
            for start, batch in self._batches(file, size, wanted):
                done = 0
                while done < batch.num_rows:
                    number = (start + done) // size
                    end = min((number + 1) * size, total)  # of the block
                    part = batch.slice(done, end - start - done)
                    done += part.num_rows
                    if number in wanted:
                        parts.append(part)
                        if start + done == end:
                            content, parts = Table.from_batches(parts), []
                            yield Block(number, self._rows(content, number * size + 1), self._without_pictures(content))

    def pair(self, row: Row) -> tuple[str | Path | bytes | None, str | Path | bytes | None]:
        """The clinical and the dermoscopy image of a row, None where the cell is empty."""
        held = row.images or (None, None)
        clinical, dermoscopy = (
            image_path(cell, self.path.parent) if scalar is None else named_bytes(scalar.as_py(), cell)
            for cell, scalar in zip(row.cells, held)
        )
        return clinical, dermoscopy

    @property
    def _step(self) -> int:
        """How many rows are read at once: of small pictures no more than of paths."""
        return min(self.most_rows or _READ, _READ)

    def _batches(self, file: Any, size: int, wanted: Container[int]) -> Iterator[tuple[int, Any]]:
        """(index of its first row, record batch) of the row groups that hold a row of a wanted block."""
        start = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            first, last = start // size, (start + rows - 1) // size
            if rows and any(number in wanted for number in range(first, last + 1)):
                at = start
                for batch in file.iter_batches(self._step, row_groups=[group]):
                    yield at, batch
                    at += batch.num_rows
            start += rows

    def _rows(self, content: Any, first: int) -> list[Row]:
        columns = [_images(content.column(name)) for name in self.image_columns]
        rows = []
        for line, cells in enumerate(zip(*columns), first):
            texts, pictures, problems = zip(*cells)
            problem = next(filter(None, problems), None)
            rows.append(Row(line, texts, problem, pictures if self._pictures else ()))
        return rows

    def _without_pictures(self, content: Any) -> Any:
        """What goes along with the answers: all columns, but of pictures only the path, where there is one."""
        for name in self._pictures:
            column, index = content.column(name), content.schema.get_field_index(name)
            path = _member(column, "path")
            content = content.remove_column(index) if path is None else content.set_column(index, name, path)
        return content

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


def _rows_within(size: int, metadata: Any, names: Sequence[str]) -> int:
    """How many rows have about `size` bytes in some columns, going by the row group where they have most."""
    widest = 1.0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        columns = map(group.column, range(group.num_columns))
        held = sum(c.total_uncompressed_size for c in columns if _is_of(c.path_in_schema, names))
        widest = max(widest, held / max(group.num_rows, 1))
    return max(1, int(size / widest))


def _is_of(path: str, names: Sequence[str]) -> bool:
    """Whether a path in the schema is that of one of the columns, whose names may have dots, or of a field of it."""
    return any(path == name or path.startswith(f"{name}.") for name in names)


def _member(column: Any, name: str) -> Any | None:
    """A field of a column of structs, null where the struct is; None if there is none."""
    from pyarrow import compute, types

    if types.is_struct(column.type) and column.type.get_field_index(name) >= 0:
        return compute.struct_field(column, name)
    return None


def _images(column: Any) -> Iterator[tuple[str, Any | None, str | None]]:
    """(text of the cell, the picture that it holds, why the cell cannot be used) of every row of a column of images."""
    held = column if is_bytes(column.type) else _member(column, "bytes")
    if held is None:
        yield from ((text, None, problem) for text, problem in _texts(column))
        return
    paths = _member(column, "path")
    texts = [("", None)] * len(column) if paths is None else _texts(paths)
    for scalar, (text, problem) in zip(held, texts):
        yield (text or IN_TABLE, scalar, None) if scalar.is_valid else (text, None, problem)


def _texts(column: Any) -> Iterator[tuple[str, str | None]]:
    """(text, problem) of every cell; Parquet does not see to it that text is UTF-8."""
    import pyarrow

    try:
        yield from [(value or "", None) for value in column.to_pylist()]
        return
    except UnicodeDecodeError:
        pass
    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    for value in column.cast(pyarrow.large_binary()).to_pylist():
        try:
            yield (value or b"").decode(), None
        except UnicodeDecodeError:
            yield "", _NOT_TEXT.format(value)


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
