"""What a network costs whatever the machine: parameters and multiply-accumulates."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..inference.batch import BRANCHES, Batch


def gmac(network: nn.Module, size: int) -> float:
    """10^9 multiply-accumulates of convolutions and matrix products for one pair of size x size pixels."""
    was_training = network.training
    # the fused attention kernels of some devices are not counted: take the one made of matrix products
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.eval()(*noise(network, 1, size))
    network.train(was_training)
    return counter.get_total_flops() / 2e9


def noise(network: nn.Module, batch: int, size: int, device: str = "cpu") -> list[Tensor | None]:
    """(batch, 3, size, size) of noise for clinical and dermoscopy; None for a branch that the network has not."""
    random = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, 3, size, size, generator=random).to(device) if branch in network.branches else None
        for branch in BRANCHES
    ]


def noise_batch(network: nn.Module, batch: int, size: int) -> Batch:
    """The same as arrays, with every image there."""
    arrays = [None if image is None else image.numpy() for image in noise(network, batch, size)]
    return Batch(*arrays, np.ones((batch, len(BRANCHES)), bool))
