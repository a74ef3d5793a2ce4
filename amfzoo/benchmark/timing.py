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


def sustained(
    calls: Mapping[str, Callable[[], object]], rounds: int, *, device: str, seconds: float = 0.05, warm_ups: int = 3
) -> dict[str, list[float]]:
    """Seconds of a call among many that follow each other without waiting for the device; rounds in turn as above.

    Args:
        seconds: a round of one call repeats it for about so long, 100 times at most.
    """
    counts = {}
    for name, call in calls.items():
        for _ in range(warm_ups):
            call()
        once = _elapsed(call, 2, device)
        counts[name] = max(1, min(100, round(seconds / max(once, 1e-6))))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(_elapsed(call, counts[name], device))
    return times


def _elapsed(call: Callable[[], object], count: int, device: str) -> float:
    """Seconds of one of `count` calls, on CUDA by the device's own clock."""
    wait(device)
    if not device.startswith("cuda"):
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count
    with torch.cuda.device(device):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        for _ in range(count):
            call()
        after.record()
        after.synchronize()
        return before.elapsed_time(after) / 1e3 / count


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


def left_beside(other: Sequence[float], own: Sequence[float]) -> Spread:
    """The share of its rate that `own` keeps where the same cores have to do `other` for each as well, round by round."""
    return Spread.of([mine / (mine + theirs) for mine, theirs in zip(own, other, strict=True)])


def percentile(values: Sequence[float], percent: int) -> float:
    """The least value that at least `percent` of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
