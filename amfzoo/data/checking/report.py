"""What a check of lesions found, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..faults import Fault

_SHOWN = 10  # of each kind, in the text; JSON has all


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        name: of the source.
        lesions, images: how many there are; a file that two lesions name counts once.
        counts: task -> split ("all" where there is none, "none" for those left out) -> class -> lesions, with
            "(several)" for candidate sets and "(unknown)".
        faults: to be mended before training.
        warnings: worth a look.
        seconds: that the check took.
    """

    name: str
    lesions: int
    images: int
    counts: Mapping[str, Mapping[str, Mapping[str, int]]]
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no fault; warnings do not count."""
        return not self.faults

    @property
    def copies(self) -> list[tuple[str, ...]]:
        """Ids of lesions that show the same picture, for `make_split(..., together=report.copies)`."""
        kinds = ("duplicate-image", "leaking-image", "near-duplicate", "shared-image")
        return [fault.lesions for fault in (*self.faults, *self.warnings) if fault.kind in kinds]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "ok": self.ok}

    def text(self, shown: int = _SHOWN) -> str:
        """For people; `shown` of each kind are spelled out."""
        lines = [f"{self.name}: {self.lesions} lesions, {self.images} images read in {self.seconds:.1f} s"]
        for task, splits in self.counts.items():
            lines += ["", *_table(task, splits)]
        for title, found in (("FAULTS", self.faults), ("WARNINGS", self.warnings)):
            if found:
                lines += ["", f"{title} ({len(found)})", *_listed(found, shown)]
        lines += ["", "no faults" if self.ok else f"faults: {len(self.faults)}; mend them before training"]
        return "\n".join(lines)


def _table(task: str, splits: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Classes down, splits across."""
    rows = [(task, *splits)]
    rows += [(name, *(str(counts[name]) for counts in splits.values())) for name in next(iter(splits.values()))]
    first = max(len(row[0]) for row in rows)
    widths = [max(len(row[k]) for row in rows) for k in range(1, len(rows[0]))]
    return [
        "  ".join([row[0].ljust(first), *(cell.rjust(width) for cell, width in zip(row[1:], widths))]) for row in rows
    ]


def _listed(faults: tuple[Fault, ...], shown: int) -> list[str]:
    lines = []
    for kind, number in Counter(fault.kind for fault in faults).items():
        of_kind = [fault for fault in faults if fault.kind == kind]
        lines += [f"  {kind} ({number})", *(f"    {fault.message}" for fault in of_kind[:shown])]
        if number > shown:
            lines.append(f"    ... and {number - shown} more; --json lists all")
    return lines
