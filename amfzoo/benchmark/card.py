"""What a device reaches by itself: the measure of what a network reaches on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from .result import Section
from .timing import Spread, rate, sustained


@dataclass(frozen=True)
class Card:
    """Peaks as measured, not as printed in a data sheet.

    Attributes:
        flops: of a product of two square bf16 matrices, per second.
        bytes: read and written by a copy within the device's memory, per second.
        side: of the matrices.
    """

    flops: Spread
    bytes: Spread
    side: int

    @property
    def section(self) -> Section:
        rows = [
            {"measured": f"bf16 matrix product, {self.side} x {self.side}", "10^12 per second": _tera(self.flops)},
            {"measured": "bytes read and written by a copy", "10^12 per second": _tera(self.bytes)},
        ]
        notes = ["Random values; floating-point operations, a multiplication and an addition counting as two."]
        return Section("gpu", "The card", rows, notes)


def measure_card(device: str, *, rounds: int, side: int = 8192, copied: int = 1 << 30) -> Card:
    """Peaks of a device; copies `copied` bytes."""
    a, b = (torch.randn(side, side, device=device).bfloat16() for _ in range(2))
    product = torch.empty_like(a)
    source = torch.randn(copied // 4, device=device)
    target = torch.empty_like(source)
    calls = {"product": partial(torch.mm, a, b, out=product), "copy": partial(target.copy_, source)}
    with torch.inference_mode():
        times = sustained(calls, rounds, device=device)
    return Card(rate(times["product"], 2 * side**3), rate(times["copy"], 2 * 4 * (copied // 4)), side)


def _tera(spread: Spread) -> Spread:
    return Spread(spread.median / 1e12, spread.low / 1e12, spread.high / 1e12)
