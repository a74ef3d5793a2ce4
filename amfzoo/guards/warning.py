"""What a guard found wrong with the images of one lesion."""

from __future__ import annotations

from typing import NamedTuple


class InputWarning(NamedTuple):
    """A reason to doubt an answer that was given all the same.

    Attributes:
        code: short and stable, for programs. Of the images: "swapped", "wrong_kind", "identical", "narrow", "damaged",
            "dark", "bright", "uniform", "blurred", "no_lesion" or "far" (from the training images); of the network: "untrained".
        images: which images it concerns, "clinical" and/or "dermoscopy"; none for "untrained".
        message: one sentence for people: what was seen and what to do.
    """

    code: str
    images: tuple[str, ...]
    message: str
