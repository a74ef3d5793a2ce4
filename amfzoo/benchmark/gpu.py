"""A network on a CUDA device, with its input there already: how fast, and what share of the card's peak."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..device import check_device
from ..errors import ConfigError
from ..inference.tf32 import exact_convolutions
from ..models.network import PairNetwork
from ..runtimes.parity import difference, picture_batch
from ..runtimes.torch_runtime import TorchRuntime
from .card import Card
from .cost import gmac, noise
from .result import Cell, Section
from .speed import side_of
from .timing import Spread, interleaved, percentile, rate, sustained, times_as_fast, wait

FASTEST = "bf16, channels last"  # without a graph: what is looked into, and compiled
_EAGER = "fp32"
_WAYS: dict[str, dict[str, Any]] = {
    _EAGER: {},
    "fp32, channels last": {"channels_last": True},
    "TF32": {"tf32": True},
    "TF32, channels last": {"channels_last": True, "tf32": True},
    FASTEST: {"precision": "bf16", "channels_last": True},
    "bf16, channels last, norms folded": {"precision": "bf16", "channels_last": True, "fold": True},
    "bf16, channels last, CUDA graph": {"precision": "bf16", "channels_last": True, "cuda_graphs": True},
}
_COMPARED = 6  # random pairs for 'differs by'


def check_cuda(device: str) -> None:
    """Raise a ConfigError unless torch can use this CUDA device."""
    if not device.startswith("cuda"):
        raise ConfigError(f"gpu and compiled are measured on CUDA devices, not on {device!r}: --device cuda")
    if not torch.cuda.is_available():
        raise ConfigError("torch sees no CUDA device on this machine, so there is nothing to measure on one")
    check_device(device)


def network_on_card(
    label: str, network: PairNetwork, card: Card, *, batches: Sequence[int], rounds: int, repeats: int, device: str
) -> Section:
    """Throughput of eager and of recorded passes by precision and batch size; latency of one pair.

    Args:
        network: on the CPU; it stays there.
        repeats: of the latency.
    """
    flop = 2e9 * gmac(network, side_of(network))
    left_out: dict[str, str] = {}
    runtimes: dict[str, TorchRuntime] = {}
    differences: dict[str, float] = {}
    for way, options in _WAYS.items():
        try:
            runtime = TorchRuntime(copy.deepcopy(network).to(device), **options)
            differences[way] = _difference(network, runtime)
            runtimes[way] = runtime
        except (ConfigError, RuntimeError) as error:  # the latter: a pass that cannot be recorded
            left_out[way] = str(error).splitlines()[0]
    rows: list[dict[str, Cell]] = []
    for batch in batches:
        images = noise(network, batch, side_of(network), device)
        calls = {way: _call(runtime, images) for way, runtime in runtimes.items()}
        with torch.inference_mode():
            times = sustained(calls, rounds, device=device)
            single = interleaved(calls, repeats, warm_ups=0, device=device) if batch == 1 else {}
        for way in runtimes:
            row: dict[str, Cell] = {"batch": batch, "how": way, "pairs/s": rate(times[way], batch)}
            row["times fp32"] = None if way == _EAGER else times_as_fast(times[way], times[_EAGER])
            row |= shares(times[way], flop * batch, card)
            for percent in (50, 95):
                row[f"one pair, p{percent} (ms)"] = 1e3 * percentile(single[way], percent) if single else None
            rows.append(row | {"differs by": differences[way]})
    side = side_of(network)
    notes = [
        f"{side} x {side} pixels, {flop / 2e9:.3g} GMAC a pair, input of noise on the device in the network's precision.",
        "TF32: what torch does to fp32 convolutions by itself; 'of the peak': of the bf16 matrix product above.",
        f"'differs by': largest difference of a probability from fp32 on the CPU on {_COMPARED} random pairs.",
        "One pair: from the call to the end of the device's work.",
        *(f"Left out: {way}: {reason}." for way, reason in left_out.items()),
    ]
    return Section("gpu", f"{label} on the card", rows, notes)


def compiled_on_card(label: str, network: PairNetwork, card: Card, *, batch: int, rounds: int, device: str) -> Section:
    """`torch.compile` for one batch size beside eager torch, both in bf16 and channels last."""
    flop = 2e9 * gmac(network, side_of(network)) * batch
    runtimes = {
        way: TorchRuntime(copy.deepcopy(network).to(device), **_WAYS[FASTEST]) for way in (FASTEST, "torch.compile")
    }
    runtimes["torch.compile"].network.compile()
    images = noise(network, batch, side_of(network), device)
    calls = {way: _call(runtime, images) for way, runtime in runtimes.items()}
    with torch.inference_mode():
        start = time.perf_counter()
        try:
            calls["torch.compile"]()
        except Exception as error:  # compilers raise nearly anything
            raise ConfigError(f"torch.compile does not work for {label} here: {error}") from error
        wait(device)
        compiling = time.perf_counter() - start
        times = sustained(calls, rounds, device=device)
    rows: list[dict[str, Cell]] = [
        {
            "batch": batch,
            "how": way,
            "pairs/s": rate(times[way], batch),
            "times eager": None if way == FASTEST else times_as_fast(times[way], times[FASTEST]),
            **shares(times[way], flop, card),
            "first pass (s)": None if way == FASTEST else compiling,
        }
        for way in runtimes
    ]
    return Section("compiled", f"{label} compiled", rows, [f"{FASTEST}; one compilation in the default mode."])


def shares(seconds: Sequence[float], flop: float, card: Card) -> dict[str, Cell]:
    """What passes of so many floating-point operations reach."""
    reached = rate(seconds, flop)
    return {
        "TFLOP/s": Spread(reached.median / 1e12, reached.low / 1e12, reached.high / 1e12),
        "of the peak": reached.median / card.flops.median,
    }


def fastest_call(network: PairNetwork, batch: int, device: str) -> Callable[[], Any]:
    """One eager pass in `FASTEST`."""
    runtime = TorchRuntime(copy.deepcopy(network).to(device), **_WAYS[FASTEST])
    return _call(runtime, noise(network, batch, side_of(network), device))


def _call(runtime: TorchRuntime, images: Sequence[Tensor | None]) -> Callable[[], Any]:
    dtype = next(runtime.network.parameters()).dtype
    inputs = [None if i is None else i.to(dtype=dtype, memory_format=runtime.memory_format) for i in images]
    first = next(image for image in inputs if image is not None)
    present = torch.ones(len(first), 2, dtype=torch.bool, device=first.device)
    call = partial(runtime.forward, *inputs, present)
    return call if runtime.tf32 else partial(_exactly, call)


def _exactly(call: Callable[[], Any]) -> Any:
    with exact_convolutions():
        return call()


def _difference(network: PairNetwork, runtime: TorchRuntime) -> float:
    batch = picture_batch(network, _COMPARED)
    runtime.logits(batch)  # a graph is recorded the second time
    return difference(network, runtime, batch)
