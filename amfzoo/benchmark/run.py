"""All measurements of one run, as a plan says."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import __version__
from ..device import check_device
from ..errors import AmfzooError, ConfigError
from ..models.network import PairNetwork
from ..runtimes import Predictor
from .bulk import bulk
from .card import measure_card
from .children import run_child
from .gpu import check_cuda, compiled_on_card, fastest_call, network_on_card
from .growth import by_length, by_resolution
from .kernels import bounds, time_by_kind
from .pair import one_pair
from .parts import ON_CARD, PARTS, QUICK
from .pictures import Files, drawn_files, table_files
from .result import Report, Section
from .speed import compare_controls, compare_networks, compare_runtimes, side_of
from .startup import start_up
from .subjects import Subject, named_model, peers_of, unique
from .variants import options_of, predictors_of

_DRAWN = 8  # pairs of pictures


@dataclass(frozen=True)
class Plan:
    """What to measure; the defaults take a minute or two on two idle cores.

    Attributes:
        models: names as `create_model` takes them; without weights random values serve.
        parts: of `PARTS`; "memory" is a column of "networks".
        runtimes: as `variants.options_of` reads them; eager fp32 torch is always there.
        peers: compare with the controls and the timm backbones.
        batch_size: of "networks", "memory", "bulk", "controls", "resolution", "lists".
        batches: of "runtimes" and "gpu"; the last also of "compiled".
        resolutions: pixels per side, of "resolution".
        lists: numbers of pairs, of "lists", with the last of the runtimes.
        rounds: of all but whole processes.
        repeats: of "pair", and of one pair in "gpu".
        cold_rounds: of whole processes.
        pairs: predicted in each round of "bulk".
        table: a table of pairs whose files are read; default drawn pictures.
        device: of torch; other runtimes answer on the CPU alone.
        threads: of each runtime; default as torch has it.
        weights: those of the models, where there are any; without, random values, which cost the same.
    """

    models: tuple[str, ...] = ("amf_small",)
    parts: tuple[str, ...] = QUICK
    runtimes: tuple[str, ...] = ("torch:channels_last", "onnx", "openvino", "auto")
    peers: bool = True
    batch_size: int = 8
    batches: tuple[int, ...] = (1, 8, 32)
    resolutions: tuple[int, ...] = (160, 224, 320)
    lists: tuple[int, ...] = (10, 100, 1000)
    rounds: int = 5
    repeats: int = 30
    cold_rounds: int = 3
    pairs: int = 96
    table: Path | None = None
    device: str = "cpu"
    threads: int | None = None
    weights: bool = True

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.models:
            what = f"unknown part {unknown[0]!r}; known are {', '.join(PARTS)}" if unknown else "name a model"
            raise ConfigError(what)


@dataclass
class _Model:
    """A model that is measured, and what was made of it."""

    subject: Subject
    network: PairNetwork
    predictors: dict[str, Predictor]
    left_out: dict[str, str]


def run_benchmark(
    plan: Plan,
    progress: Callable[[str], None] = lambda what: None,
    measured: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Measure what the plan says.

    Args:
        progress: called with what comes next.
        measured: called with the report after each of its sections.

    Raises:
        UnknownModelError, WeightsError, ConfigError: a model cannot be had, or a setting is none.
        TableError, ImageError: the table of pairs, or a file that it names, cannot be read.
    """
    for variant in plan.runtimes:
        options_of(variant)  # what is mistyped is said before anything is measured
    if set(ON_CARD) & set(plan.parts) or plan.device.startswith("cuda"):
        check_cuda(plan.device)
    else:
        check_device(plan.device)
    with _threads(plan.threads) as threads, tempfile.TemporaryDirectory() as scratch:
        report = Report(_about(plan, threads))
        models = []
        for name in plan.models:
            progress(f"making {name}")
            models.append(_made(name, plan))
        files = _files(plan, Path(scratch))
        for section in _measured(plan, models, files, threads, progress):
            report.sections.append(section)
            measured(report)
    return report


