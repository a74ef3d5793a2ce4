"""What programs write into CSV files that is no data: byte order marks, marks of empty cells, and Excel's line ``sep=;`` before
the header."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Collection, Iterator
from typing import TextIO

# of Excel, in English and German
_ERRORS = (
    *("#N/A", "#NV", "#REF!", "#BEZUG!", "#VALUE!", "#WERT!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#ZAHL!"),
    *("#SPILL!", "#ÜBERLAUF!", "#CALC!", "#KALK!", "#FIELD!", "#FELD!"),
)
# what R, pandas and others write where there is nothing
MISSING = ("", "NA", "N/A", "n/a", "<NA>", "nan", "NaN", "NaT", "null", "NULL", *_ERRORS)
# of cells that hold no class, which may be called so: what Python's str() makes of nothing
NO_NAME = (*MISSING, "None")

METADATA_PREFIX = "metadata:"  # may stand before a column's name: metadata, whatever it is called

_MARK = re.compile(r'"?sep=.?"?[,;\t]*\r?\n?', re.IGNORECASE)
_LONGEST = 32  # characters
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def encoding_of(path: str | os.PathLike[str]) -> str:
    """How to `open` a text file: "utf-16" where it begins with the mark of that, as Excel's "Unicode text" does, with "-le" or "-be"
    where it has none and a NUL beside its first letter, as exports of databases do, else "utf-8-sig".

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as raw:
        start = raw.read(2)
    if start in _UTF16_MARKS:
        return "utf-16"
    nul = start.find(b"\0")
    return "utf-8-sig" if nul < 0 or start == b"\0\0" else ("utf-16-be", "utf-16-le")[nul]


def not_text(error: UnicodeError) -> str:
    """What is wrong with a file that does not decode as `encoding_of` says, and what to do."""
    encoding = "UTF-16" if str(getattr(error, "encoding", "")).lower().startswith("utf-16") else "UTF-8"
    return f"not {encoding} text ({getattr(error, 'reason', error)}); save it as 'CSV UTF-8'"


def skip_mark(file: TextIO) -> int:
    """Move a text file from its start behind the line ``sep=;``; how many lines that were, 0 or 1."""
    file.seek(0)
    if _MARK.fullmatch(file.readline(_LONGEST)):
        return 1
    file.seek(0)
    return 0


def csv_rows(file: TextIO, delimiter: str, *, strict: bool = True, before: int = 0) -> Iterator[tuple[int, list[str]]]:
    """(line that it starts on, cells) of every row of a CSV file from its start on, blank ones too, without the line ``sep=;``.

    Args:
        strict: as of the module `csv`.
        before: lines above those in `file`.

    Raises:
        csv.Error: the module cannot read a row; the message names the line that it starts on.
    """
    start = before = before + skip_mark(file) + 1
    reader = csv.reader(file, delimiter=delimiter, strict=strict)
    try:
        for cells in reader:
            yield start, cells
            start = before + reader.line_num
    except csv.Error as error:
        raise csv.Error(f"line {start}: {error}") from error


def advice(error: csv.Error) -> str:
    """What to do about a file that the module `csv` does not read."""
    if "NUL" in str(error):
        return "Python before 3.11 reads no NUL characters: remove them"
    if "field limit" in str(error):  # which is the whole process's, and so not ours to raise
        return f"a cell has more than {csv.field_size_limit()} characters: remove its column, or look for an unpaired quotation mark"
    return "look for an unpaired quotation mark"


def of_answers(columns: Collection[str]) -> bool:
    """Whether columns are those of an answer table of `amfzoo predict`, in which that of a task holds the predicted class.

    Tasks may be called missing and error, too, and so may metadata: these are no mark of one.
    """
    others = {name.partition(":")[0] for name in columns if ":" in name}  # tasks, whose probabilities are beside them
    return any(
        name.endswith("missing")
        and not name.startswith(METADATA_PREFIX)
        and (error := f"{name.removesuffix('missing')}error") in columns
        and others.isdisjoint((name, error))
        for name in columns
    )
