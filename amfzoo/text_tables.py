"""Tables as text: aligned columns, and Markdown whose cells may come from anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

UNKNOWN = "not stated"
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")  # all but the line's end


def columns(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Rows of equal length as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [gap.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A pipe table; see `cell` for what becomes of the values."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def listed(names: Iterable[str]) -> str:
    """Names with commas between; in quotes where one has a comma itself."""
    return ", ".join(f'"{name}"' if "," in name else name for name in names)


def cell(value: object) -> str:
    """One line that cannot break out of a table cell; None is `UNKNOWN`."""
    return " ".join(str(UNKNOWN if value is None else value).split()).replace("|", "\\|")


def shown(text: object) -> str:
    """Text that anybody may have written, for a terminal: without what would move its cursor or change its colours."""
    return _CONTROL.sub("", str(text))
