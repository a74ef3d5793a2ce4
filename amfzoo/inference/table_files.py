"""The CSV files of bulk prediction: the pairs, the answers so far, and adding rows that survive a kill."""

from __future__ import annotations

import csv
import io
import itertools
import os
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ..ahead import batched
from ..csv_mark import advice, csv_rows, encoding_of, not_text
from ..errors import TableError
from ..files import NO_ROOM
from ..image_cells import called
from .table_rows import IMAGE_COLUMNS, Block, ImageColumns, Row, image_columns, image_path, repeated_columns

_DELIMITERS = ",;\t"
_BOM = b"\xef\xbb\xbf"
_SYNC_EVERY = 5.0  # seconds of work that a power cut may cost; a killed process loses none


class PairTable:
    """A CSV file with the columns `clinical` and `dermoscopy`, and any others.

    UTF-8 or UTF-16, with or without a byte order mark; comma, semicolon or tab.
    Cells may hold line breaks. Image paths are relative to the file's folder; an empty cell is a
    missing image. Rows are streamed, never held.

    Args:
        images: names of the columns of the clinical and the dermoscopy image; None: the one that is called so.

    Raises:
        TableError: the file cannot be read or is not such a table.
    """

    def __init__(self, path: str | os.PathLike[str], images: ImageColumns = (None, None)) -> None:
        self.path = Path(path).expanduser().absolute()
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "is not a file" if self.path.exists() else "does not exist"
            raise TableError(f"the table {path} {what}; it must be a CSV file on disk")
        with self._reading() as file:
            self.delimiter, self.columns = _header(file, self.path.name, images)
        self.image_columns = image_columns(self.columns, self.path.name, images)
        self._images = [self.columns.index(name) for name in self.image_columns]
        repeated_columns(self.columns, f"{self.path.name} has the column {{}} twice; rename one of them")
        # answers are UTF-8, with a mark where the table has any: spreadsheets go by it
        with open(self.path, "rb") as raw:
            self.has_bom = raw.read(len(_BOM)) == _BOM or encoding_of(self.path).startswith("utf-16")

    most_rows = None  # that a block should have

    def rows(self) -> Iterator[Row]:
        """All rows in order; blank lines are none, nor are rows of nothing but delimiters, which spreadsheets write."""
        with self._reading() as file:
            header_seen = False
            for line, cells in csv_rows(file, self.delimiter):
                filled = any(cell.strip() for cell in cells)
                if filled and header_seen:
                    yield self._row(line, cells)
                header_seen = header_seen or filled

    def lines(self, indices: Sequence[int]) -> Iterator[int]:
        """Where the rows at some ascending indices, from 0, start in the file."""
        rows, position = self.rows(), 0
        for index in indices:
            yield next(itertools.islice(rows, index - position, None)).line
            position = index + 1

    def count(self) -> int:
        """Number of rows, counted."""
        return sum(1 for _ in self.rows())

    def blocks(self, size: int, wanted: Container[int]) -> Iterator[Block]:
        """Those of the blocks of `size` rows (the last may have fewer) whose numbers are `wanted`, in order."""
        for number, block in enumerate(batched(self.rows(), size)):
            if number in wanted:
                yield Block(number, block)

    def pair(self, row: Row) -> tuple[str | Path | None, str | Path | None]:
        """The clinical and the dermoscopy image of a row, None where the cell is empty."""
        clinical, dermoscopy = (self._image(row.cells[index]) for index in self._images)
        return clinical, dermoscopy

    def _image(self, text: str) -> str | Path | None:
        return image_path(text, self.path.parent)

    def _row(self, line: int, cells: list[str]) -> Row:
        width = len(self.columns)
        problem = f"this row has {len(cells)} cells, the header has {width}" if any(cells[width:]) else None
        # spreadsheets leave out empty cells at the end of a row
        return Row(line, tuple([*cells, *[""] * width][:width]), problem)

    @contextmanager
    def _reading(self) -> Iterator[TextIO]:
        try:
            with open(self.path, encoding=encoding_of(self.path), newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            raise TableError(f"{self.path.name} is {not_text(error)}") from error
        except csv.Error as error:
            raise TableError(f"{self.path.name} is not a well-formed CSV file: {error}; {advice(error)}") from error
        except OSError as error:
            raise TableError(f"the table {self.path} cannot be read: {error.strerror or error}") from error


def _header(file: TextIO, name: str, images: ImageColumns) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names: the delimiter that shows most of the columns we need."""
    found: list[tuple[int, int, str, tuple[str, ...]]] = []
    wanted = [asked or usual for asked, usual in zip(images, IMAGE_COLUMNS)]
    for delimiter in _DELIMITERS:
        rows = csv_rows(file, delimiter, strict=False)
        cells = next((cells for _, cells in rows if any(map(str.strip, cells))), None)
        if cells is None:
            raise TableError(
                f"{name} is empty; its first line must name the columns, among them {' and '.join(wanted)}"
            )
        columns = tuple(cell.strip() for cell in cells)
        found.append((sum(bool(called([column], columns)) for column in wanted), len(columns), delimiter, columns))
    _, _, delimiter, columns = max(found, key=lambda entry: entry[:2])
    return delimiter, columns


def csv_line(cells: Sequence[str], delimiter: str, *, bom: bool = False) -> bytes:
    """One row as it stands in a CSV file, line end included."""
    buffer = io.StringIO()
    # csv quotes cells that hold a character of its line end, so it is given both, and one is taken off
    csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return (_BOM if bom else b"") + (buffer.getvalue()[:-2] + "\n").encode()


@dataclass(frozen=True)
class Record:
    """One row of an answer file, and the number of bytes up to its end."""

    cells: list[str]
    end: int


def read_records(path: Path, delimiter: str, *, torn: bool) -> Iterator[Record]:
    """The rows of an answer file, header first.

    Args:
        torn: the writer may have been killed, so leave out an incomplete last row.

    Raises:
        TableError: the file is damaged elsewhere, or cannot be read.
    """
    end, exhausted = 0, False

    def lines(file: io.BufferedReader) -> Iterator[str]:
        nonlocal end, exhausted
        for line in file:
            if torn and not line.endswith(b"\n"):
                break
            text = line.removeprefix(_BOM).decode() if end == 0 else line.decode()
            end += len(line)
            yield text
        exhausted = True

    try:
        with open(path, "rb") as file:
            # `strict` turns a quoted cell without an end into an error; the reader takes no line ahead of its row
            for cells in csv.reader(lines(file), delimiter=delimiter, strict=True):
                if cells:
                    yield Record(cells, end)
    except (csv.Error, UnicodeDecodeError) as error:
        if not (torn and exhausted):
            raise TableError(f"{path} is damaged after byte {end} ({error}); {OTHER_OUTPUT}") from error
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error


OTHER_OUTPUT = "write to another file (--out), or start over and replace it (--overwrite)"


class Appender:
    """Adds rows to an answer file, each at once and whole.

    Args:
        path: the file; made if it is not there.
        keep: bytes to keep; what follows is an incomplete row, and is cut off.

    Raises:
        TableError: the file cannot be written; complete rows stay in it.
    """

    def __init__(self, path: Path, keep: int, delimiter: str) -> None:
        self._path, self._delimiter = path, delimiter
        self.end = keep
        self._synced = time.monotonic()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            os.ftruncate(self._file, keep)
            os.lseek(self._file, keep, os.SEEK_SET)
        except OSError as error:
            raise self._failure(error) from error

    def write(self, cells: Sequence[str], *, bom: bool = False) -> None:
        data = csv_line(cells, self._delimiter, bom=bom)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self.end += len(data)
            if time.monotonic() - self._synced > _SYNC_EVERY:
                self.sync()
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self.end)
            raise self._failure(error) from error

    def sync(self) -> None:
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file, with all rows on the disk."""
        try:
            self.sync()
        except OSError as error:
            raise self._failure(error) from error
        finally:
            os.close(self._file)

    def _failure(self, error: OSError) -> TableError:
        if error.errno in NO_ROOM:
            return TableError(
                f"the disk is full ({error.strerror}): {self._path} keeps the rows done so far; "
                "make room and run the same again"
            )
        return TableError(f"{self._path} cannot be written: {error.strerror or error}; rows done before are kept")
