"""The line ``sep=;`` that Excel writes, or is given, before the header of a CSV file."""

from __future__ import annotations

import re
from typing import TextIO

_MARK = re.compile(r'"?sep=.?"?[,;\t]*\r?\n?', re.IGNORECASE)
_LONGEST = 32  # characters


def skip_mark(file: TextIO) -> int:
    """Move a text file from its start behind such a line; how many lines that were, 0 or 1."""
    file.seek(0)
    if _MARK.fullmatch(file.readline(_LONGEST)):
        return 1
    file.seek(0)
    return 0
