"""Golden outputs: what weights answered on an example pair when they were released.

``example/golden.json`` of a model folder, the two images beside it::

    {"clinical": "clinical.jpg", "dermoscopy": "dermoscopy.jpg", "tolerance": 0.001,
     "outputs": {"both": {task: {class: p}}, "clinical": {...}, "dermoscopy": {...}}}

"both" is the answer to the pair, the others to one image alone; weights that cannot
answer from one image have no entry for it.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..errors import AmfzooError, ImageError, WeightsError
from ..folder import EXAMPLE_FOLDER, GOLDEN_FILE
from ..manifest import is_plain_name
from .batch import BRANCHES
from .predictor import predict

if TYPE_CHECKING:
    from ..models.network import PairNetwork

TOLERANCE = 1e-3  # of a probability; processors round differently, damage shows far above
_SUFFIXES = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "BMP": "bmp", "GIF": "gif"}


def has_golden(folder: str | os.PathLike[str]) -> bool:
    """Whether the model folder comes with golden outputs."""
    return (Path(folder) / EXAMPLE_FOLDER / GOLDEN_FILE).is_file()


def write_golden(
    model: PairNetwork,
    clinical: str | os.PathLike[str] | bytes,
    dermoscopy: str | os.PathLike[str] | bytes,
    tolerance: float = TOLERANCE,
) -> dict[str, bytes]:
    """The files of ``example/``: the model's answers and the two images, as given.

    Args:
        clinical, dermoscopy: path, or the bytes of an image file.
        tolerance: largest difference of a probability that `check_golden` lets pass.

    Returns:
        {file name: content}, as `PairNetwork.save_pretrained` takes for `examples`.

    Raises:
        ImageError: an image cannot be read.
    """
    data = {name: _content(image) for name, image in zip(BRANCHES, (clinical, dermoscopy))}
    files = {name: f"{name}.{_suffix(content, name)}" for name, content in data.items()}
    outputs = {case: _answer(model, case, data) for case in ("both", *BRANCHES) if _can_answer(model, case)}
    golden = {**files, "tolerance": tolerance, "outputs": outputs}
    text = json.dumps(golden, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return {GOLDEN_FILE: text.encode(), **{files[name]: data[name] for name in BRANCHES}}


def check_golden(model: PairNetwork, folder: str | os.PathLike[str]) -> float:
    """Recompute the golden outputs of a model folder.

    Returns:
        The largest difference of a probability.

    Raises:
        WeightsError: it exceeds the tolerance, tasks or classes differ, or the golden
            files are missing or damaged.
    """
    example = Path(folder) / EXAMPLE_FOLDER
    golden = _read(example / GOLDEN_FILE)
    try:
        data = {name: (example / golden[name]).read_bytes() for name in BRANCHES}
    except OSError as error:
        raise WeightsError(
            f"the example image {error.filename} cannot be read: {error.strerror}; write or download the folder again"
        ) from error
    worst, where = 0.0, ""
    for case, expected in golden["outputs"].items():
        try:
            answer = _answer(model, case, data)
        except AmfzooError as error:
            raise WeightsError(f"the example in {example} has no answer for {case!r}: {error}") from error
        difference, place = _difference(expected, answer, f"{example / GOLDEN_FILE}, {case!r}")
        if difference > worst:
            worst, where = difference, f"{case}, {place}"
    if worst > golden["tolerance"]:
        raise WeightsError(
            f"the answers to the example in {example} differ from the released ones by {worst:.2g} ({where}), "
            f"more than {golden['tolerance']:g}: these weights do not work here as they did when they were released"
        )
    return worst


def _answer(model: PairNetwork, case: str, data: Mapping[str, bytes]) -> dict[str, dict[str, float]]:
    images = {name: data[name] if case in ("both", name) else None for name in BRANCHES}
    answer = predict(model, images["clinical"], images["dermoscopy"], guards=False)
    return {task: dict(row) for task, row in answer.probabilities.items()}


def _can_answer(model: PairNetwork, case: str) -> bool:
    return case == "both" or case in model.preprocess


def _difference(expected: Any, found: Mapping[str, Mapping[str, float]], where: str) -> tuple[float, str]:
    worst, place = 0.0, ""
    if not isinstance(expected, dict) or list(expected) != list(found):
        raise WeightsError(f"{where}: other tasks than the weights have ({', '.join(found)})")
    for task, row in found.items():
        if not isinstance(expected[task], dict) or list(expected[task]) != list(row):
            raise WeightsError(
                f"{where}: task {task!r} has other classes, or in another order, than the weights ({', '.join(row)})"
            )
        for label, p in row.items():
            if not _is_number(expected[task][label]):
                raise WeightsError(f"{where}: the probability of {task} {label} is not a number")
            if abs(p - expected[task][label]) > worst:
                worst, place = abs(p - expected[task][label]), f"{task} {label}"
    return worst, place


def _read(path: Path) -> dict[str, Any]:
    try:
        golden = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read as JSON ({error}); write or download it again") from error
    if not isinstance(golden, dict):
        raise WeightsError(f"{path} must hold an object")
    for name in BRANCHES:
        if not is_plain_name(golden.get(name)):
            raise WeightsError(f"{path}: {name!r} must name an image file beside it, got {golden.get(name)!r}")
    if not _is_number(golden.get("tolerance")):
        raise WeightsError(f"{path}: 'tolerance' must be a number, got {golden.get('tolerance')!r}")
    outputs = golden.get("outputs")
    if not isinstance(outputs, dict) or not outputs or set(outputs) - {"both", *BRANCHES}:
        raise WeightsError(f"{path}: 'outputs' must have answers for both, clinical or dermoscopy")
    return golden


def _is_number(value: object) -> bool:
    # json reads NaN and Infinity, which would let every difference pass
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _content(image: str | os.PathLike[str] | bytes) -> bytes:
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except OSError as error:
        raise ImageError(f"{image}: {error.strerror or error}; check the path") from error


def _suffix(content: bytes, name: str) -> str:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return _SUFFIXES[image.format or ""]
    except (KeyError, OSError, ValueError) as error:
        raise ImageError(f"the {name} example is not an image file of a known format") from error
