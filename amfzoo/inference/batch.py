"""Batches of network input as plain arrays, and what turns them into logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from ..images import Preprocess

BRANCHES = ("clinical", "dermoscopy")  # also the order of the columns of `present`
Inputs = dict[str, "np.ndarray | None"]  # branch -> (3, H, W) float32, None where the image is missing
Logits = dict[str, np.ndarray]  # task -> (B, classes) float32


class Batch(NamedTuple):
    """Input of B pairs: (B, 3, H, W) float32 per branch, None for one that the network has not; (B, 2) bool.

    Rows of a missing image hold zeros, and false in `present`.
    """

    clinical: np.ndarray | None
    dermoscopy: np.ndarray | None
    present: np.ndarray


class Started(NamedTuple):
    """A batch that a network was given.

    Attributes:
        logits: waits for them and returns them.
        pending: whether the device may still be busy with them, so that the host has time for other work.
    """

    logits: Callable[[], Logits]
    pending: bool = False


class ArrayModel(Protocol):
    """What takes a network's place in `predict_stream`: a network behind any runtime.

    It may also have `start(batch)`, which returns `Started`, and `lanes(count, threads, pairs)`: logits for `count` threads
    at the same time, on so many threads each, best of so many pairs; None where that is not to be had.
    """

    @property
    def config(self) -> Any: ...
    @property
    def tasks(self) -> dict[str, tuple[str, ...]]: ...
    @property
    def preprocess(self) -> dict[str, Preprocess]: ...

    def logits(self, batch: Batch) -> Logits:
        """{task: (B, classes)} of a batch, before the temperatures."""


def with_precision(name: str, model: Any) -> str:
    """The name of a network or an `ArrayModel`, with its precision behind it where that is not fp32, which runtimes round to each
    in its own way."""
    precision, runtime = getattr(model, "precision", "fp32"), getattr(model, "runtime", None)
    where = "" if runtime is None or runtime.name == "torch" else f" on {runtime.name}"
    return name if precision == "fp32" else f"{name} ({precision}{where})"


def stack(rows: Sequence[Inputs], preprocess: Mapping[str, Preprocess]) -> Batch:
    """The inputs of several pairs as one batch."""
    arrays: dict[str, np.ndarray | None] = dict.fromkeys(BRANCHES)
    present = np.zeros((len(rows), 2), bool)
    for name, prepared in preprocess.items():
        column = BRANCHES.index(name)
        present[:, column] = [row[name] is not None for row in rows]
        if len(rows) == 1 and present[0, column]:
            # one pair has nothing to be copied together with; with [None] its stride were 0, which torch.compile takes for another kind
            arrays[name] = rows[0][name].reshape(1, 3, *prepared.size)
            continue
        pixels = arrays[name] = np.empty((len(rows), 3, *prepared.size), np.float32)
        for i, row in enumerate(rows):
            pixels[i] = 0 if row[name] is None else row[name]
    return Batch(arrays["clinical"], arrays["dermoscopy"], present)


def calibrated(logits: Mapping[str, np.ndarray], temperatures: Mapping[str, float]) -> dict[str, np.ndarray]:
    """{task: (B, classes) float64}: the softmax of logits / temperature."""
    found = {}
    for task, values in logits.items():
        scaled = values.astype(np.float64) / temperatures.get(task, 1.0)
        # infinite logits become NaN, which `Prediction` reports; logits far apart a probability of 0
        with np.errstate(invalid="ignore", under="ignore"):
            powers = np.exp(scaled - scaled.max(1, keepdims=True))
            found[task] = powers / powers.sum(1, keepdims=True)
    return found
