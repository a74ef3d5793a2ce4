"""Answers that earlier runs left: do they belong to the rows, model and columns of this one?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ..errors import TableError
from .table_columns import WARNINGS, AnswerColumns
from .table_files import OTHER_OUTPUT, PairTable, read_records
from .table_rows import Row


@dataclass
class Survey:
    """What is there before a run: rows in all, in ``.part`` (with their bytes), in the finished table."""

    rows: int = 0
    in_part: int = 0
    part_end: int = 0
    in_out: int = 0


class EarlierAnswers:
    """Reads answer files, and holds every row of them against the input.

    Args:
        table: the input.
        columns: those that the answers add, of the model that is asked now.
    """

    def __init__(self, table: PairTable, columns: AnswerColumns) -> None:
        self._table, self._columns, self._header = table, columns, columns.header(table)

    def survey(self, part: Path, out: Path, in_part: Callable[[Row, str], None]) -> Survey:
        """Read the input to its end and compare both files with it; nothing is written.

        Args:
            part, out: the unfinished and the finished answers; either may not be there.
            in_part: called with each row that `part` answers, and its error or "".

        Raises:
            TableError: a file is not one of answers to these rows by this model, or is damaged.
        """
        survey = Survey()
        with closing(self._part_records(part, survey)) as begun, closing(self.records(out)) as finished:
            for row in self._table.rows():
                survey.rows += 1
                if (cells := next(begun, None)) is not None:
                    self._same_row(part, row, cells)
                    survey.in_part += 1
                    in_part(row, cells[-1])
                if (cells := next(finished, None)) is not None:
                    self._same_row(out, row, cells)
                    survey.in_out += 1
            for file, records in ((part, begun), (out, finished)):
                if next(records, None) is not None:
                    raise TableError(
                        f"{file.name} has answers for more rows than the {survey.rows} of "
                        f"{self._table.path.name}; {OTHER_OUTPUT}"
                    )
        return survey

    def records(self, file: Path) -> Iterator[list[str]]:
        """The rows of a finished table; none if it is not there."""
        if file.exists():
            records = read_records(file, self._table.delimiter, torn=False)
            first = next(records, None)
            self._same_header(file, first.cells if first else [])
            for record in records:
                self._same_width(file, record.cells)
                yield record.cells

    def _part_records(self, part: Path, survey: Survey) -> Iterator[list[str]]:
        for record in read_records(part, self._table.delimiter, torn=True) if part.exists() else ():
            header_seen, survey.part_end = survey.part_end > 0, record.end
            if header_seen:
                self._same_width(part, record.cells)
                yield record.cells
            else:
                self._same_header(part, record.cells)

    def _same_header(self, file: Path, cells: list[str]) -> None:
        if cells != self._header:
            check_guards(file, self._header, cells)
            other = [name for name in self._header if name not in cells] + [
                name for name in cells if name not in self._header
            ]
            what = f" ({', '.join(map(repr, other[:4]))})" if other else ", in another order"
            raise TableError(
                f"{file.name} is there already and has other columns than this run would write{what}: "
                f"it is no table of answers, or one of another input or model; {OTHER_OUTPUT}"
            )

    def _same_width(self, file: Path, cells: list[str]) -> None:
        if len(cells) != len(self._header):
            raise TableError(
                f"{file.name} is damaged: a row has {len(cells)} cells, not {len(self._header)}; {OTHER_OUTPUT}"
            )

    def _same_row(self, file: Path, row: Row, cells: list[str]) -> None:
        for name, mine, theirs in zip(self._header, row.cells, cells):
            if mine != theirs:
                raise TableError(
                    f"line {row.line} of {self._table.path.name} has {name} {mine!r}, but {file.name} answers "
                    f"{theirs!r} there: the input was changed; {OTHER_OUTPUT}"
                )
        added = cells[len(row.cells) :]
        if added[0] != self._columns.label:
            raise TableError(
                f"{file.name} holds answers of the model {added[0]!r}, this run asks {self._columns.label!r}; {OTHER_OUTPUT}"
            )
        try:
            task = self._columns.called_otherwise(added)
        except ValueError as error:
            raise TableError(
                f"{file.name} is damaged: a probability in the answer to line {row.line} of {self._table.path.name} "
                f"is no number ({error}); {OTHER_OUTPUT}"
            ) from error
        if task:
            raise TableError(
                f"{file.name} calls {task} in the answer to line {row.line} of {self._table.path.name} by another operating "
                f"point than the model has now; {OTHER_OUTPUT}"
            )


def check_guards(file: Path, wanted: Sequence[str], found: Sequence[str]) -> None:
    """Raise a TableError if all that answers lack of the wanted columns is the warnings of the input guards."""
    more = [name for name in wanted if name not in found]
    if len(more) == 1 and more[0].endswith(WARNINGS) and list(found) == [name for name in wanted if name != more[0]]:
        raise TableError(
            f"{file.name} has no column {more[0]!r}: it was written without input guards, or before there were any. "
            f"Go on without them (--no-guards, guards=False), or {OTHER_OUTPUT}"
        )
