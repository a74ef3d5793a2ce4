"""A torch network applied to a batch of arrays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch

from .batch import Batch, Logits


@torch.inference_mode()
def torch_logits(
    model: torch.nn.Module, batch: Batch, memory_format: torch.memory_format = torch.contiguous_format
) -> Logits:
    """Logits of a network in evaluation mode, on the device and in the precision of its parameters."""
    parameter = next(model.parameters())

    def image(pixels: np.ndarray | None) -> torch.Tensor | None:
        if pixels is None:
            return None
        return torch.from_numpy(pixels).to(parameter.device, parameter.dtype, memory_format=memory_format)

    present = torch.from_numpy(batch.present).to(parameter.device)
    with evaluation_mode(model):
        logits = model(image(batch.clinical), image(batch.dermoscopy), present)
    return {task: values.float().cpu().numpy() for task, values in logits.items()}


@dataclass
class _Use:
    """Threads that have a network in evaluation mode, and its modules that were in training mode before."""

    training: list[torch.nn.Module]
    threads: int = 0


_in_use: WeakKeyDictionary[torch.nn.Module, _Use] = WeakKeyDictionary()
_changing = threading.Lock()


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """`model.eval()`, with every module's own mode put back afterwards: by the last of the threads that are in it."""
    with _changing:
        use = _in_use.get(model)
        if use is None:
            use = _in_use[model] = _Use([module for module in model.modules() if module.training])
            model.eval()
        use.threads += 1
    try:
        yield
    finally:
        with _changing:
            use.threads -= 1
            if not use.threads:
                del _in_use[model]
                for module in use.training:
                    module.training = True
