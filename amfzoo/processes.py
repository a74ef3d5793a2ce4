"""What the environment says of the processes that share a job; loads nothing heavy."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether this process is the first of its job, or the only one."""
    return not several_processes() or os.environ.get("RANK", "0") == "0"


def several_processes() -> bool:
    """Whether this process was started as one of several, by torchrun or alike."""
    text = os.environ.get("WORLD_SIZE", "")
    return text.isdecimal() and int(text) > 1
