"""The rows of an answered table, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import TableError
from ..inference.table_columns import SET_SEPARATOR, WARNINGS, AnswerColumns
from ..inference.table_earlier import EarlierAnswers
from ..inference.table_folder import ShardFolder
from ..inference.table_parquet import ParquetPairs
from ..inference.table_rows import IMAGE_COLUMNS
from ..inference.table_shards import open_pairs
from ..labels import DIAGNOSIS

if TYPE_CHECKING:
    from ..inference.predictor import Model, Pair


@dataclass(frozen=True)
class Answer:
    """One row of the input and what was answered.

    Attributes:
        line: of the input, or the row's number where a table has no lines.
        images: the cells of the two pictures. others: (column, cell) of the rest.
        pair: the two pictures, None where there is none.
        label: the class that is called of the main task, "" after an error. p: its probability.
        classes: its prediction set. score: of the seven-point checklist. All three None where there is none.
        warnings: codes of the input guards. error: "" if there is an answer.
    """

    line: int
    images: tuple[str, str]
    others: tuple[tuple[str, str], ...]
    pair: Pair
    label: str
    p: float | None
    classes: tuple[str, ...] | None
    score: int | None
    warnings: tuple[str, ...]
    error: str


class Answers:
    """The answers of `predict_table` or `predict_shards`, read as often as wanted, never held.

    Args:
        model, clinical, dermoscopy, label, prefix, guards: as they were answered with.
        source: the table of pairs. out: the answers, complete.

    Attributes:
        task: the one that an overview shows: the diagnosis, or the first.
        counted: what `Answer.line` counts, "line" or "row".

    Raises:
        TableError: a table cannot be read, or `out` holds no answers to `source`.
    """

    def __init__(
        self,
        model: Model,
        source: str | os.PathLike[str],
        out: str | os.PathLike[str],
        *,
        clinical: str | None = None,
        dermoscopy: str | None = None,
        label: str | None = None,
        prefix: str = "",
        guards: bool = True,
    ) -> None:
        self.table = open_pairs(source, (clinical, dermoscopy))
        self.columns = AnswerColumns(model, label, prefix, guards, self.table.image_columns)
        self._out = Path(out).expanduser()
        if not self._out.exists():
            raise TableError(f"there are no answers at {out}; make them first, e.g. with predict_table")
        self._names = [name[len(prefix) :] for name in self.columns.names]
        self.task = DIAGNOSIS if DIAGNOSIS in model.tasks else next(iter(model.tasks))
        self._classes = model.tasks[self.task]
        self.counted = "row" if isinstance(self.table, ParquetPairs) else "line"

    def __iter__(self) -> Iterator[Answer]:
        for row, cells in zip(self.table.rows(), self._added()):
            # of a Parquet table only the paths are read
            parquet = isinstance(self.table, ParquetPairs)
            names = IMAGE_COLUMNS if parquet else self.table.columns
            pictures = IMAGE_COLUMNS if parquet else self.table.image_columns
            given = dict(zip(names, row.cells))
            answer = dict(zip(self._names, cells))
            label, classes = answer[self.task], answer.get(f"{self.task} set")
            yield Answer(
                line=row.line,
                images=tuple(given.pop(name).strip() for name in pictures),
                others=tuple(given.items()),
                pair=self.table.pair(row),
                label=label,
                p=_number(answer, f"{self.task}:{label}", float),
                classes=self._set(classes, answer) if classes else None,
                score=_number(answer, "seven_point_score", int),
                warnings=tuple(filter(None, answer.get(WARNINGS, "").split(";"))),
                error=answer["error"],
            )

    def _set(self, text: str, answer: Mapping[str, str]) -> tuple[str, ...]:
        """The classes of a set, whose names may hold the separator: they stand with the most probable one first."""
        probable = sorted(self._classes, key=lambda name: -float(answer[f"{self.task}:{name}"]))
        return _parted(text, probable) or tuple(text.split(SET_SEPARATOR))

    def _added(self) -> Iterator[list[str]]:
        """The cells of the answers alone."""
        if self._out.is_dir():
            folder = ShardFolder(self._out, self.table, self.columns)
            numbers = takewhile(lambda number: folder.file(number).exists(), count())
            return chain.from_iterable(map(folder.answers, numbers))
        records = EarlierAnswers(self.table, self.columns).records(self._out)
        return (cells[len(self.table.columns) :] for cells in records)


def _parted(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names that are joined to this text, each once, the first ones preferred; () if it cannot be."""
    for name in names:
        if text == name:
            return (name,)
        if text.startswith(name + SET_SEPARATOR):
            rest = _parted(text[len(name + SET_SEPARATOR) :], [other for other in names if other != name])
            if rest:
                return (name, *rest)
    return ()


def _number(answer: Mapping[str, str], name: str, kind: type) -> float | int | None:
    return kind(answer[name]) if answer.get(name) else None
