"""Where a page goes, and writing it."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import TableError
from ..files import replacing

_SUFFIXES = (".html", ".htm")


def check_page(path: str | os.PathLike[str]) -> Path:
    """Where a page goes.

    Raises:
        TableError: it is not called so, its folder is not there, or it is a folder.
    """
    target = Path(path).expanduser()
    if target.suffix.lower() not in _SUFFIXES:  # nor can it be one of the images or a table by mistake
        raise TableError(f"cannot write the report {path}: name a file that ends in .html")
    if not target.parent.is_dir():
        raise TableError(f"cannot write the report {path}: the folder {target.parent} does not exist")
    if target.is_dir():
        raise TableError(f"cannot write the report {path}: it is a folder; name a file that ends in .html")
    return target


def write_page(path: Path, text: str) -> None:
    """Write a page whole or not at all.

    Raises:
        TableError: it cannot be written.
    """
    try:
        # a file name may hold bytes that are no text
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise TableError(f"the report {path} cannot be written: {error.strerror or error}") from error
