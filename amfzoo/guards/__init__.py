"""Guards against the mistakes that people make with input images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names
from .warning import InputWarning

if TYPE_CHECKING:
    from .check import Thumbnails, check_images, check_thumbnails, thumbnails

__all__ = ["InputWarning", "Thumbnails", "check_images", "check_thumbnails", "thumbnails"]
_LAZY = dict.fromkeys((name for name in __all__ if name != "InputWarning"), ".check")
__getattr__, __dir__ = _lazy_names(__name__, _LAZY, ("InputWarning",))
