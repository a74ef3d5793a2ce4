"""Guards against the mistakes that people make with input images."""

from .warning import InputWarning

__all__ = ["InputWarning"]
