"""DICOM tags that say nothing, or what cannot be, though the pixels are sound: left out before anything goes by them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .dicom_frame import is_subsampled_without_marker

if TYPE_CHECKING:
    from pydicom import Dataset

_RESCALE = ("RescaleSlope", "RescaleIntercept")
_WINDOW = ("WindowCenter", "WindowWidth")


def interpretation(dataset: Dataset, frame: bytes) -> str:
    """The photometric interpretation of a compressed frame.

    A JPEG that halves its chroma holds luma and chroma, whatever the header says; where it has the mark of a JFIF or
    Adobe file, the decoder goes by that.
    """
    named = dataset.PhotometricInterpretation
    return "YBR_FULL_422" if named == "RGB" and is_subsampled_without_marker(frame) else named


def mend_display(dataset: Dataset) -> None:
    """Leave out a rescaling and windows that are empty, as anonymisers leave them, or would show one level alone."""
    slopes, intercepts = (_numbers(dataset.get(tag)) for tag in _RESCALE)
    if not (slopes[:1] and intercepts[:1] and slopes[0] and math.isfinite(slopes[0] + intercepts[0])):
        _remove(dataset, *_RESCALE)
    function = dataset.get("VOILUTFunction")
    if not function:
        _remove(dataset, "VOILUTFunction")
    centers, widths = (_numbers(dataset.get(tag)) for tag in _WINDOW)
    shown = [i for i, pair in enumerate(zip(centers, widths)) if pair[1] > 0 and math.isfinite(sum(pair))]
    if not shown:
        _remove(dataset, *_WINDOW)
    elif len(centers) + len(widths) > 2:
        dataset.WindowCenter, dataset.WindowWidth = centers[shown[0]], widths[shown[0]]
    if shown and widths[shown[0]] < 1 and function in (None, "", "LINEAR"):  # which begins at 1
        dataset.VOILUTFunction = "LINEAR_EXACT"


def _numbers(value: Any) -> list[float]:
    """Of a tag with one value, several or none; what is empty among several stands for nothing that can be shown."""
    if value is None or value == "":
        return []
    values = [value] if isinstance(value, (int, float, str)) else list(value)
    return [math.nan if one in (None, "") else float(one) for one in values]


def _remove(dataset: Dataset, *tags: str) -> None:
    for tag in tags:
        if tag in dataset:
            delattr(dataset, tag)
