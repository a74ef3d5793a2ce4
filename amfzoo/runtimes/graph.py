"""A network as a graph that leaves Python: `torch.export`, and ONNX made from it."""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import ConfigError
from ..inference.batch import BRANCHES, Batch
from .base import require

if TYPE_CHECKING:
    from ..models.network import PairNetwork

PRESENT = "present"
# torch.export, the exporters and what keeps them quiet change the state of the whole process: one thread at a time
making = threading.RLock()
_TRACED = 2  # rows; with one, the batch size would become a constant


def output_name(task: str) -> str:
    """The name of a task's logits in the graph, which no input can have."""
    return f"{task}_logits"


def feed(batch: Batch, inputs: Iterable[str]) -> dict[str, np.ndarray]:
    """The inputs that a graph has, by name."""
    return {name: getattr(batch, name) for name in inputs}


def exported_program(network: PairNetwork) -> torch.export.ExportedProgram:
    """The network traced by `torch.export`, for any batch size.

    Inputs are clinical and dermoscopy (B, 3, H, W) float32, less a branch that the
    network has not, and present (B, 2) bool; the output is {task: (B, classes)}.

    Args:
        network: on the CPU, fp32, in evaluation mode.

    Raises:
        ConfigError: an operation in it cannot be traced.
    """
    batch = torch.export.Dim("batch", min=1)
    images = {
        name: torch.zeros(_TRACED, 3, *prepared.size, dtype=torch.float32, device="cpu")
        for name, prepared in network.preprocess.items()
    }
    inputs = {name: images.get(name) for name in BRANCHES} | {
        PRESENT: torch.ones(_TRACED, 2, dtype=torch.bool, device="cpu")
    }
    shapes = {name: None if value is None else {0: batch} for name, value in inputs.items()}
    with making, _quiet(), _single_precision(), torch.no_grad():
        try:
            program = torch.export.export(network, (), inputs, dynamic_shapes=shapes)
        except Exception as error:  # whatever the tracing runs into
            raise ConfigError(f"{_name(network)} cannot be exported by torch.export: {error}") from error
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                node.meta.pop("stack_trace", None)  # files of this machine, in folders that may bear its user's name
    return program


@contextlib.contextmanager
def _single_precision() -> Iterator[None]:
    """Constants of the graph get torch's default type, which may be another where this is called."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def onnx_graph(network: PairNetwork) -> bytes:
    """The network as the bytes of an ONNX file; inputs as in `exported_program`, outputs as `output_name` says.

    Raises:
        ConfigError: the packages are not installed, or an operation has no ONNX form.
    """
    require(("onnx", "onnxscript"), "onnx", "an ONNX graph")
    program = exported_program(network)
    outputs = [output_name(task) for task in network.tasks]
    file = io.BytesIO()
    with making, _quiet(), torch.no_grad():
        try:
            torch.onnx.export(program, f=None, dynamo=True, output_names=outputs, verbose=False).save(file)
        except Exception as error:
            raise ConfigError(f"{_name(network)} cannot be written as ONNX: {error}") from error
    return file.getvalue()


def _name(network: PairNetwork) -> Any:
    return network.config.info.get("name", network.config.architecture)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes on their own deprecations and passes from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels):
                logger.setLevel(level)
