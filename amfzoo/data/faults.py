"""What is wrong with a source: raised at the first, or collected by a lenient reader."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, or worth a look.

    Attributes:
        kind: what sort, e.g. "unknown-label"; `check.FAULTS` and `check.WARNINGS` list them.
        message: where, what, and what to do about it.
        lesions: ids of the lesions concerned; may be empty.
    """

    kind: str
    message: str
    lesions: tuple[str, ...] = ()


class FaultLog:
    """Where a reader puts the faults of a table.

    Args:
        lenient: collect them in `faults`; otherwise the first raises ConfigError.
    """

    def __init__(self, lenient: bool = False) -> None:
        self.lenient = lenient
        self.faults: list[Fault] = []

    def add(self, kind: str, message: str, *lesions: str) -> None:
        if not self.lenient:
            raise ConfigError(message)
        self.faults.append(Fault(kind, message, lesions))