def _measured(
    plan: Plan, models: list[_Model], files: Files, threads: int, progress: Callable[[str], None]
) -> Iterator[Section]:
    timing: dict[str, Any] = {"rounds": plan.rounds, "device": plan.device}
    beside = {"networks", "memory", "controls"} & set(plan.parts)
    subjects = _subjects(plan, models) if beside else {}
    if beside - {"controls"}:
        progress("networks")
        yield _networks(plan, subjects, models, threads)
    if "controls" in beside:
        progress("controls")
        pairs = {subject: network for subject, network in subjects.items() if isinstance(network, PairNetwork)}
        named = [model.subject for model in models]
        size = side_of(models[0].network)
        yield compare_controls(pairs, named, plan.runtimes, size, batch_size=plan.batch_size, **timing)
    for model in models:
        label = model.subject.label

        def wanted(part: str, label: str = label) -> bool:
            if part in plan.parts:
                progress(f"{part} of {label}")
            return part in plan.parts

        if wanted("runtimes"):
            yield compare_runtimes(
                label, model.network, model.predictors, model.left_out, batches=plan.batches, **timing
            )
        if wanted("pair"):
            yield one_pair(label, model.predictors, files, repeats=plan.repeats, device=plan.device)
        if wanted("bulk"):
            yield bulk(
                label, model.network, model.predictors, files, pairs=plan.pairs, batch_size=plan.batch_size, **timing
            )
        if wanted("startup"):
            yield start_up(model.subject, model.network, rounds=plan.rounds, cold_rounds=plan.cold_rounds)
        if wanted("resolution"):
            yield by_resolution(label, model.network, plan.resolutions, batch_size=plan.batch_size, **timing)
        if wanted("lists"):
            last = next(reversed(model.predictors))
            yield by_length(model.subject, last, files, plan.lists, batch_size=plan.batch_size, threads=threads)
    if set(ON_CARD) & set(plan.parts):
        yield from _on_card(plan, models, timing, progress)


def _on_card(
    plan: Plan, models: list[_Model], timing: dict[str, Any], progress: Callable[[str], None]
) -> Iterator[Section]:
    """What a CUDA device reaches; the first model is taken apart."""
    progress("the card")
    card = measure_card(**timing)
    yield card.section
    batch = plan.batches[-1]
    if "gpu" in plan.parts:
        for number, model in enumerate(models):
            label, network = model.subject.label, model.network.cpu()
            progress(f"gpu of {label}")
            yield network_on_card(label, network, card, batches=plan.batches, repeats=plan.repeats, **timing)
            if number == 0:
                call = fastest_call(network, batch, plan.device)
                yield bounds(label, network, call, card, batch=batch, **timing)
                yield from time_by_kind(label, call, device=plan.device)
    if "compiled" in plan.parts:
        for model in models:
            progress(f"compiled of {model.subject.label}")
            yield compiled_on_card(model.subject.label, model.network.cpu(), card, batch=batch, **timing)


def _subjects(plan: Plan, models: list[_Model]) -> dict[Subject, nn.Module]:
    """The models, and their peers if those are asked for."""
    subjects: dict[Subject, nn.Module] = {model.subject: model.network for model in models}
    if plan.peers:
        peers = [peer for model in models for peer in peers_of(model.subject, model.network)]
        for subject in unique([*subjects, *peers]):
            if subject not in subjects:
                subjects[subject] = subject.build()
    return subjects


def _networks(plan: Plan, subjects: dict[Subject, nn.Module], models: list[_Model], threads: int) -> Section:
    size = side_of(models[0].network)
    peaks: dict[str, float | None] = {}
    if "memory" in plan.parts:
        for subject in subjects:
            try:
                peaks[subject.label] = run_child(
                    "network_memory", subject=subject.to_dict(), size=size, batch_size=plan.batch_size, threads=threads
                )["megabytes"]
            except AmfzooError:  # a model registered by the caller is unknown in another process
                peaks[subject.label] = None
    return compare_networks(
        subjects, [model.subject for model in models], size, batch_size=plan.batch_size, rounds=plan.rounds,
        device=plan.device, peaks=peaks,
    )  # fmt: skip


def _made(name: str, plan: Plan) -> _Model:
    subject = named_model(name) if plan.weights else Subject(name, "model", (name,))
    network = subject.build()
    if {"runtimes", "pair", "bulk", "lists"} & set(plan.parts):
        return _Model(subject, network, *predictors_of(network, list(plan.runtimes), plan.device))
    return _Model(subject, network, {}, {})


def _files(plan: Plan, scratch: Path) -> Files:
    if not {"pair", "bulk", "lists"} & set(plan.parts):
        return []
    return drawn_files(scratch, _DRAWN) if plan.table is None else table_files(plan.table, plan.pairs)


@contextmanager
def _threads(wanted: int | None) -> Iterator[int]:
    before = torch.get_num_threads()
    if wanted is not None:
        torch.set_num_threads(wanted)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _about(plan: Plan, threads: int) -> dict[str, Any]:
    settings = {name: value for name, value in asdict(plan).items() if name != "table"}
    return {
        "amfzoo": __version__,
        "torch": torch.__version__,
        "timm": version("timm"),
        "python": platform.python_version(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "device": torch.cuda.get_device_name(plan.device) if plan.device.startswith("cuda") else plan.device,
        "rounds": plan.rounds,
        "pictures": "drawn" if plan.table is None else "of a table",
        "settings": settings,
    }


def _processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
