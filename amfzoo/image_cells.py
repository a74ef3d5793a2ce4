"""What tables say of image files: which columns hold them, and which file a cell names. The same for every table that is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from .csv_mark import NO_NAME

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://")
_DATA = re.compile(r"data:(image/|[^,\s]{0,80};base64,)", re.IGNORECASE)


def not_a_path(text: str) -> str:
    """What `text` is instead of a path, and what to do, up to "pass its path"; "" where it may be one."""
    if _URL.match(text):
        return "this is a URL, and URLs are not fetched; download the image and pass its path"
    if _DATA.match(text):
        return "this is a data: URI, and not a path; decode what follows its comma (base64.b64decode), save it and pass its path"
    return ""


def plain(name: str) -> str:
    """A column's name without case, blanks and punctuation: "Patient ID" is patient_id."""
    return re.sub(r"[\W_]", "", name.lower())


def called(names: Iterable[str], columns: Sequence[str]) -> list[str]:
    """The first of `names` that is a column, else all columns that are one but for case, blanks and punctuation."""
    names = list(names)
    exact = [name for name in names if name in columns][:1]
    wanted = set(map(plain, names))
    return exact or [name for name in columns if plain(name) in wanted]


def image_file(text: str, folder: Path) -> Path | None:
    """The file that a cell names, relative to its table's folder; None if it is empty, or says so, such as NA.

    Blanks around a name are none of its own, unless only a file with them is there.
    """
    name = text.strip()
    if name in NO_NAME:
        return None
    path = _path(name, folder)
    if name != text and not os.path.lexists(path) and os.path.lexists(padded := _path(text, folder)):
        return padded
    return path


def _path(name: str, folder: Path) -> Path:
    path = followed(folder / os.path.expanduser(name))
    if "\\" in name and os.sep != "\\" and not os.path.lexists(path):  # written on Windows
        path = followed(folder / os.path.expanduser(name.replace("\\", "/")))
    return path


def followed(path: Path) -> Path:
    """`path` without "..", which leads to the parent of where a link leads, not of the link."""
    try:
        return Path(os.path.realpath(path.parent), path.name) if ".." in path.parts else path
    except (OSError, ValueError):  # no path at all, as whoever opens it will say
        return path
