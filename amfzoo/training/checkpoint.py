"""The checkpoint of a run: one file, replaced whole or not at all, read without unpickling code."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..files import NO_ROOM, replacing
from .errors import TrainingError

FILE = "checkpoint.pt"


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a file under another name, flush it to the disk, and rename it to `path`.

    Raises:
        TrainingError: the disk is full or the folder cannot be written; what was at `path`
            before is intact.
    """
    try:
        with replacing(path) as partial, _Remembering(open(partial, "wb")) as file:
            try:
                write(file)
            except RuntimeError as error:  # torch's zip writer hides the OSError
                raise (file.error or error) from error
            if file.error:
                raise file.error
            file.flush()
            os.fsync(file.fileno())
    except (OSError, RuntimeError) as error:
        number = getattr(error, "errno", None)
        reason = (
            "the disk is full, or a limit on file sizes is reached"
            if number in NO_ROOM
            else getattr(error, "strerror", None) or str(error)
        )
        before = "; the one before is intact, and the same command goes on from it" if path.exists() else ""
        raise TrainingError(f"{path} cannot be written: {reason}{before}") from error


class _Remembering:
    """A binary file that keeps the first OSError of its writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                return self._file.write(data)
            except OSError as error:
                self.error = error
        return len(memoryview(data).cast("B")) if not isinstance(data, bytes) else len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _Remembering:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.error is None:
            self._file.close()
        else:
            with suppress(OSError):  # closing writes what is left in the buffer
                self._file.close()


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint; see `write_whole` for errors."""
    write_whole(folder / FILE, lambda file: torch.save(state, file))


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The run's checkpoint on the CPU, None if there is none.

    Raises:
        TrainingError: it cannot be read.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling raises nearly anything on damaged data
        raise TrainingError(
            f"the checkpoint {path} cannot be read ({error}); start over with overwrite, or restore the file"
        ) from error
