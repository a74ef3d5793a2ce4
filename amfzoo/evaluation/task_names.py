"""What a task may not be called, since tables of predictions have columns of that name. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ConfigError

RESERVED = ("lesion_id", "patient", "patient_id", "split", "mode", "model", "metadata")


def check_task_names(names: Iterable[str]) -> None:
    """
    Raises:
        ConfigError: a name has a colon or a slash, or is that of another column of a table of predictions.
    """
    for name in names:
        if ":" in name or "/" in name or name in RESERVED:
            raise ConfigError(
                f"{name!r} cannot be the name of a task: it has a colon or a slash, or is a column of tables of "
                "predictions; rename it (--label NAME=COLUMN)"
            )
