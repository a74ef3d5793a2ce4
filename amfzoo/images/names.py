"""Names of any length, short enough for a message."""

from __future__ import annotations

_LONGEST_NAME = 200


def shorten(text: str) -> str:
    """`text` cut in the middle where it is too long for a message."""
    if len(text) <= _LONGEST_NAME:
        return text
    return f"{text[: _LONGEST_NAME // 2]}...{text[-_LONGEST_NAME // 4 :]}"
