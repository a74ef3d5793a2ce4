"""What the environment says of the processes that share a job; loads nothing heavy."""

from __future__ import annotations

import os


def several_processes() -> bool:
    """Whether this process was started as one of several, by torchrun or alike."""
    text = os.environ.get("WORLD_SIZE", "")
    return text.isdecimal() and int(text) > 1
