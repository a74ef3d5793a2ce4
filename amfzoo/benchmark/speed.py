"""Throughput with input in memory: networks beside each other, and runtimes by batch size."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from ..models.network import PairNetwork
from ..models.parts import parameters
from ..runtimes import Predictor
from .cost import gmac, noise, noise_batch
from .result import Cell, Section
from .subjects import Subject
from .timing import interleaved, milliseconds, rate, times_as_fast
from .variants import EAGER, predictors_of

WARM_UPS = 3  # OpenVINO compiles a batch size the second time it sees it


def network_times(
    networks: Mapping[str, tuple[nn.Module, int]], *, batch_size: int, rounds: int, device: str
) -> dict[str, list[float]]:
    """Seconds of one batch of noise through each network in torch, round by round.

    Args:
        networks: name -> (network, side of its input in pixels).
    """
    ready = {name: network.eval().to(device) for name, (network, _) in networks.items()}
    inputs = {name: noise(network, batch_size, size, device) for name, (network, size) in networks.items()}

    def call(name: str) -> Any:
        return lambda: ready[name](*inputs[name])

    with torch.inference_mode():
        return interleaved({name: call(name) for name in ready}, rounds, device=device)


def compare_networks(
    networks: Mapping[Subject, nn.Module],
    models: Sequence[Subject],
    size: int,
    *,
    batch_size: int,
    rounds: int,
    device: str,
    peaks: Mapping[str, float | None],
) -> Section:
    """Every network in eager fp32 torch: parameters, GMAC, memory, pairs per second, and how the models compare.

    Args:
        networks: the models first.
        size: side of the input in pixels, the same for all.
        peaks: label -> peak memory in MB; empty if it was not measured.
    """
    networks, refused = taking(networks, size)
    times = network_times(
        {subject.label: (network, size) for subject, network in networks.items()},
        batch_size=batch_size, rounds=rounds, device=device,
    )  # fmt: skip
    rows: list[dict[str, Cell]] = []
    for subject, network in networks.items():
        row: dict[str, Cell] = {
            "network": subject.label,
            "parameters (M)": parameters(network) / 1e6,
            "GMAC": gmac(network.cpu(), size),
        }
        if peaks:
            row["memory (MB)"] = peaks.get(subject.label)
        row["pairs/s"] = rate(times[subject.label], batch_size)
        rows.append(row | _faster(models, subject.label, times))
    notes = [f"Eager fp32 torch, {size} x {size} pixels, batch {batch_size}, input in memory."]
    if peaks:
        notes.append(
            "Memory: the most that a process took on the CPU to build the network and answer one such batch, "
            "imports not counted."
        )
    notes += refused
    return Section("networks", "Networks", rows, notes)


def taking(networks: Mapping[Subject, Any], size: int) -> tuple[dict[Subject, Any], list[str]]:
    """Those that take pictures of a size, and why each other one does not; Transformers may take one size alone."""
    found, refused = {}, []
    for subject, network in networks.items():
        try:
            with torch.inference_mode():
                network.cpu().eval()(*noise(network, 1, size))
            found[subject] = network
        except (RuntimeError, AssertionError, ValueError) as error:  # whatever the backbone checks
            refused.append(f"Left out: {subject.label}: {error}.")
    return found, refused


def compare_runtimes(
    label: str,
    network: PairNetwork,
    predictors: Mapping[str, Predictor],
    left_out: Mapping[str, str],
    *,
    batches: Sequence[int],
    rounds: int,
    device: str,
) -> Section:
    """Every runtime of one model beside eager fp32 torch, by batch size."""
    size = side_of(network)
    rows: list[dict[str, Cell]] = []
    for batch_size in batches:
        batch = noise_batch(network, batch_size, size)

        calls = {name: partial(predictor.logits, batch) for name, predictor in predictors.items()}
        times = interleaved(calls, rounds, warm_ups=WARM_UPS, device=device)
        rows += [
            {
                "batch": batch_size,
                "runtime": shown_name(name, predictor),
                "ms": milliseconds(times[name]),
                "pairs/s": rate(times[name], batch_size),
                "times eager torch": None if name == EAGER else times_as_fast(times[name], times[EAGER]),
                "differs by": predictor.difference,
            }
            for name, predictor in predictors.items()
        ]
    notes = [
        f"{size} x {size} pixels, arrays in memory.",
        "'differs by': largest difference of a probability from fp32 torch on a few random pictures. int8 is calibrated on "
        "a few drawn ones, so take its speed alone.",
        *(f"Left out: {name}: {reason}." for name, reason in left_out.items()),
    ]
    return Section("runtimes", f"Runtimes of {label}", rows, notes)


def compare_controls(
    networks: Mapping[Subject, PairNetwork],
    models: Sequence[Subject],
    runtimes: Sequence[str],
    size: int,
    *,
    batch_size: int,
    rounds: int,
    device: str,
) -> Section:
    """The pair networks beside each other behind each runtime, eager torch first.

    Args:
        networks: the models first.
        size: side of the input in pixels, the same for all.
    """
    networks, refused = taking(networks, size)
    made = {
        subject.label: predictors_of(_reading(network, size), list(runtimes), device)
        for subject, network in networks.items()
    }
    batches = {subject.label: noise_batch(network, batch_size, size) for subject, network in networks.items()}
    rows: list[dict[str, Cell]] = []
    for runtime in dict.fromkeys([EAGER, *runtimes]):
        predictors = {label: found[runtime] for label, (found, _) in made.items() if runtime in found}
        calls = {label: partial(predictor.logits, batches[label]) for label, predictor in predictors.items()}
        times = interleaved(calls, rounds, warm_ups=WARM_UPS, device=device)
        rows += [
            {
                "runtime": shown_name(runtime, predictor),
                "network": label,
                "pairs/s": rate(times[label], batch_size),
                **_faster(models, label, times),
            }
            for label, predictor in predictors.items()
        ]
    notes = [f"{size} x {size} pixels for all, batch {batch_size}, arrays in memory."]
    left_out = ((label, name, reason) for label, (_, missing) in made.items() for name, reason in missing.items())
    notes += [*refused, *(f"Left out: {name} of {label}: {reason}." for label, name, reason in left_out)]
    return Section("controls", "Models and their controls by runtime", rows, notes)


def _faster(models: Sequence[Subject], label: str, times: Mapping[str, Sequence[float]]) -> dict[str, Cell]:
    """How many times as fast each model is as the network of this label; nothing beside itself."""
    return {
        f"{model.label} is faster by": None if model.label == label else times_as_fast(times[model.label], times[label])
        for model in models
        if model.label in times
    }


def _reading(network: PairNetwork, size: int) -> PairNetwork:
    """A copy whose input is of this size."""
    found = copy.deepcopy(network)
    found.config = network.config.with_preprocess(size=(size, size))
    return found


def shown_name(variant: str, predictor: Predictor) -> str:
    """The variant, and for "auto" what it came to."""
    return f"auto ({predictor.runtime.name}, {predictor.precision})" if variant.startswith("auto") else variant


def side_of(network: PairNetwork) -> int:
    """Pixels per side of its input; of a rectangle the height."""
    return next(reversed(network.preprocess.values())).size[0]
