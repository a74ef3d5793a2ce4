"""The list of all rows of a table as HTML, for the script that sorts and filters it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .answers import Answer, Answers
from .markup import bar, class_name, escape, percent, table, words

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = Path(__file__).with_name("index.js").read_text(encoding="utf-8")
_COLUMNS_SHOWN = 4  # of the user's own
_CELL = 80  # characters of a cell that are shown
_STATES = {"warned": "with warnings", "failed": "with an error", "pictured": "with pictures below"}


@dataclass
class Tally:
    """How many rows there are in all, and of each kind."""

    rows: int = 0
    failed: int = 0
    warned: int = 0
    labels: Counter[str] = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        self.rows += 1
        self.failed += bool(answer.error)
        self.warned += bool(answer.warnings)
        if answer.label:
            self.labels[answer.label] += 1


def overview(tally: Tally, answers: Answers) -> list[str]:
    """Lines of HTML: how many rows have which answer."""
    classes = answers.columns.tasks[answers.task]
    found = tally.rows - tally.failed
    rows = [
        f'<tr><th scope="row">{escape(class_name(answers.task, label, classes))}</th>'
        f'<td class="number">{number}</td>{bar(number / found)}</tr>'
        for label, number in tally.labels.most_common()
    ]
    what = words(answers.task)
    caption = f"Rows by the {what} that is called; no estimate of how frequent each is"
    parts = f"{found} answered, {tally.failed} with an error, {tally.warned} with warnings"
    return [
        f"<p><b>{tally.rows} rows</b>: {parts}.</p>",
        *(table((what, "rows", ""), rows, kind="answers", caption=caption) if rows else []),
    ]


def index(listed: Sequence[Answer], pictured: Iterable[int], answers: Answers) -> list[str]:
    """Lines of HTML.

    Args:
        listed: the rows to list.
        pictured: `Answer.line` of those that have a section of their own on the page.
    """
    if not listed:
        return []
    own = [name for name, _ in listed[0].others[:_COLUMNS_SHOWN]]
    what = words(answers.task)
    head = [
        answers.counted, "warnings, errors", what, "probability",
        *(["prediction set"] if answers.task in answers.columns.conformal else []),
        *(["score"] if answers.columns.has_score else []),
        "clinical", "dermoscopy", *own,
    ]  # fmt: skip
    classes = answers.columns.tasks[answers.task]
    names = {label: class_name(answers.task, label, classes) for label in classes}
    there = set(pictured)
    rows = [_row(answer, names, answer.line in there, answers) for answer in listed]
    return [*_filters(names), *table(head, rows, kind="index", caption="One row for each lesion of the table")]


def _filters(names: Mapping[str, str]) -> list[str]:
    labels = "".join(f'<option value="{escape(label)}">{escape(name)}</option>' for label, name in names.items())
    states = "".join(f'<option value="{state}">{text}</option>' for state, text in _STATES.items())
    return [
        '<div class="filters" role="search" aria-label="Filter the list" hidden>',
        '<label>Find text<br><input type="search" id="filter-text"></label>',
        f'<label>Answer<br><select id="filter-label"><option value="">all</option>{labels}</select></label>',
        f'<label>Rows<br><select id="filter-state"><option value="">all</option>{states}</select></label>',
        '<span id="shown" role="status"></span></div>',
    ]


def _row(answer: Answer, names: Mapping[str, str], pictured: bool, answers: Answers) -> str:
    state = [name for name, on in zip(_STATES, (answer.warnings, answer.error, pictured)) if on]
    line = f'<a href="#case-{answer.line}">{answer.line}</a>' if pictured else str(answer.line)
    notes = [escape(words(code), _CELL) for code in answer.warnings]
    notes += [f"error: {escape(answer.error)}"] if answer.error else []
    cells = [f'<th scope="row" data-value="{answer.line}">{line}</th>', f'<td class="bad">{"; ".join(notes)}</td>']
    cells.append(_text(names.get(answer.label, answer.label)))
    cells.append(_figure(answer.p, "" if answer.p is None else percent(answer.p)))
    if answers.task in answers.columns.conformal:
        cells.append(_text(", ".join(answer.classes or ())))
    if answers.columns.has_score:
        cells.append(_figure(answer.score, "" if answer.score is None else str(answer.score)))
    cells += [_text(Path(text).name or "none") for text in answer.images]
    cells += [_text(text) for _, text in answer.others[:_COLUMNS_SHOWN]]
    return f'<tr data-label="{escape(answer.label)}" data-state="{" ".join(state)}">{"".join(cells)}</tr>'


def _text(text: str) -> str:
    return f"<td>{escape(text, _CELL)}</td>"


def _figure(value: float | None, text: str) -> str:
    return f'<td class="number" data-value="{"" if value is None else value}">{escape(text)}</td>'
