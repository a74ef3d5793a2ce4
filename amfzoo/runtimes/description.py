"""model.json of an exported network: how to feed the graph, and how to read its answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from ..fingerprint import fingerprint
from ..folder import sha256_of
from ..inference.batch import BRANCHES
from ..labels import CHECKLIST, DIAGNOSIS, class_titles
from .graph import PRESENT, output_name

if TYPE_CHECKING:
    from ..models.config import NetworkConfig
    from ..models.network import PairNetwork
    from .parity import Agreement

DESCRIPTION_FILE = "model.json"
SCHEMA_VERSION = 1
_NOTES = {
    "images": "Turn upright by the EXIF orientation; convert to 8-bit sRGB, transparency over white. Cut the fraction "
    "`border` from each side. fit 'squash' resizes to size (height, width); 'crop' first takes the largest centred part "
    "with the aspect ratio of size; 'pad' resizes within size and centres on black. `filter` is Pillow's of that name, "
    "averaging over the source when it shrinks. Of a JPEG so large that a half, a quarter or an eighth of it is still three times "
    "`size` or more (and more by `border`), libjpeg's reduced decoding comes first (Pillow: Image.draft): without it probabilities "
    "of large photographs differ. Then (pixels / 255 - mean) / std per channel, as (3, height, width).",
    "missing": "Columns of `present` are clinical, dermoscopy; false marks a missing image, whose pixels (zeros, say) "
    "have no effect. At least one image of a pair must be there.",
    "answers": "Probabilities are softmax(logits / temperature), for each task by itself.",
    "prediction_sets": "A class is in the set of its task if its score is at most its threshold; the most probable class always "
    "is. Scores of method 'lac' are 1 - probability, of 'aps' the sum of all probabilities that are not below its own. They hold where "
    "no image is missing.",
    "operating_points": "Of a task that has one, call its class where the probability is at least this, else the other class; of other "
    "tasks, and where an image that the point needs is missing, the most probable. They hold for the temperatures.",
    "use": "Research software, not a medical device.",
}


_OF_FORMAT = {
    "openvino": "Compile with {'INFERENCE_PRECISION_HINT': 'f32'}: left to itself, OpenVINO computes in bf16 where the processor can, "
    "which moves probabilities by some hundredths.",
    "torch-export": "torch.export.load('model.pt2').module() takes clinical, dermoscopy and present by name, None for an image that is "
    "not among the inputs here, and gives a dictionary of logits.",
}


def describe(
    network: PairNetwork, format: str, files: Iterable[Path], parity: Mapping[int, float], agreement: Agreement | None
) -> dict[str, Any]:
    """The content of model.json, for JSON.

    Args:
        files: the graph's, which are named with their sha256.
        parity: {batch size: largest difference of a probability from fp32 torch}, on random pictures.
        agreement: with fp32 torch on the images that int8 was calibrated on.
    """
    config = network.config
    inputs: dict[str, Any] = {
        name: {"dtype": "float32", "shape": ["batch", 3, *prepared.size]}
        for name, prepared in config.preprocess.items()
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "model": config.info.get("name", config.architecture),
        "architecture": config.architecture,
        "format": format,
        "weights": fingerprint(network),
        "files": {file.name: {"sha256": sha256_of(file), "bytes": file.stat().st_size} for file in files},
        "inputs": {**inputs, PRESENT: {"dtype": "bool", "shape": ["batch", len(BRANCHES)], "columns": list(BRANCHES)}},
        "preprocessing": {name: prepared.to_dict() for name, prepared in config.preprocess.items()},
        "tasks": {task: _task(config, format, task, classes) for task, classes in config.tasks.items()},
        "prediction_sets": {task: sets.to_dict() for task, sets in config.conformal.items()},
        "operating_points": {
            task: {"classes": dict(points), "needs": ["dermoscopy"] if task in CHECKLIST else []}
            for task, points in config.operating_points.items()
            if task not in CHECKLIST or "dermoscopy" in config.preprocess  # else it never holds
        },
        "notes": _NOTES | {name: note for name, note in _OF_FORMAT.items() if name == format},
        "parity": {
            "reference": "fp32 torch",
            "largest_difference_of_a_probability": {str(size): value for size, value in parity.items()},
            **({} if agreement is None else {"on_the_calibration_images": asdict(agreement)}),
        },
        "info": dict(config.info),
        "made_with": {"amfzoo": __version__, "torch": torch.__version__},
    }


def _task(config: NetworkConfig, format: str, task: str, classes: tuple[str, ...]) -> dict[str, Any]:
    titles = class_titles(classes) if task == DIAGNOSIS else {}
    return {
        "output": task if format == "torch-export" else output_name(task),  # the key of the dictionary that it gives
        "classes": list(classes),
        "titles": {name: titles.get(name, name) for name in classes},
        "temperature": config.temperatures.get(task, 1.0),
    }
