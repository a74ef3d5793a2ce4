"""Predictions for a table of any length into a folder of shards, by any number of processes.

Block i of the input's rows is answered by shard i, which is renamed into place when it
is whole. So whatever ends a run, each row is in the folder once or not yet, and the same
command goes on with the shards that are missing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TableError
from ..folder_check import sha256_of
from ..table_suffixes import PARQUETS
from .predictor import Pair, predict_stream
from .table import FAILURES_SHOWN, TableResult, only_writer, writing
from .table_batch import fitting_batch_size
from .table_columns import AnswerColumns
from .table_files import PairTable
from .table_folder import MANIFEST, ShardFolder
from .table_parquet import MAGIC, ParquetPairs
from .table_processes import joined_team
from .table_rows import Block, ImageColumns

if TYPE_CHECKING:
    from .predictor import Model

SHARD_ROWS = 1000
_DONE, _TO_DO, _TO_RETRY = range(3)


def open_pairs(source: str | os.PathLike[str], images: ImageColumns = (None, None)) -> PairTable | ParquetPairs:
    """A table of pairs: Parquet if its name ends so or its first bytes say so, else CSV.

    Args:
        images: as of `PairTable`.

    Raises:
        TableError: the file cannot be read or is not such a table.
    """
    return (ParquetPairs if is_parquet(source) else PairTable)(source, images)


def is_parquet(source: str | os.PathLike[str]) -> bool:
    """Whether a table is named as a Parquet file, or is one that is called otherwise."""
    path = Path(source).expanduser()
    if path.suffix.lower() in PARQUETS or not path.is_file():
        return path.suffix.lower() in PARQUETS
    with suppress(OSError), open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC
    return False


def predict_shards(
    model: Model,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    clinical: str | None = None,
    dermoscopy: str | None = None,
    label: str | None = None,
    prefix: str = "",
    batch_size: int | None = None,
    shard_rows: int | None = None,
    overwrite: bool = False,
    retry_errors: bool = False,
    guards: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, rows: None,
) -> TableResult:
    """Answer every row of a CSV or Parquet file exactly once, in constant memory.

    Under `torchrun` each process answers a part of the shards; all of them return when
    the folder is complete.

    Args:
        source: a table as `PairTable` or `ParquetPairs` reads it.
        out: a folder; new, empty, or one of an earlier run, whose shards are kept after a
            check that they belong to the same input, model and settings. Shards are in the
            input's format, with its columns and those that `predict_table` adds. Of pictures that a Parquet table
            itself holds only the `path` goes along.
        clinical, dermoscopy: as of `predict_table`.
        label: what tells these weights from others; default their name, or a hash of them.
        prefix: put before the names of the added columns.
        batch_size: pairs per step; it has no influence on the answers; default one for the device.
        shard_rows: rows of a shard, and what a stopped run may lose; default as the folder
            has it, for a new one 1000, or fewer if the table holds the pictures themselves (`ParquetPairs.most_rows`).
        overwrite: throw away the shards of an earlier run and start over.
        retry_errors: answer again the rows that an earlier run could not.
        guards: whether to look for mistakes with the images; without, there is no column `warnings`.
        should_stop: asked after every row; true ends the run, to be taken up later.
        progress: called with (rows done, rows in all) of this process, now and then.

    Raises:
        TableError: the input cannot be read, or is written to while it is; or the folder cannot be written, is in use
            by another run, or holds something else, such as the input itself.
    """
    if shard_rows is not None and shard_rows < 1:
        raise TableError(f"shard_rows must be at least 1, got {shard_rows}")
    table = open_pairs(source, (clinical, dermoscopy))
    columns = AnswerColumns(model, label, prefix, guards, table.image_columns)
    columns.check(table)
    folder = ShardFolder(out, table, columns)
    stamp = _stamp(table.path)  # before its hash is taken
    with ExitStack() as stack:
        team = stack.enter_context(joined_team())
        rows = table.count()
        if not rows:
            raise TableError(f"{table.path.name} has columns but no rows")
        size = shard_rows or min(SHARD_ROWS, table.most_rows or SHARD_ROWS)
        if team.rank == 0:
            writing(folder.path, lambda: folder.path.mkdir(exist_ok=True))
            stack.enter_context(only_writer(folder.path / MANIFEST))
            facts = _facts(model, table, columns, rows) | ({"shard_rows": shard_rows} if shard_rows else {})
            size = folder.begin(facts, size, overwrite=overwrite)["shard_rows"]
        (size,) = team.told([size])
        steps = fitting_batch_size(model, batch_size)
        run = _Run(model, table, stamp, folder, columns, steps, size, rows, should_stop, progress)
        states = team.told(run.states(retry_errors) if team.rank == 0 else [_DONE] * run.shards)
        todo = [number for number, state in enumerate(states) if state != _DONE]
        if run.answer({number: states[number] for number in todo[team.rank :: team.size]}):
            team.wait()
        result = run.result(earlier=sum(run.length(i) for i, state in enumerate(states) if state == _DONE))
        if result.finished:
            team.wait()  # the first to end with an error code ends all others
    return result


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def _facts(model: Model, table: PairTable | ParquetPairs, columns: AnswerColumns, rows: int) -> dict[str, Any]:
    """What must be the same for shards to belong together; plain data."""
    runtime = getattr(model, "runtime", None)
    name = table.path.name.encode("utf-8", "backslashreplace").decode()  # file names need not be UTF-8, JSON is
    return {
        "input": {"name": name, "sha256": sha256_of(table.path), "rows": rows},
        "model": columns.label,
        "runtime": "torch" if runtime is None else runtime.name,
        "precision": getattr(model, "precision", "fp32"),
        "columns": [*table.columns, *columns.names],
        # what is called must not change from shard to shard
        "operating_points": {task: dict(point) for task, point in model.config.operating_points.items()},
    }


@dataclass
class _Shard:
    """A shard in the making: the block, its answers so far, how many are missing, and how many it had before."""

    block: Block
    answers: list[list[str] | None]
    missing: int
    kept: int


@dataclass
class _Run:
    model: Model
    table: PairTable | ParquetPairs
    stamp: tuple[int, ...]
    folder: ShardFolder
    columns: AnswerColumns
    batch_size: int
    size: int
    rows: int
    should_stop: Callable[[], bool]
    progress: Callable[[int, int], None]

    @property
    def shards(self) -> int:
        return -(-self.rows // self.size)

    def length(self, number: int) -> int:
        """Rows of a shard."""
        return min(self.size, self.rows - number * self.size)

    def states(self, retry: bool) -> list[int]:
        """What is to be done about each shard."""
        states = [_DONE if self.folder.file(number).exists() else _TO_DO for number in range(self.shards)]
        if not retry:
            return states
        return [
            _TO_RETRY if state == _DONE and any(self.folder.errors(number)) else state
            for number, state in enumerate(states)
        ]

    def answer(self, mine: dict[int, int]) -> bool:
        """Write the shards of these numbers; false if it was stopped before their end."""
        total, done = sum(map(self.length, mine)), 0
        self.progress(0, total)
        asked: deque[tuple[_Shard, int]] = deque()  # the network's answers come in the order of the questions
        pairs = self._pairs(mine, asked)
        options = {"batch_size": self.batch_size, "errors": "return", "guards": self.columns.guards}
        with closing(predict_stream(self.model, pairs, **options)) as answers:
            for answer in answers:
                shard, index = asked.popleft()
                row = shard.block.rows[index]
                shard.answers[index] = self.columns.cells(TableError(row.problem) if row.problem else answer)
                shard.missing -= 1
                done += 1
                if not shard.missing:
                    self._check_input()
                    self.folder.write(shard.block, shard.answers)
                    done += shard.kept
                self.progress(done, total)
                if self.should_stop():
                    return done == total
        return True

    def _check_input(self) -> None:
        """Answers must be to the rows that the manifest's hash is of."""
        try:
            same = _stamp(self.table.path) == self.stamp
        except OSError:
            same = False
        if not same:
            raise TableError(
                f"{self.table.path} was changed, replaced or removed while it was read, so its answers are not written; "
                "the shards before are of the table as it was: write to another folder (--out) once it stays as it is"
            )

    def _pairs(self, mine: dict[int, int], asked: deque[tuple[_Shard, int]]) -> Iterator[Pair]:
        for block in self.table.blocks(self.size, mine):
            answers: list[list[str] | None] = [None] * len(block.rows)
            if mine[block.number] == _TO_RETRY:
                answers = [None if cells[-1] else cells for cells in self.folder.answers(block.number)]
                if len(answers) != len(block.rows):
                    raise self.folder.damaged(block.number)
            missing = answers.count(None)
            shard = _Shard(block, answers, missing, kept=len(answers) - missing)
            for index in [i for i, cells in enumerate(answers) if cells is None]:
                asked.append((shard, index))
                row = block.rows[index]
                # a row of the wrong length has no pair to answer; (None, None) keeps its place
                yield (None, None) if row.problem else self.table.pair(row)

    def result(self, *, earlier: int) -> TableResult:
        """What the folder holds now."""
        result = TableResult(
            self.folder.path,
            rows=self.rows,
            earlier=earlier,
            counted="row" if isinstance(self.table, ParquetPairs) else "line",
        )
        bad: list[tuple[int, str]] = []
        for number in range(self.shards):
            if self.folder.file(number).exists():
                errors = list(self.folder.errors(number))
                if len(errors) != self.length(number):
                    raise self.folder.damaged(number)
                for index, error in enumerate(errors, number * self.size):
                    result.done += 1
                    result.failed += bool(error)
                    if error and len(bad) < FAILURES_SHOWN:
                        bad.append((index, error))
        if bad:
            lines = self.table.lines([index for index, _ in bad])
            result.failures = [(line, error) for line, (_, error) in zip(lines, bad)]
        return result
