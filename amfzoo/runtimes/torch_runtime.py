"""PyTorch itself: eager fp32 as it is, which all other runtimes are compared with, and its faster settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from ..device import check_numbers
from ..errors import ConfigError
from ..inference.batch import Batch, Logits, Started
from ..inference.torch_logits import may_leave_thread, start_logits, without_autocast
from ..models.folding import fold_norms, folding_pays
from .base import Runtime
from .cuda_graphs import CudaGraphs


class TorchRuntime(Runtime):
    """A torch network on any device.

    Args:
        network: taken over, and changed as the options say; in evaluation mode.
        precision: "fp32", or "bf16" for weights, activations and arithmetic.
        channels_last: keep maps as (B, H, W, C) in memory, which convolutions on a CPU
            are faster with; the same numbers but for rounding.
        compile: `torch.compile`, the first time that one pair, that several and that 16 or more are asked for; needs a
            C++ compiler, and a minute or more.
        cuda_graphs: see `CudaGraphs`; for few pairs a step, which a card answers faster than
            Python can ask.
        tf32: let fp32 convolutions on CUDA round, as torch does by itself; see `exact_convolutions`.
        fold: put batch normalisation into the convolutions (`fold_norms`). Default: where `folding_pays`, unless the
            options before are as they are by default, which leaves the network as it is.

    Raises:
        ConfigError: options that do not go together, CUDA graphs elsewhere than on CUDA, or a network without numbers.
    """

    name = "torch"

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        precision: str = "fp32",
        channels_last: bool = False,
        compile: bool = False,
        cuda_graphs: bool = False,
        tf32: bool = False,
        fold: bool | None = None,
    ) -> None:
        if cuda_graphs and compile:
            raise ConfigError("compile and cuda_graphs do not go together: choose one")
        check_numbers(network)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.tf32 = tf32
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        network.eval()
        if fold is None:
            plain = precision == "fp32" and not (channels_last or compile)
            fold = not plain and folding_pays(next(network.parameters()).device)
        if fold:
            fold_norms(network)  # before bf16 rounds
        self.network = network.to(dtype, memory_format=self.memory_format).eval()  # folding put new modules in
        self.forward = CudaGraphs(self.network) if cuda_graphs else self.network
        if compile:
            self.network.compile()
            self.forward = partial(_of_any_batch_size, self.network)

    def logits(self, batch: Batch) -> Logits:
        return self.start(batch).logits()

    def start(self, batch: Batch) -> Started:
        with without_autocast(self.network):  # the precision is the one that was asked for
            return start_logits(self.network, batch, self.memory_format, self.forward, tf32=self.tf32)

    def lanes(self, count: int, threads: int, pairs: int) -> Callable[[Batch], Logits] | None:
        with without_autocast(self.network):
            return self.logits if may_leave_thread(self.network) else None


def _of_any_batch_size(network: torch.nn.Module, *inputs: Tensor | None) -> Mapping[str, Tensor]:
    """Call a compiled network so that one graph does for all batches but those of one pair.

    `compile(dynamic=True)` leaves height and width open as well, and is not done with `amf_small` after seven minutes.
    """
    for tensor in inputs:
        if tensor is not None:
            torch._dynamo.maybe_mark_dynamic(tensor, 0)
    return network(*inputs)
