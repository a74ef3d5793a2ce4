"""What programs write into CSV files that is no data: marks of empty cells, and Excel's line ``sep=;`` before the header."""

from __future__ import annotations

import re
from typing import TextIO

MISSING = ("", "NA", "N/A", "<NA>", "nan", "NaN", "null", "NULL")  # R, pandas and others, where there is nothing
NO_PATIENT = (*MISSING, "None")

_MARK = re.compile(r'"?sep=.?"?[,;\t]*\r?\n?', re.IGNORECASE)
_LONGEST = 32  # characters


def skip_mark(file: TextIO) -> int:
    """Move a text file from its start behind the line ``sep=;``; how many lines that were, 0 or 1."""
    file.seek(0)
    if _MARK.fullmatch(file.readline(_LONGEST)):
        return 1
    file.seek(0)
    return 0
