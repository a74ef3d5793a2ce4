"""Batches between the host and a device.

To and from CUDA everything passes through pinned memory, without waiting: the host decodes the next
batch while the device computes one. Input travels on a stream of its own, so that it also
arrives while the batch before is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
from torch import Tensor

from .batch import Batch, Started


def uploaded(batch: Batch, device: torch.device) -> list[Tensor | None]:
    """Clinical, dermoscopy, present as tensors on a device; on CUDA the current stream waits for them, not the host."""
    arrays = [None if array is None else torch.from_numpy(array) for array in batch]
    if device.type != "cuda":
        return [None if array is None else array.to(device) for array in arrays]
    stream, current = _upload_stream(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(stream):
        there = [None if array is None else array.pin_memory().to(device, non_blocking=True) for array in arrays]
    current.wait_stream(stream)
    for tensor in there:
        if tensor is not None:
            tensor.record_stream(current)  # its memory was taken on the other stream
    return there


def downloaded(logits: Mapping[str, Tensor], device: torch.device) -> Started:
    """Logits on their way to the host, {task: (B, classes)}."""
    if device.type != "cuda":
        found = {task: values.cpu().numpy() for task, values in logits.items()}
        return Started(lambda: found)
    host = {task: values.to("cpu", non_blocking=True) for task, values in logits.items()}
    done = torch.cuda.Event(blocking=True)  # the waiting thread leaves its core to those that decode
    done.record(torch.cuda.current_stream(device))

    def wait() -> dict:
        done.synchronize()
        return {task: values.numpy() for task, values in host.items()}

    return Started(wait, pending=True)


@cache
def _upload_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
