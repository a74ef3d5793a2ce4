"""A network on CUDA whose kernels are recorded once and then started all together."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import ConfigError

_KEPT = 8  # recordings; the one that was not used for longest goes first
_WARM_UPS = 2  # libraries choose algorithms and take memory in the first passes, which cannot be recorded
_Shapes = tuple["torch.Size | None", ...]


class _Recording(NamedTuple):
    """A graph, the tensors it reads, and the one it writes: (B, classes of all tasks together)."""

    graph: torch.cuda.CUDAGraph
    inputs: list[Tensor | None]
    output: Tensor


class CudaGraphs:
    """Answers as the network, with a CUDA graph for every shape of input that comes a second time.

    Threads may share one if they use the same stream. Each recording keeps its input in the device's
    memory, and all share that of the activations.

    Args:
        network: on CUDA, in evaluation mode; its parameters must stay where they are.

    Raises:
        ConfigError: it is on another device.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network
        self.device = next(network.parameters()).device
        if self.device.type != "cuda":
            raise ConfigError(f"CUDA graphs need a network on a CUDA device, this one is on {self.device}")
        self._recorded: OrderedDict[_Shapes, _Recording] = OrderedDict()
        self._seen: set[_Shapes] = set()
        self._classes: dict[str, int] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._lock = threading.Lock()

    @torch.inference_mode()
    def __call__(self, *inputs: Tensor | None) -> dict[str, Tensor]:
        """Clinical, dermoscopy, present, as the network takes them -> {task: (B, classes)}."""
        shapes = tuple(None if tensor is None else tensor.shape for tensor in inputs)
        with self._lock, torch.cuda.device(self.device):
            if shapes not in self._seen:
                self._seen.add(shapes)
                return dict(self.network(*inputs))
            recording = self._recorded.pop(shapes, None) or self._record(inputs)
            self._recorded[shapes] = recording  # used last
            while len(self._recorded) > _KEPT:
                self._recorded.popitem(last=False)
            for place, tensor in zip(recording.inputs, inputs, strict=True):
                if tensor is not None:
                    place.copy_(tensor)
            recording.graph.replay()
            output = recording.output.clone()  # the next replay writes into the same place
        return dict(zip(self._classes, output.split(list(self._classes.values()), 1), strict=True))

    def _record(self, inputs: tuple[Tensor | None, ...]) -> _Recording:
        places = [None if tensor is None else tensor.clone() for tensor in inputs]
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                logits = self.network(*places)
        current.wait_stream(aside)
        self._classes = {task: values.shape[1] for task, values in logits.items()}
        graph = torch.cuda.CUDAGraph()
        # other threads may go on to take memory, pinned memory above all
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            output = torch.cat(list(self.network(*places).values()), 1)
        return _Recording(graph, places, output)
