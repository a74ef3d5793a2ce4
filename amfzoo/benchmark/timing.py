"""Timing things beside each other: rounds in which all take their turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Spread:
    """The median of some rounds, with the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int, *, warm_ups: int = 1, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of each call in each round; in a round every call is timed once, in order.

    Args:
        warm_ups: rounds before, which are not counted.
        device: waited for at the end of each call.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warm_ups + rounds):
        for name, call in calls.items():
            wait(device)
            start = time.perf_counter()
            call()
            wait(device)
            if number >= warm_ups:
                times[name].append(time.perf_counter() - start)
    return times


def wait(device: str) -> None:
    """Return when a CUDA device has done all that it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def rate(seconds: Sequence[float], count: int) -> Spread:
    """Of `count` things in so many seconds each round: per second."""
    return Spread.of([count / value for value in seconds])


def milliseconds(seconds: Sequence[float]) -> Spread:
    return Spread.of([1e3 * value for value in seconds])


def times_as_fast(own: Sequence[float], other: Sequence[float]) -> Spread:
    """How many times as fast `own` is as `other`, round by round."""
    return Spread.of([theirs / mine for mine, theirs in zip(own, other, strict=True)])


def percentile(values: Sequence[float], percent: int) -> float:
    """The least value that at least `percent` of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
