"""Where the time of a pass on a device goes, and how much memory traffic it cannot do without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from ..models.network import PairNetwork
from .card import Card
from .cost import gmac, noise
from .result import Cell, Section
from .speed import side_of
from .timing import Spread, milliseconds, sustained, wait

_NAME = 90  # characters of a kernel's name that are shown
_KERNELS = 12
# the first that an operator's name contains
_KINDS = (
    ("attention", "attention"),
    ("softmax", "attention"),
    ("batch_norm", "batch norm"),
    ("layer_norm", "layer norm"),
    ("pool", "pooling and means"),
    ("mean", "pooling and means"),
    ("copy", "copies and joining"),
    ("clone", "copies and joining"),
    ("cat", "copies and joining"),
    ("mm", "matrix products"),
)
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
_PRODUCTS = (nn.modules.conv._ConvNd, nn.Linear)


def time_by_kind(label: str, call: Callable[[], object], *, device: str) -> list[Section]:
    """A pass taken apart by the profiler: kinds of operators, and the kernels that take longest."""
    kinds: dict[str, float] = defaultdict(float)
    kernels: dict[str, list[float]] = {}
    on_cuda = device.startswith("cuda")
    for event in _profiled(call, device).key_averages(group_by_input_shape=True):
        if event.device_type == DeviceType.CUDA:
            entry = kernels.setdefault(event.key, [0, 0])
            entry[0] += event.self_device_time_total
            entry[1] += event.count
        elif "::" in event.key:
            kinds[kind_of(event.key, event.input_shapes)] += (
                event.self_device_time_total if on_cuda else event.self_cpu_time_total
            )
    if on_cuda:  # also what the profiler found no operator for
        kinds["outside operators"] = max(0.0, sum(us for us, _ in kernels.values()) - sum(kinds.values()))
    total = sum(kinds.values())
    if not total:
        return [Section("gpu", f"Time of {label}", [{"operators": None}], ["Left out: the profiler saw no kernels."])]
    by_kind = sorted(kinds.items(), key=lambda entry: -entry[1])
    sections = [
        Section(
            "gpu",
            f"Time of {label} by operator",
            [{"operators": kind, "ms": us / 1e3, "share": us / total} for kind, us in by_kind if us],
            ["One pass under the profiler."],
        )
    ]
    longest = sorted(kernels.items(), key=lambda entry: -entry[1][0])[:_KERNELS]
    if longest:
        rows: list[dict[str, Cell]] = [
            {"kernel": name[:_NAME], "launches": int(count), "ms": us / 1e3, "share": us / total}
            for name, (us, count) in longest
        ]
        sections.append(Section("gpu", f"Longest kernels of {label}", rows, ["The same pass."]))
    return sections


def bounds(
    label: str, network: PairNetwork, call: Callable[[], object], card: Card, *, batch: int, rounds: int, device: str
) -> Section:
    """The time of a bf16 pass beside what arithmetic and memory allow at least.

    Args:
        network: on the CPU; what `call` passes a batch through, on the device.
    """
    with torch.inference_mode():
        measured = milliseconds(sustained({"": call}, rounds, device=device)[""])
    each, fused = (batch * 2 * count for count in moved_values(network, side_of(network)))
    arithmetic = batch * 2e9 * gmac(network, side_of(network)) / card.flops.median
    rows: list[dict[str, Cell]] = [
        {"bound": "measured", "GB": None, "ms": measured, "of the measured": None},
        _bound("arithmetic at the peak of the matrix product", None, arithmetic, measured),
        _bound("memory, each layer by itself", each, each / card.bytes.median, measured),
        _bound("memory, norms and activations within the products", fused, fused / card.bytes.median, measured),
    ]
    notes = [
        f"{label}, bf16, channels last, batch {batch}.",
        "Memory: what layers read and write, without sums of branches and attention, at the copy's speed.",
    ]
    return Section("gpu", f"What bounds {label}", rows, notes)


def kind_of(operator: str, shapes: Sequence[Sequence[int]]) -> str:
    """For people: what an operator such as "aten::cudnn_convolution" does, by its name and its inputs' shapes."""
    name = operator.rpartition("::")[2]
    if "conv" in name:
        weight = next((shape for shape in shapes[1:2] if len(shape) == 4), None)
        if weight is None:
            return "convolutions"
        if weight[1] == 1 and weight[0] > 1:
            return "convolutions, depthwise"
        return "convolutions, 1 x 1" if tuple(weight[2:]) == (1, 1) else "convolutions, larger"
    return next((kind for part, kind in _KINDS if part in name), "elementwise and others")


@torch.inference_mode()
def moved_values(network: PairNetwork, size: int) -> tuple[int, int]:
    """Numbers that the layers read and write for one pair: all layers; convolutions and matrix products alone."""
    counts = [0, 0]

    def count(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        values = sum(tensor.numel() for tensor in (*inputs, output) if isinstance(tensor, Tensor))
        counts[0] += values
        counts[1] += values if isinstance(module, _PRODUCTS) else 0

    layers = [
        module
        for module in network.modules()
        # a norm of timm has its activation within, which counts by itself
        if isinstance(module, _NORMS)
        or (not list(module.children()) and not isinstance(module, (nn.Identity, nn.Dropout)))
    ]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        network(*noise(network, 1, size))
    finally:
        for handle in handles:
            handle.remove()
    return counts[0], counts[1]


def _bound(name: str, moved: float | None, seconds: float, measured: Spread) -> dict[str, Cell]:
    return {
        "bound": name,
        "GB": None if moved is None else moved / 1e9,
        "ms": 1e3 * seconds,
        "of the measured": 1e3 * seconds / measured.median,
    }


def _profiled(call: Callable[[], object], device: str) -> profile:
    activities = [ProfilerActivity.CPU]
    if device.startswith("cuda"):
        activities.append(ProfilerActivity.CUDA)
    with torch.inference_mode():
        call()
        wait(device)
        with profile(activities=activities, record_shapes=True) as found:
            call()
            wait(device)
    return found
