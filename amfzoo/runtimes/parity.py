"""Whether a runtime answers as fp32 torch does: measured in probabilities, also for missing images."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..errors import WeightsError
from ..inference.batch import ArrayModel, Batch, Inputs, calibrated, stack
from ..inference.golden import TOLERANCE
from ..inference.torch_logits import torch_logits, without_autocast

if TYPE_CHECKING:
    from ..models.network import PairNetwork
    from .base import Runtime

BATCHES = (1, 2, 5, 16)  # what an export is checked on
_MISSING = (None, "clinical", "dermoscopy")  # taken in turn by the rows of a batch


def picture_batch(model: PairNetwork | ArrayModel, size: int, seed: int = 0) -> Batch:
    """Input of `size` pairs of blurred random pictures; of every three, one lacks each image.

    A network of one branch gets all its images.
    """
    rng = np.random.default_rng([seed, size])
    rows: list[Inputs] = []
    for i in range(size):
        lacks = _MISSING[(seed + i) % 3] if len(model.preprocess) > 1 else None
        rows.append(
            {name: None if name == lacks else prepared(_picture(rng)) for name, prepared in model.preprocess.items()}
        )
    return stack(rows, model.preprocess)


def difference(network: PairNetwork, runtime: Runtime, batch: Batch) -> float:
    """The largest difference of a probability between a runtime and the network in torch.

    Returns:
        A number from 0 to 1; NaN where one of them gives no probability.
    """
    expected, found = _probabilities(network, runtime, batch)
    if list(found) != list(expected) or any(found[task].shape != p.shape for task, p in expected.items()):
        return math.nan
    return float(
        np.max([np.abs(found[task] - p).max() for task, p in expected.items()])
    )  # keeps NaN, as max() does not


@dataclass(frozen=True)
class Agreement:
    """A runtime beside fp32 torch on given images.

    Attributes:
        pairs: how many.
        largest: difference of a probability.
        mean: over the pairs and tasks, of a pair's largest difference of a probability.
        same_class: share of the answers whose most probable class is the same.
    """

    pairs: int
    largest: float
    mean: float
    same_class: float


def agreement(network: PairNetwork, runtime: Runtime, batches: Iterable[Batch]) -> Agreement:
    """How well a runtime and the network in torch agree; NaN where one of them gives no probability."""
    pairs, differences, same = 0, [], []
    for batch in batches:
        pairs += len(batch.present)
        expected, found = _probabilities(network, runtime, batch)
        for task, p in expected.items():
            differences.append(np.abs(found[task] - p).max(1))
            same.append(found[task].argmax(1) == p.argmax(1))
    rows = np.concatenate(differences)
    return Agreement(pairs, float(rows.max()), float(rows.mean()), float(np.concatenate(same).mean()))


def check(
    network: PairNetwork, runtime: Runtime, batches: Iterable[int] = BATCHES, tolerance: float | None = TOLERANCE
) -> dict[int, float]:
    """{batch size: largest difference of a probability}, the network being fp32 torch.

    Each size is computed twice, since a runtime may treat a size that comes back in another way,
    with other pictures and other rows missing.

    Args:
        tolerance: largest difference allowed; None allows all but NaN.

    Raises:
        WeightsError: a difference exceeds the tolerance or is no number.
    """
    found: dict[int, float] = {}
    for size in batches:
        differences = [difference(network, runtime, picture_batch(network, size, seed)) for seed in range(2)]
        found[size] = float(np.max(differences))
        if math.isnan(found[size]) or (tolerance is not None and found[size] > tolerance):
            raise WeightsError(
                f"the runtime {runtime.name} does not answer as torch does: in a batch of {size} a probability "
                f"differs by {found[size]:.2g}, allowed is {'any number' if tolerance is None else f'{tolerance:g}'}"
            )
    return found


def _probabilities(
    network: PairNetwork, runtime: Runtime, batch: Batch
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """{task: (B, classes)} of the network in torch, and of the runtime."""
    temperatures = network.config.temperatures
    with without_autocast(network):
        expected = torch_logits(network, batch)
    return calibrated(expected, temperatures), calibrated(runtime.logits(batch), temperatures)


def _picture(rng: np.random.Generator) -> Any:
    """Smooth, like a photograph: white noise would look alike to a network after its first pooling."""
    return Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((96, 72), Image.Resampling.BICUBIC)
