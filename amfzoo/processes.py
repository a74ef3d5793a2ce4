"""What the environment says of the processes that share a job; loads nothing heavy."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress


def is_first() -> bool:
    """Whether this process is the first of its job, or the only one."""
    return not several_processes() or os.environ.get("RANK", "0") == "0"


def several_processes() -> bool:
    """Whether this process was started as one of several, by torchrun or alike."""
    text = os.environ.get("WORLD_SIZE", "")
    return text.isdecimal() and int(text) > 1


def tell_launcher(message: str) -> None:
    """Leave why this process fails where torchrun looks for it, whose own long message then ends with that."""
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file:
        extra = {"py_callstack": message, "timestamp": str(int(time.time()))}
        with suppress(OSError), open(file, "w", encoding="utf-8") as told:
            json.dump({"message": {"message": message, "extraInfo": extra}}, told)
