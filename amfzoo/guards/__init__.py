"""Guards against the mistakes that people make with input images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names
from .warning import InputWarning

if TYPE_CHECKING:
    from .check import check_images

__all__ = ["InputWarning", "check_images"]
__getattr__, __dir__ = _lazy_names(__name__, {"check_images": ".check"}, ("InputWarning",))
