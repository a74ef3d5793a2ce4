"""A folder of answers: a manifest, and shards that are there whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import TableError
from ..files import FILE, remove_left, replacing
from ..table_suffixes import PARQUET
from . import table_parquet
from .table import writing
from .table_columns import AnswerColumns
from .table_earlier import check_guards
from .table_files import PairTable, csv_line, read_records
from .table_parquet import ParquetPairs
from .table_rows import Block

MANIFEST = "_manifest.json"  # readers of folders of Parquet files skip names that begin so
SCHEMA_VERSION = 1


class ShardFolder:
    """The shards of one input, each with the answers to one of its blocks of rows.

    Args:
        path: the folder; made if it is not there.
        table: the input; shards are in its format.
        columns: what is added to its columns.
    """

    def __init__(self, path: str | os.PathLike[str], table: PairTable | ParquetPairs, columns: AnswerColumns) -> None:
        self.path, self._table, self._columns = check_folder(path, table.path), table, columns
        self._suffix = PARQUET if isinstance(table, ParquetPairs) else ".csv"

    def file(self, number: int) -> Path:
        return self.path / f"part-{number:05d}{self._suffix}"

    def begin(self, facts: Mapping[str, Any], shard_rows: int, *, overwrite: bool) -> dict[str, Any]:
        """Write the manifest, or check that the one that is there says the same.

        Args:
            facts: of the input, the model and the settings, for JSON.
            shard_rows: for a new manifest, if `facts` do not say it.
            overwrite: remove earlier shards first.

        Returns:
            The manifest's content.

        Raises:
            TableError: the folder holds other files, or answers to another input, by
                another model or with other settings.
        """
        before = self._manifest()
        if before is None and any(not _temporary(file) for file in self.path.iterdir()):
            raise TableError(
                f"the folder {self.path} has files but no {MANIFEST}, so it is no folder of answers; name a new folder"
            )
        if before is not None and not overwrite:
            self._check_same(before, facts)
            remove_left(self.path, f".*.{FILE}")  # the caller is the only one at work here
            return before
        for file in (*self.path.glob("part-*.csv"), *self.path.glob(f"part-*{PARQUET}")):
            writing(file, file.unlink)
        remove_left(self.path, f".*.{FILE}")  # the caller is the only one at work here
        content = {
            "schema_version": SCHEMA_VERSION,
            "shard_rows": shard_rows,
            **facts,
            "made_with": {"amfzoo": __version__},
        }
        writing(self.path / MANIFEST, partial(self._write_manifest, content))
        return content

    def write(self, block: Block, answers: Sequence[Sequence[str]]) -> None:
        """Write a shard, or nothing.

        Raises:
            TableError: it cannot be written.
        """
        file = self.file(block.number)
        writing(file, partial(self._replace, file, block, answers))

    def answers(self, number: int) -> Iterator[list[str]]:
        """The added cells of a shard that is there, row by row.

        Raises:
            TableError: it is damaged.
        """
        yield from self._cells(number, self._columns.names)

    def errors(self, number: int) -> Iterator[str]:
        """The cell `error` of every row of a shard that is there."""
        for cells in self._cells(number, self._columns.names[-1:]):
            yield cells[-1]

    def _cells(self, number: int, names: Sequence[str]) -> Iterator[list[str]]:
        file = self.file(number)
        if isinstance(self._table, ParquetPairs):
            yield from table_parquet.read_answers(file, names)
            return
        header = [*self._table.columns, *self._columns.names]
        records = (record.cells for record in read_records(file, self._table.delimiter, torn=False))
        if next(records, None) != header:
            raise self.damaged(number)
        for cells in records:
            if len(cells) != len(header):
                raise self.damaged(number)
            yield cells[-len(names) :]

    def damaged(self, number: int) -> TableError:
        return TableError(f"{self.file(number)} is damaged; remove it, and the same command answers its rows again")

    def _replace(self, file: Path, block: Block, answers: Sequence[Sequence[str]]) -> None:
        with replacing(file) as unfinished:
            if isinstance(self._table, ParquetPairs):
                table_parquet.write_answers(unfinished, block, self._columns.names, self._columns.types, answers)
                return
            with open(unfinished, "wb") as stream:
                header = [*self._table.columns, *self._columns.names]
                stream.write(csv_line(header, self._table.delimiter, bom=self._table.has_bom))
                rows = zip(block.rows, answers, strict=True)
                stream.writelines(csv_line([*row.cells, *cells], self._table.delimiter) for row, cells in rows)
                stream.flush()
                os.fsync(stream.fileno())

    def _manifest(self) -> dict[str, Any] | None:
        writing(self.path, partial(self.path.mkdir, exist_ok=True))
        file = self.path / MANIFEST
        if not file.exists():
            return None
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TableError(f"{file} cannot be read ({error}); name another folder") from error
        known = isinstance(found, dict) and found.get("schema_version") == SCHEMA_VERSION
        if not known or not isinstance(found.get("shard_rows"), int):
            raise TableError(f"{file} is not a manifest of answers that this version reads; name another folder")
        return found

    def _check_same(self, before: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        for name, value in facts.items():
            if (before.get(name) or None) != (value or None):  # what a manifest of before does not name was empty
                if name == "columns" and isinstance(before.get(name), list):
                    check_guards(self.path, value, before[name])
                raise TableError(
                    f"{self.path} holds answers of another {name.replace('_', ' ')}: {_short(before.get(name))}, and this "
                    f"run has {_short(value)}; write to another folder (--out), or start over and replace it (--overwrite)"
                )

    def _write_manifest(self, facts: Mapping[str, Any]) -> None:
        with replacing(self.path / MANIFEST) as unfinished:
            unfinished.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def names_folder(out: str | os.PathLike[str]) -> bool:
    """Whether answers go to a folder of shards: it ends in a slash, or is a folder."""
    text = os.fspath(out)
    return text.endswith(("/", os.sep)) or os.path.isdir(os.path.expanduser(text))


def check_folder(out: str | os.PathLike[str], source: Path) -> Path:
    """Where the shards go, links followed.

    Raises:
        TableError: it is a file, holds the table `source`, or the folder it would be made in is not there.
    """
    path = Path(os.path.realpath(Path(out).expanduser()))
    if not path.parent.is_dir():
        raise TableError(f"cannot write {out}: the folder {path.parent} does not exist")
    if path.exists() and not path.is_dir():
        raise TableError(f"cannot write {out}: it is a file; name a folder, or leave out the slash at the end")
    if Path(os.path.realpath(source)).parent == path:
        raise TableError(
            f"cannot write {out}: the table {source.name} lies in it, and shards would be mixed up with it; name another folder"
        )
    return path


def _temporary(file: Path) -> bool:
    return file.name.endswith((f".{FILE}", ".lock"))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}..."
