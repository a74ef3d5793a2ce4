"""`create_predictor`: from a name to a predictor on the fastest runtime that gives the same answers."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable
from typing import Any

import torch

from ..errors import AmfzooError, ConfigError, WeightsError
from ..factory import create_model
from ..inference.golden import TOLERANCE
from ..models.network import PairNetwork
from .base import PRECISIONS, Runtime
from .cache import cached_onnx_graph, forget
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime
from .parity import check
from .predictor import Predictor
from .torch_runtime import TorchRuntime

logger = logging.getLogger("amfzoo")

# fastest first, as `amfzoo benchmark` measures on CPUs; torch runs everywhere
RUNTIMES: dict[str, type[Runtime]] = {r.name: r for r in (OpenVinoRuntime, OnnxRuntime, TorchRuntime)}
AUTO = "auto"
_CHECKED = (3,)  # rows: a whole pair, and one without each image


def create_predictor(
    model: str | os.PathLike[str] | PairNetwork,
    runtime: str = AUTO,
    *,
    device: str | torch.device | None = None,
    precision: str = "fp32",
    channels_last: bool | None = None,
    compile: bool = False,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Predictor:
    """A model that predicts through another runtime than eager torch, with the same answers.

    Every predictor is compared with fp32 torch when it is made (three pairs of random
    pictures, `Predictor.difference`); in fp32 no probability may differ by more than 1e-3. The
    first one for some weights on ONNX Runtime or OpenVINO takes seconds longer, until
    the graph is made and cached (see `amfzoo.runtimes.cache`).

    Args:
        model: what `create_model` takes, with weights; or a network, which is copied.
        runtime: "torch", "onnx", "openvino", or "auto": on a CPU the fastest that is
            installed and works for this network, elsewhere torch.
        device: default that of the network, which for a name is the CPU. "onnx" and
            "openvino" run on the CPU, with as many threads as torch is set to use.
        precision: "fp32", or "bf16", which is faster on processors that have it and
            changes the answers; "auto" never chooses it by itself.
        channels_last: of "torch"; default where "auto" came to torch on a CPU.
        compile: `torch.compile`; of "torch".
        local_files_only, cache_dir: as for `create_model`.

    Raises:
        ConfigError: unknown runtime or precision, a runtime that is not installed or not
            for this device, options that do not belong together.
        WeightsError: the runtime's answers are not torch's; or as for `create_model`.
        UnknownModelError: as for `create_model`.
    """
    _check_options(runtime, precision, torch_only=bool(channels_last) or compile)
    if isinstance(model, PairNetwork):
        network = copy.deepcopy(model)
    else:
        network = create_model(model, True, local_files_only=local_files_only, cache_dir=cache_dir)
    network.remove_auxiliary_heads()  # of use in training only
    network = network.float().eval().to(device)
    where = str(next(network.parameters()).device)
    if runtime != AUTO:
        reason = RUNTIMES[runtime].refusal(where, precision)
        if reason:
            raise ConfigError(f"the runtime {runtime!r} cannot be used: {reason}")
        return _create(runtime, network, precision, channels_last=bool(channels_last), compile=compile)
    usable = [name for name, kind in RUNTIMES.items() if not kind.refusal(where, precision)]
    return _first_that_works(usable, network, precision, channels_last=where == "cpu")


def _check_options(runtime: str, precision: str, *, torch_only: bool) -> None:
    if runtime not in (AUTO, *RUNTIMES):
        raise ConfigError(f"unknown runtime {runtime!r}; known: {', '.join((AUTO, *RUNTIMES))}")
    if precision not in PRECISIONS:
        raise ConfigError(f"unknown precision {precision!r}; known: {', '.join(PRECISIONS)}")
    if torch_only and runtime != TorchRuntime.name:
        raise ConfigError(f"channels_last and compile belong to runtime='torch', not to {runtime!r}")


def _first_that_works(names: list[str], network: PairNetwork, precision: str, **torch_options: Any) -> Predictor:
    for name in names[:-1]:
        try:
            return _create(name, network, precision)
        except AmfzooError as error:  # a backbone that this runtime cannot take; the next may
            logger.warning("runtime %r is left out: %s", name, error)
    return _create(names[-1], network, precision, **torch_options)


def _create(name: str, network: PairNetwork, precision: str, **torch_options: Any) -> Predictor:
    make: dict[str, Callable[[], Runtime]] = {
        "openvino": lambda: OpenVinoRuntime(cached_onnx_graph(network), network.tasks, precision=precision),
        "onnx": lambda: OnnxRuntime(cached_onnx_graph(network), network.tasks),
        "torch": lambda: TorchRuntime(copy.deepcopy(network), precision=precision, **torch_options),
    }
    try:
        runtime = make[name]()
        differences = check(network, runtime, _CHECKED, TOLERANCE if precision == "fp32" else None)
    except WeightsError:
        forget(network)  # should its graph be damaged, the next attempt makes it anew
        raise
    except Exception as error:  # compilers raise nearly anything
        if isinstance(error, AmfzooError) or not torch_options.get("compile"):
            raise
        raise ConfigError(f"torch.compile does not work for this network here: {error}") from error
    return Predictor(runtime, network.config, precision=precision, difference=max(differences.values()))
