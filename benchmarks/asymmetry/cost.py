"""How fast the rows of a study are beside each other."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import torch

from amfzoo.benchmark.cost import gmac
from amfzoo.benchmark.speed import network_times
from amfzoo.benchmark.timing import rate, times_as_fast
from amfzoo.models.network import PairNetwork
from amfzoo.models.parts import parameters

__all__ = ["gmac", "parameters", "speeds"]


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
    times = network_times(networks, batch_size=batch_size, rounds=rounds, device=device)
    return {
        "pairs_per_second": {name: rate(values, batch_size).median for name, values in times.items()},
        "ratio": {name: times_as_fast(values, times[control]).median for name, values in times.items()},
        "device": torch.cuda.get_device_name(device)
        if device.startswith("cuda")
        else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "batch_size": batch_size,
        "rounds": rounds,
        "torch": torch.__version__,
    }
