"""Guards against the mistakes that people make with input images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names
from .warning import InputWarning as InputWarning

__all__ = ["InputWarning", "Thumbnails", "check_images", "check_thumbnails", "thumbnails"]
_LAZY = dict.fromkeys((name for name in __all__ if name != "InputWarning"), ".check")
if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from .check import Thumbnails as Thumbnails
    from .check import check_images as check_images
    from .check import check_thumbnails as check_thumbnails
    from .check import thumbnails as thumbnails
else:
    __getattr__, __dir__ = _lazy_names(__name__, _LAZY, ("InputWarning",))
