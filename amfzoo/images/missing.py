"""Why a path gives no file, and what to do: links that lead nowhere, names in another spelling, content in place of a path."""

from __future__ import annotations

import errno
import os
import unicodedata
from functools import lru_cache

from .formats import base64_format
from .names import shorten

_NONE = (errno.ENOENT, errno.ENOTDIR)


def why_not(path: str, error: Exception) -> str:
    """What is wrong with `path`, which could not be opened or read because of `error`, and what to do."""
    # content decoded to text has zeros; in UTF-8 only what no file is named by cannot be written
    if isinstance(error, UnicodeEncodeError) and error.encoding != "utf-8" and "\0" not in error.object:
        return f"this process cannot write that name in its file-system encoding ({error.encoding}); set PYTHONUTF8=1"
    number = getattr(error, "errno", None)
    if number in (*_NONE, errno.ENAMETOOLONG) or isinstance(error, ValueError):
        if kind := base64_format(path):
            return f"this is base64 text of a {kind} and not a path; decode it first (base64.b64decode), and pass the bytes"
        if number not in _NONE:
            return "there is no such file; check the path (encoded image data must be passed as bytes, not as text)"
        return _dangling(path) or f"there is no such file; check the path{_near(path, number)}"
    if number == errno.ELOOP:
        return (
            "this link, or one to its folder, leads back to itself; replace it by the file, or pass the file's own path"
        )
    if number == errno.EISDIR:
        return "this is a folder; pass the path of one image file"
    if isinstance(error, PermissionError):
        return "permission denied; make the file readable for this user"
    return f"the file cannot be read ({error}); check the disk or copy the file again"


def _dangling(path: str) -> str:
    """That the file, or the nearest of its folders that there is, is a link to what is missing; else ""."""
    place = path
    while not os.path.lexists(place):
        above = os.path.dirname(place)
        if above in ("", place):
            return ""
        place = above
    if os.path.exists(place):
        return ""
    what = "this" if place == path else f"its folder {shorten(place)!r}"
    return (
        f"{what} is a link to {shorten(os.path.realpath(place))!r}, which is missing; mount the archive that holds it, get it "
        "(`git annex get` or `dvc pull` not run?), or pass another path"
    )


def _near(path: str, number: int | None) -> str:
    """That a missing file is there under a name that differs by case, or by how accents are stored, which look alike."""
    if number != errno.ENOENT:
        return ""
    folder, file = os.path.split(path)
    try:
        folder = os.path.abspath(folder)
        names = _listing(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return ""
    found = names.get(_alike(file))
    if found in (None, file):  # itself, where it came or went just now
        return ""
    return f" (there is {found!r}, which differs by case or by the form of its accents)"


@lru_cache(maxsize=8)
def _listing(folder: str, changed: int) -> dict[str, str]:
    """{`_alike` of a name: name}; of a long table whose every file is missing the folder is read once."""
    return {_alike(name): name for name in os.listdir(folder)}


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
