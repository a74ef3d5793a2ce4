"""The command `amfzoo`. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from .main import main

__all__ = ["main"]
