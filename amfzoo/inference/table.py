"""Predictions for a CSV table of pairs, one row of answers per row, restartable at any moment.

Rows are appended to ``<out>.part``, which becomes `out` when all are there. A run that
was stopped, by whatever means, is taken up where it ended: rows that ``.part`` or `out`
hold already are checked against the input and kept.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..ahead import batched
from ..errors import AmfzooError, TableError
from ..files import alone
from .predictor import predict_stream
from .table_batch import fitting_batch_size
from .table_columns import AnswerColumns
from .table_earlier import EarlierAnswers, Survey
from .table_files import Appender, PairTable
from .table_rows import Row

if TYPE_CHECKING:
    from .prediction import Prediction
    from .predictor import Model

FAILURES_SHOWN = 5
_WINDOW = 64  # batches per stream of predictions: bounds the memory, costs one idle moment per window


@dataclass
class TableResult:
    """How a run ended.

    Attributes:
        out: the table of answers; ``.part`` is appended while rows are missing.
        rows: in the input.
        earlier: rows that were there before.
        done: rows that are there now, `failed` ones included.
        failed: rows with an error.
        failures: (line of the input, error) of the first few of them.
        counted: what their number counts: "line", or "row" of a Parquet table, which has no lines.
    """

    out: Path
    rows: int = 0
    earlier: int = 0
    done: int = 0
    failed: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)
    counted: str = "line"

    @property
    def finished(self) -> bool:
        return self.done == self.rows

    def count(self, line: int, error: str) -> None:
        self.done += 1
        if error:
            self.failed += 1
            if len(self.failures) < FAILURES_SHOWN:
                self.failures.append((line, error))


def check_output(table: PairTable, out: str | os.PathLike[str]) -> Path:
    """Where the answers go, links followed.

    Raises:
        TableError: it is the input itself, no plain file, or its folder is not there.
    """
    path = Path(os.path.realpath(Path(out).expanduser()))
    if not path.parent.is_dir():
        raise TableError(f"cannot write {out}: the folder {path.parent} does not exist")
    if path.exists() and not path.is_file():
        raise TableError(
            f"cannot write {out}: it is {'a folder' if path.is_dir() else 'not a plain file'}; name a CSV file to write"
        )
    for file in (path, _part(path)):
        if file.exists() and file.samefile(table.path):
            raise TableError(f"cannot write {out}: that would overwrite the input {table.path.name}; name another file")
    return path


def predict_table(
    model: Model,
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    clinical: str | None = None,
    dermoscopy: str | None = None,
    label: str | None = None,
    prefix: str = "",
    batch_size: int | None = None,
    overwrite: bool = False,
    retry_errors: bool = False,
    guards: bool = True,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] = lambda done, rows: None,
) -> TableResult:
    """Answer every row of a CSV file, in order, exactly once, in constant memory.

    Rows answered by an earlier run are kept, after a check that they belong to the same
    input rows, model and columns; rows added to the input since are answered.

    Args:
        source: CSV as `PairTable` reads it.
        out: CSV to write: the input's columns, then `model`, for each task the
            class that is called, the probabilities of all and, where the weights give it, its
            prediction set ("diagnosis set", classes joined by ";"); `missing`; `seven_point_score` where the
            weights give it; `warnings`, codes joined by ";", and `error`.
        clinical, dermoscopy: names of the columns of the images, where they are not called so; the column `model` has
            them, too.
        label: what tells these weights from others; default their name, or a hash of them.
        prefix: put before the names of the added columns.
        batch_size: pairs per step; it has no influence on the answers; default one for the device.
        overwrite: throw away an earlier `out` and start over.
        retry_errors: answer again the rows that an earlier run could not.
        guards: whether to look for mistakes with the images; without, there is no column `warnings`.
        should_stop: asked after every row; true ends the run, to be taken up later.
        progress: called with (rows done, rows in all), now and then.

    Raises:
        TableError: the input cannot be read, `out` cannot be written, is in use by
            another run, or holds answers of other rows, another model or other columns.
    """
    table = PairTable(source, (clinical, dermoscopy))
    path = check_output(table, out)
    columns = AnswerColumns(model, label, prefix, guards, table.image_columns)
    run = _Run(model, table, path, columns, fitting_batch_size(model, batch_size), should_stop, progress)
    columns.check(table)
    with only_writer(path):
        if overwrite:
            for file in (_part(path), path):
                writing(file, partial(file.unlink, missing_ok=True))
        before = _part(path).exists(), path.exists()
        result = run.complete(retry=retry_errors and before == (False, True))
        # what a stopped run left is first brought to its end, as one cannot tell which of its errors are old
        if retry_errors and before[0] and result.finished and result.failed:
            result = replace(run.complete(retry=True), earlier=result.earlier)
    return result


@dataclass
class _Run:
    model: Model
    table: PairTable
    out: Path
    columns: AnswerColumns
    batch_size: int
    should_stop: Callable[[], bool]
    progress: Callable[[int, int], None]

    @property
    def earlier(self) -> EarlierAnswers:
        return EarlierAnswers(self.table, self.columns)

    def complete(self, *, retry: bool) -> TableResult:
        """Write the rows that are missing; with `retry`, those with an error anew."""
        part = _part(self.out)
        result = TableResult(self.out)
        survey = self.earlier.survey(part, self.out, in_part=lambda row, error: result.count(row.line, error))
        if not survey.rows:
            raise TableError(f"{self.table.path.name} has a header but no rows")
        result.rows, result.done = survey.rows, survey.in_part
        untouched = survey.in_out == survey.rows and not part.exists()
        if untouched and not (retry and self._any_error()):
            return self._as_it_is(result)
        result.earlier = max(survey.in_part, survey.in_out)
        writer = Appender(part, survey.part_end, self.table.delimiter)
        try:
            if not survey.part_end:
                writer.write(self.columns.header(self.table), bom=self.table.has_bom)
            self._fill(writer, survey, result, retry)
        finally:
            writer.close()
        if result.finished:
            writing(self.out, lambda: os.replace(part, self.out))
        return result

    def _any_error(self) -> bool:
        return any(cells[-1] for cells in self.earlier.records(self.out))

    def _as_it_is(self, result: TableResult) -> TableResult:
        for row, cells in zip(self.table.rows(), self.earlier.records(self.out)):
            result.count(row.line, cells[-1])
        return replace(result, earlier=result.rows)

    def _fill(self, writer: Appender, survey: Survey, result: TableResult, retry: bool) -> None:
        self.progress(result.done, survey.rows)
        todo = zip(
            itertools.islice(self.table.rows(), survey.in_part, survey.rows),
            itertools.chain(
                itertools.islice(self.earlier.records(self.out), survey.in_part, None), itertools.repeat(None)
            ),
        )
        for window in batched(todo, _WINDOW * self.batch_size):
            window = [(row, None if retry and old and old[-1] else old) for row, old in window]
            # a row of the wrong length has no pair to answer; (None, None) keeps its place
            new = [(None, None) if row.problem else self.table.pair(row) for row, old in window if old is None]
            options = {"batch_size": self.batch_size, "errors": "return", "guards": self.columns.guards}
            with closing(predict_stream(self.model, new, **options)) as answers:
                for row, old in window:
                    cells = old or [*row.cells, *self._answer(row, next(answers))]
                    writer.write(cells)
                    result.count(row.line, cells[-1])
                    self.progress(result.done, survey.rows)
                    if self.should_stop():
                        return

    def _answer(self, row: Row, answer: Prediction | AmfzooError) -> list[str]:
        return self.columns.cells(TableError(row.problem) if row.problem else answer)


def _part(out: Path) -> Path:
    return out.with_name(f"{out.name}.part")


def writing(file: Path, action: Callable[[], None]) -> None:
    try:
        action()
    except OSError as error:
        raise TableError(f"{file} cannot be written: {error.strerror or error}") from error


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Hold the output alone."""
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(out.with_name(f"{out.name}.lock")))
        except BlockingIOError:
            raise TableError(f"another run is writing {out}; wait for its end, or write to another file") from None
        except OSError as error:
            raise TableError(f"cannot write in the folder {out.parent}: {error.strerror or error}") from error
        yield
