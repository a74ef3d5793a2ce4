"""PyTorch itself: eager fp32, which all other runtimes are compared with, and its faster settings."""

from __future__ import annotations

import torch

from ..inference.batch import Batch, Logits
from ..inference.torch_logits import torch_logits
from .base import Runtime


class TorchRuntime(Runtime):
    """A torch network on any device.

    Args:
        network: taken over, and changed as the options say; in evaluation mode.
        precision: "fp32", or "bf16" for weights, activations and arithmetic.
        channels_last: keep maps as (B, H, W, C) in memory, which convolutions on a CPU
            are faster with; the same numbers but for rounding.
        compile: `torch.compile`; needs a C++ compiler, and minutes for a large network.
    """

    name = "torch"

    def __init__(
        self,
        network: torch.nn.Module,
        *,
        precision: str = "fp32",
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.network = network.eval().to(dtype, memory_format=self.memory_format)
        if compile:
            self.network.compile(dynamic=True)  # one graph for every batch size

    def logits(self, batch: Batch) -> Logits:
        return torch_logits(self.network, batch, self.memory_format)
