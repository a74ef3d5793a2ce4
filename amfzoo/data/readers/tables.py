"""CSV and Parquet files as rows of text. Knows nothing of lesions."""

from __future__ import annotations

import csv
import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...csv_mark import MISSING, advice, csv_rows, encoding_of, not_text
from ...errors import ConfigError
from ...image_cells import followed
from ...table_suffixes import PARQUETS
from ..faults import FaultLog
from ..values import as_text, says_nothing

# Not "|": it separates candidate classes within a cell.
_DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        where: it is, for messages.
        cells: text by column, without outer blanks.
        padded: the text of those that have outer blanks, which may be of a file's name.
    """

    where: str
    cells: Mapping[str, str]
    padded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table with named columns.

    Attributes:
        path: the file.
        columns: names, unique; columns without a name are left out.
        rows: in the file's order, one cell for every column.
        no_text: columns of Parquet that hold bytes or records, and what they hold; their cells are empty.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    no_text: Mapping[str, str] = field(default_factory=dict)

    def column(self, name: str, what: str) -> str:
        """`name`, if there is such a column.

        Raises:
            ConfigError: there is none; the message suggests a near one.
        """
        if name in self.columns:
            return name
        near = difflib.get_close_matches(name.lower(), [column.lower() for column in self.columns], n=1)
        hint = next((column for column in self.columns if near and column.lower() == near[0]), None)
        columns = ", ".join(map(repr, self.columns[:20]))
        mend = f"did you mean {hint!r}?" if hint else f"its columns are {columns}"
        raise ConfigError(f"{self.path}: no column {name!r} for {what}; {mend}")

    def named(
        self, column: str, log: FaultLog, *, unique: bool = False, read: Callable[[Row], bool] = lambda row: True
    ) -> Table:
        """Without the rows that `read` is true of and that name nothing in `column`, or what a row before them does; these go to `log`.

        Args:
            unique: whether a name may come once only.
        """
        kept: dict[str, Row] = {}
        rows = []
        for row in self.rows:
            name = row.cells[column]
            if read(row) and name in MISSING:
                log.add("bad-row", f"{row.where}: {column} is empty; fill it in, or remove the row")
            elif unique and kept.setdefault(name, row) is not row:
                log.add(
                    "repeated-id",
                    f"{row.where}: {column} {name!r} was there before ({kept[name].where}); remove one of the two rows",
                    name,
                )
            else:
                rows.append(row)
        return replace(self, rows=tuple(rows))


def read_table(path: str | os.PathLike[str], log: FaultLog, *, delimiter: str | None = None) -> Table:
    """Read a CSV file (comma, semicolon or tab; UTF-8 or UTF-16, with or without byte order
    mark) or a Parquet file (needs the extra `parquet`), told by the suffix, `.parquet` or `.pq`.

    Args:
        log: takes rows with more cells than there are columns; they are left out.
        delimiter: of the CSV file; default: the one that gives the header most columns, of those that cut no list of classes.

    Raises:
        ConfigError: no such file, not a table, no or repeated column names.
    """
    file = followed(Path(path).expanduser().absolute())
    if not file.is_file():
        what = "is a folder; give a CSV or Parquet file" if file.is_dir() else "does not exist; check the path"
        raise ConfigError(f"the table {file} {what}")
    if file.suffix.lower() in PARQUETS:
        return _parquet(file)
    lines = _csv_lines(file, delimiter)
    if not lines:
        raise ConfigError(f"{file}: the table is empty; its first line must name the columns")
    header = [cell.strip() for cell in lines[0][1]]
    columns = _columns(header, file)
    rows = []
    for number, cells in lines[1:]:
        where = f"{file.name}, line {number}"
        if any(cell.strip() for cell in cells[len(header) :]):
            log.add(
                "bad-row",
                f"{where}: {len(cells)} cells, but the header has {len(header)}; "
                "put text that contains the delimiter in quotation marks",
            )
            continue
        # spreadsheets leave out empty cells at the end of a row
        texts = dict(zip(header, [*cells, *[""] * len(header)]))
        rows.append(Row(where, {column: texts[column].strip() for column in columns}, _padded(texts)))
    return Table(file, columns, tuple(rows))


def _padded(texts: Mapping[str, str]) -> dict[str, str]:
    return {column: text for column, text in texts.items() if text != text.strip()}


def _csv_lines(file: Path, delimiter: str | None) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every row that is not blank."""
    try:
        with open(file, encoding=encoding_of(file), newline="") as stream:
            if delimiter is None:
                delimiter = max(_DELIMITERS, key=lambda one: _fit(_first_row(stream, one)))
            return [(line, cells) for line, cells in csv_rows(stream, delimiter) if any(cell.strip() for cell in cells)]
    except UnicodeError as error:
        raise ConfigError(f"{file}: {not_text(error)}") from error
    except (csv.Error, TypeError) as error:
        raise ConfigError(f"{file}: not a well-formed CSV file ({error}); {advice(error)}") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror or error})") from error


def _first_row(stream: Any, delimiter: str) -> Sequence[str]:
    return next((cells for _, cells in csv_rows(stream, delimiter, strict=False) if any(cells)), [])


def _fit(header: Sequence[str]) -> tuple[bool, int]:
    """How well a delimiter goes with a header: whether it leaves lists of classes whole, as in ``task [a, b|c, d]``, which a
    table with semicolons has without quotation marks, then the columns that it gives."""
    return all(name.count("[") == name.count("]") for name in header), len(header)


def _columns(header: Sequence[str], file: Path) -> tuple[str, ...]:
    named = tuple(name for name in header if name)  # an unnamed one is the index that pandas writes
    for index, name in enumerate(named):
        if name in named[:index]:
            raise ConfigError(f"{file}: the column {name!r} comes twice; rename one of them")
    if not named:
        raise ConfigError(f"{file}: the first line names no columns")
    return named


def _parquet(file: Path) -> Table:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigError(
            f'{file}: reading Parquet needs pyarrow; run pip install "amfzoo[parquet]", or save the table as CSV'
        ) from error
    try:
        content = parquet.read_table(file)
    except (ArrowException, OSError) as error:
        raise ConfigError(f"{file}: not a readable Parquet file ({error})") from error
    columns = _columns([name.strip() for name in content.column_names], file)
    no_text = {field.name.strip(): str(field.type) for field in content.schema if not _is_text(field.type)}
    kept = content.select([name for name in content.column_names if name.strip() and name.strip() not in no_text])
    empty = dict.fromkeys(set(no_text) & set(columns), "")
    rows = [
        Row(
            f"{file.name}, row {number}",
            {name.strip(): _text(value) for name, value in cells.items()} | empty,
            _padded({name.strip(): value for name, value in cells.items() if isinstance(value, str)}),
        )
        for number, cells in enumerate(kept.to_pylist(), start=1)
    ]
    return Table(file, columns, tuple(rows), no_text)


def _is_text(kind: Any) -> bool:
    """Whether values of a type of Arrow can stand in a cell."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return not (types.is_nested(kind) or "binary" in str(kind))


def _text(value: Any) -> str:
    """A Parquet value as a CSV cell would hold it; missing ones are empty."""
    if isinstance(value, (list, tuple)):
        return "|".join(map(_text, value))
    return "" if says_nothing(value) else as_text(value)
