"""Before the first answer: building and loading a network, and a whole process from nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import timm

from ..models.network import PairNetwork
from ..models.zoo import BACKBONES
from .children import run_program
from .result import Cell, Section
from .subjects import Subject
from .timing import interleaved, milliseconds, times_as_fast

_BARE = """import json, sys, torch, timm
for name, args in json.loads(sys.argv[1]):
    timm.create_model(name, num_classes=0, **args)
"""


def start_up(model: Subject, network: PairNetwork, *, rounds: int, cold_rounds: int) -> Section:
    """Loading beside timm building the two bare backbones, in this process and from a cold one.

    Args:
        cold_rounds: of the whole processes, which take seconds; 0 for none. They need weights.
    """
    backbones = [(name, BACKBONES.get(name, {}).get("args", {})) for name in _backbones(network)]

    def bare() -> None:
        for name, args in backbones:
            timm.create_model(name, pretrained=False, num_classes=0, **args)

    what = "load with weights" if model.pretrained else "build, random values"
    rows = [_row(what, "timm builds the backbones", model.build, bare, rounds)]
    if cold_rounds and model.pretrained:
        predict = [sys.executable, "-m", "amfzoo", "predict", "--example", "--quiet", "--model", model.names[0]]
        imports = [sys.executable, "-c", _BARE, json.dumps(backbones)]
        rows.append(
            _row(
                "process: amfzoo predict --example",
                "process: import torch, timm; build",
                lambda: run_program(predict),
                lambda: run_program(imports),
                cold_rounds,
            )
        )
    notes = [] if model.pretrained else ["There are no weights to predict with, so no process was timed."]
    return Section("startup", f"Start of {model.label}", rows, notes)


def _backbones(network: PairNetwork) -> list[str]:
    config = network.config
    return [name for name in (config.clinical, config.dermoscopy) if name]


def _row(
    name: str, other: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> dict[str, Cell]:
    times = interleaved({"ours": ours, "theirs": theirs}, rounds)
    return {
        "amfzoo": name,
        "ms": milliseconds(times["ours"]),
        "beside": other,
        "ms of that": milliseconds(times["theirs"]),
        "takes times as long": times_as_fast(times["theirs"], times["ours"]),
    }
