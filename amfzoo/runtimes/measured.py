"""What other arithmetic than fp32 changed in the answers of some weights, measured on real lesions.

Kept in config.json of a model folder, under ``info``::

    "precisions": {"openvino/bf16": {
        "weights": sha256 (see `fingerprint`), "data": "...", "lesions": 880,
        "macro_f1_change": -0.001,          the lowest of `changes` where all images were given
        "changes": {task: {"both" | "clinical" | "dermoscopy": change of macro-F1}},
        "called_changes": the same of what operating points call, of the tasks that have one,
        "same_called": 0.99,
        "max_probability_change": 0.03, "same_class": 0.99, "made_with": {package: version}}}

A record of other weights, such as those that a fine-tuned network started from, says nothing
and is passed over, and so is one that is not as above.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks import is_count, is_number, is_text
from ..errors import WeightsError
from ..files import replacing
from ..fingerprint import fingerprint
from ..folder import check_folder
from ..manifest import CONFIG_FILE

if TYPE_CHECKING:
    from ..models.network import PairNetwork

LARGEST_LOSS = 0.005  # of macro-F1, that "auto" accepts
_KEY = "precisions"


@dataclass(frozen=True)
class Measured:
    """How the answers of one runtime in one precision differ from those of fp32 torch.

    Attributes:
        weights: `fingerprint` of the network.
        data: the lesions, in words.
        lesions: how many.
        macro_f1_change: the lowest change over the tasks, the network being given all
            images that there are; negative is a loss.
        max_probability_change: of any class of any lesion, also with one image missing.
        same_class: share of the answers, also with one image missing, whose most probable class stays.
        changes: task -> mode -> change of macro-F1.
        called_changes: the same of what is called (`Prediction.called`), of the tasks with an operating point.
        same_called: share of the answers to these tasks that are called the same; None where there is none.
        made_with: package -> version.
    """

    weights: str
    data: str
    lesions: int
    macro_f1_change: float
    max_probability_change: float
    same_class: float
    changes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    called_changes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    same_called: float | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)

    @property
    def harmless(self) -> bool:
        """Whether no more macro-F1 of the most probable class was lost than "auto" accepts.

        What is called does not count: a point lies between two of the lesions that it was fitted on, where the smallest
        change calls one of them otherwise, and of a rare finding one lesion is more than that.
        """
        return self.macro_f1_change >= -LARGEST_LOSS

    def __str__(self) -> str:
        called = "" if self.same_called is None else f", {self.same_called:.1%} of what operating points call stays"
        return (
            f"macro-F1 changes by {self.macro_f1_change:+.4f} and a probability by at most {self.max_probability_change:.3f}, "
            f"{self.same_class:.1%} of the answers keep their class{called} ({self.lesions} lesions: {self.data})"
        )


def measured_for(network: PairNetwork) -> dict[str, Measured]:
    """{"runtime/precision": what was measured for these very weights}."""
    records = network.config.info.get(_KEY)
    if not isinstance(records, Mapping) or not records:
        return {}
    own = fingerprint(network)
    read = {name: _read(record) for name, record in records.items()}
    return {name: record for name, record in read.items() if record is not None and record.weights == own}


def record(folder: str | os.PathLike[str], found: Mapping[str, Measured]) -> None:
    """Write what was measured into config.json of a model folder, beside what is there for other runtimes.

    Raises:
        WeightsError: the folder is damaged or cannot be written.
        ConfigError: it is no model folder of this version.
    """
    config = check_folder(folder)
    info = config.setdefault("info", {})
    info[_KEY] = {**info.get(_KEY, {}), **{name: asdict(measured) for name, measured in found.items()}}
    text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path = Path(folder).expanduser() / CONFIG_FILE
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"cannot write {path}: {error.strerror or error}") from error


def _read(data: Any) -> Measured | None:
    """A record, if it is one that can be relied on."""
    if not isinstance(data, Mapping):
        return None
    known = {name: data[name] for name in Measured.__dataclass_fields__ if name in data}
    numbers = ("macro_f1_change", "max_probability_change", "same_class")
    sound = (
        all(is_number(known.get(name)) for name in numbers)
        and all(is_text(known.get(name)) for name in ("weights", "data"))
        and is_count(known.get("lesions"))
        and (known.get("same_called") is None or is_number(known["same_called"]))
    )
    return Measured(**known) if sound else None
