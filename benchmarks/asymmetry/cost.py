"""What a network costs: parameters, multiply-accumulates, and pairs per second beside the others'."""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from amfzoo.models.config import BRANCHES
from amfzoo.models.network import PairNetwork


def parameters(network: PairNetwork) -> int:
    """Of the network that predicts, without what only training needs."""
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary."))


def gmac(network: PairNetwork, size: int) -> float:
    """10^9 multiply-accumulates of convolutions and matrix products for one pair of size x size pixels."""
    was_training = network.training
    # the fused attention kernels of some devices are not counted: take the one made of matrix products
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network.eval()(*_noise(network, 1, size, "cpu"))
    network.train(was_training)
    return counter.get_total_flops() / 2e9


def speeds(
    networks: Mapping[str, tuple[PairNetwork, int]], control: str, *, batch_size: int, rounds: int, device: str
) -> dict[str, Any]:
    """Pairs per second of each network, timed in turn, so that a busy machine slows all alike.

    Args:
        networks: name -> (network, side of its input in pixels).
        control: whose speed is 1 in the ratios.
        rounds: timed ones; the one before is not counted.

    Returns:
        {"pairs_per_second": {name: median}, "ratio": {name: median over rounds of the control's time by its own},
        "device": ..., "threads": ..., "batch_size": ..., "rounds": ..., "torch": ...}.
    """
    ready = {name: network.eval().to(device) for name, (network, _) in networks.items()}
    inputs = {name: _noise(network, batch_size, size, device) for name, (network, size) in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in ready}
    with torch.inference_mode():
        for _ in range(rounds + 1):
            for name, network in ready.items():
                times[name].append(_seconds(network, inputs[name], device))
    times = {name: values[1:] for name, values in times.items()}
    return {
        "pairs_per_second": {name: batch_size / statistics.median(values) for name, values in times.items()},
        "ratio": {
            name: statistics.median(of / own for of, own in zip(times[control], values))
            for name, values in times.items()
        },
        "device": torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
        "rounds": rounds,
        "torch": torch.__version__,
    }


def _seconds(network: PairNetwork, images: Sequence[Tensor | None], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    network(*images)
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _noise(network: PairNetwork, batch: int, size: int, device: str) -> list[Tensor | None]:
    random = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, 3, size, size, generator=random).to(device) if branch in network.branches else None
        for branch in BRANCHES
    ]
