"""The tables of a benchmark, for people, for Markdown and for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..text_tables import columns, table
from .timing import Spread

Cell = str | int | float | Spread | None


@dataclass(frozen=True)
class Section:
    """One table.

    Attributes:
        part: what it was asked for by.
        title: for people.
        rows: column -> value, the same columns in each; None is not measured.
        notes: sentences on how it was measured, and what was left out.
    """

    part: str
    title: str
    rows: Sequence[Mapping[str, Cell]]
    notes: Sequence[str] = ()


@dataclass
class Report:
    """All tables of a run.

    Attributes:
        about: the machine and the settings, plain data.
        sections: in the order they were measured.
    """

    about: dict[str, Any]
    sections: list[Section] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; a `Spread` is {"median", "low", "high"}."""
        sections = [
            {
                "part": section.part,
                "title": section.title,
                "rows": [{name: _plain(value) for name, value in row.items()} for row in section.rows],
                "notes": list(section.notes),
            }
            for section in self.sections
        ]
        return {"about": self.about, "sections": sections}

    def text(self) -> str:
        """Tables with aligned columns."""
        blocks = []
        for section in self.sections:
            cells = [list(section.rows[0]), *([shown(value) for value in row.values()] for row in section.rows)]
            lines = (*columns(cells), *section.notes)
            blocks.append("\n".join([section.title, *(f"  {line}" for line in lines)]))
        return "\n\n".join([*blocks, self._about()])

    def markdown(self) -> str:
        """Pipe tables for a README."""
        blocks = []
        for section in self.sections:
            rows = [[shown(value) for value in row.values()] for row in section.rows]
            notes = f"\n\n{' '.join(section.notes)}" if section.notes else ""
            blocks.append(f"**{section.title}**\n\n{table(list(section.rows[0]), rows)}{notes}")
        return "\n\n".join([*blocks, self._about()])

    def _about(self) -> str:
        about = self.about
        return (
            f"{about['processor']}, {about['cores']} cores, {about['threads']} threads, device {about['device']}; "
            f"Python {about['python']}, torch {about['torch']}, timm {about['timm']}. "
            f"Medians of {about['rounds']} rounds (least to greatest)."
        )


def shown(value: Cell) -> str:
    """A value as a table shows it: three significant digits, the spread behind the median."""
    if value is None:
        return "-"
    if isinstance(value, Spread):
        return f"{_digits(value.median)} ({_digits(value.low)} to {_digits(value.high)})"
    return _digits(value) if isinstance(value, float) else str(value)


def _digits(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:.1e}"


def _plain(value: Cell) -> Any:
    return asdict(value) if isinstance(value, Spread) else value
