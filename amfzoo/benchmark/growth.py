"""How cost grows: with the resolution, and with the length of a list."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..errors import AmfzooError
from .children import run_child
from .cost import gmac, noise
from .pictures import Files
from .result import Cell, Section
from .speed import network_times
from .subjects import Subject
from .timing import rate


def by_resolution(
    label: str, network: nn.Module, sides: Sequence[int], *, batch_size: int, rounds: int, device: str
) -> Section:
    """One network in eager fp32 torch on squares of several sizes."""
    usable, left_out = [], []
    for side in sides:
        try:
            network.to("cpu")(*noise(network, 1, side))
            usable.append(side)
        except (RuntimeError, AssertionError, ValueError) as error:  # some Transformers take one size alone
            left_out.append(f"Left out: {side} pixels: {error}.")
    times = network_times(
        {str(side): (network, side) for side in usable}, batch_size=batch_size, rounds=rounds, device=device
    )
    network.to("cpu")
    rows: list[dict[str, Cell]] = [
        {"pixels per side": side, "GMAC": gmac(network, side), "pairs/s": rate(times[str(side)], batch_size)}
        for side in usable
    ]
    notes = [f"Eager fp32 torch, batch {batch_size}, input in memory.", *left_out]
    return Section("resolution", f"Resolution, {label}", rows or [{"pixels per side": None}], notes)


def by_length(
    model: Subject, variant: str, files: Files, lengths: Sequence[int], *, batch_size: int, threads: int
) -> Section:
    """Memory and throughput of bulk prediction from files, each list in a process of its own."""
    paths = [list(map(str, pair)) for pair in files]
    rows: list[dict[str, Cell]] = []
    notes = [f"From files, runtime {variant}, batch {batch_size}, one process and one round for each list."]
    first: float | None = None
    for length in lengths:
        try:
            found = run_child(
                "list_memory", model=model.names[0], pretrained=model.pretrained, variant=variant, files=paths,
                pairs=length, batch_size=batch_size, threads=threads,
            )  # fmt: skip
        except AmfzooError as error:
            notes.append(f"Left out: {length} pairs: {error}.")
            continue
        first = found["peak"] if first is None else first
        growth = None if first is None else found["peak"] / first
        speed = length / found["seconds"]
        rows.append({"pairs": length, "pairs/s": speed, "peak memory (MB)": found["peak"], "of the first": growth})
    return Section("lists", f"Length of a list, {model.label}", rows or [{"pairs": None}], notes)
