"""Tables in Markdown, whose cells hold text that may come from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A pipe table; see `cell` for what becomes of the values."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(value: object) -> str:
    """One line that cannot break out of a table cell; None is "not stated"."""
    return " ".join(str("not stated" if value is None else value).split()).replace("|", "\\|")
