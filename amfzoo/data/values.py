"""Values as Python, numpy, pandas and Arrow have them, as the text that a cell of a table would hold. None of them is imported."""

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import Any

from ..csv_mark import NO_NAME


def says_nothing(value: Any) -> bool:
    """Whether a value is None, NaN, or what numpy and pandas have for that. Texts and paths always say something, if only "" or "NA"."""
    # by its text: pandas.NA has no truth value, and not every NaN is a float
    return not isinstance(value, (str, os.PathLike)) and str(value) in NO_NAME


def as_text(value: Any) -> str:
    """A value that says something as text, without outer blanks; 17.0 is "17", as pandas makes that of integers with gaps."""
    if isinstance(value, Real) and not isinstance(value, Integral) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()
