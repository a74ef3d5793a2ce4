"""How many pairs a step should take on the device of a model."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import PredictionError
from .batch import Batch
from .torch_logits import torch_logits

if TYPE_CHECKING:
    from .predictor import Model

ON_CUDA = 64  # without a look at the memory; every network of this package fits
LANES = 8  # at most, see `lanes`
_IN_A_LANE = 8  # pairs; of 4, 8 and 16 the fastest for most runtimes
MOST = 256
_SHARE = 0.5  # of a card's free memory


def fitting_batch_size(model: Model, asked: int | None = None) -> int:
    """The batch size asked for, or one that keeps the model's device busy and leaves half of its free memory alone.

    On CUDA two small batches are run to see what a pair takes; elsewhere it is `on_cpu`.

    Raises:
        PredictionError: what was asked for is no whole number of at least 1.
    """
    if asked is not None:
        return checked_count("batch_size", asked)
    network = _network(model)
    device = None if network is None else next(network.parameters()).device
    if device is None or device.type != "cuda":
        return on_cpu()
    few, more = 1, 8
    torch_logits(network, _zeros(model, few))  # libraries take memory of their own at first
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    peaks = []
    for size in (few, more):
        torch.cuda.reset_peak_memory_stats(device)
        torch_logits(network, _zeros(model, size))
        peaks.append(torch.cuda.max_memory_allocated(device))
    return largest_power(_SHARE * free / max(1, (peaks[1] - peaks[0]) / (more - few)))


def checked_count(name: str, count: Any) -> int:
    """A whole number of at least 1.

    Raises:
        PredictionError: it is none; the message names it.
    """
    if not isinstance(count, Integral) or count < 1:
        raise PredictionError(f"{name} must be a whole number of at least 1, got {count!r}")
    return int(count)


def usual_batch_size(model: Model) -> int:
    """A batch size for the kind of device that a model is on; runs nothing."""
    network = _network(model)
    parameter = None if network is None else next(network.parameters(), None)
    return ON_CUDA if parameter is not None and parameter.device.type == "cuda" else on_cpu()


def on_cpu() -> int:
    """A batch size for a CPU: what its lanes compute at a time, of two lanes at least."""
    return _IN_A_LANE * max(2, min(LANES, torch.get_num_threads()))


def largest_power(pairs: float) -> int:
    """The largest power of two that is at most `pairs`, from 1 to `MOST`."""
    size = 1
    while 2 * size <= min(pairs, MOST):
        size *= 2
    return size


def _network(model: Any) -> Any:
    """The torch network of a model; None if it runs elsewhere."""
    if hasattr(model, "parameters"):
        return model
    return getattr(getattr(model, "runtime", None), "network", None)


def _zeros(model: Model, size: int) -> Batch:
    pixels = {name: np.zeros((size, 3, *prepared.size), np.float32) for name, prepared in model.preprocess.items()}
    return Batch(pixels.get("clinical"), pixels.get("dermoscopy"), np.ones((size, 2), bool))
