"""Predictions as pages to look at: pictures with maps to switch, bars, the score, the model's limits.

    from amfzoo.report import write_pair_report
    write_pair_report(model, "out.html", "clinical.jpg", "dermoscopy.jpg")

Pages hold all they need and fetch nothing. What comes from files is shown as text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names

# public name -> module; loaded on first use, so that the names cost no torch
_PUBLIC = {"write_pair_report": ".pair", "write_table_report": ".table"}
__all__ = list(_PUBLIC)

if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from .pair import write_pair_report as write_pair_report
    from .table import write_table_report as write_table_report
else:
    __getattr__, __dir__ = _lazy_names(__name__, _PUBLIC)
