"""`create_predictor`: from a name to a predictor on the fastest runtime that gives the same answers."""

from __future__ import annotations

import copy
import functools
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..errors import AmfzooError, ConfigError, WeightsError
from ..factory import copied_or_created, moved
from ..fingerprint import fingerprint
from ..inference.golden import TOLERANCE
from ..memory import keep_freed_memory
from ..models.network import PairNetwork
from .base import PRECISIONS, Runtime
from .cache import cached_onnx_graph, forget
from .int8 import Calibration, int8_graph
from .measured import Measured, measured_for
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime
from .parity import check
from .predictor import Predictor
from .torch_runtime import TorchRuntime

logger = logging.getLogger("amfzoo")

# fastest first, as `amfzoo benchmark` finds them; torch runs everywhere
RUNTIMES: dict[str, type[Runtime]] = {r.name: r for r in (OpenVinoRuntime, OnnxRuntime, TorchRuntime)}
AUTO = "auto"
_CHECKED = (3,)  # rows: a whole pair, and one without each image


@torch.inference_mode(False)  # torch refuses to compute with some of what is made in it
def create_predictor(
    model: str | os.PathLike[str] | PairNetwork,
    runtime: str = AUTO,
    *,
    device: str | torch.device | None = None,
    precision: str | None = None,
    calibration: Calibration | None = None,
    channels_last: bool | None = None,
    compile: bool = False,
    cuda_graphs: bool = False,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
) -> Predictor:
    """A model that predicts through another runtime than eager torch, with the same answers where it computes in fp32.

    Every predictor is compared with fp32 torch when it is made (three pairs of random
    pictures, `Predictor.difference`); in fp32 no probability may differ by more than 1e-3; on CUDA
    its convolutions are therefore not rounded to TF32 (see `amfzoo.inference.tf32`). What other
    precisions change on real lesions is in `Predictor.measured`, if that was measured for
    these weights, and is logged. The first predictor for some weights on ONNX Runtime or OpenVINO takes seconds
    longer, until the graph is made and cached (see `amfzoo.runtimes.cache`). The process keeps memory that it
    frees, see `amfzoo.memory`.

    Args:
        model: what `create_model` takes, with weights; or a network, which is copied.
        runtime: "torch", "onnx", "openvino", or "auto": on a CPU the fastest that is
            installed and works for this network (OpenVINO in bf16, else ONNX Runtime,
            OpenVINO, torch), elsewhere torch.
        device: default that of the network, which for a name is the CPU. "onnx" and
            "openvino" run on the CPU, with as many threads as torch is set to use.
        precision: "fp32"; "bf16", of "torch" and "openvino"; "int8", of "onnx" and
            "openvino"; or "auto": bf16 where the runtime is OpenVINO, the processor has instructions for it and
            these weights were measured to lose no more than .005 macro-F1 by it, else fp32. Default "auto" for the
            runtime "auto", "fp32" for one that is named.
        calibration: of "int8", see `int8_graph`: pairs of real images, (clinical,
            dermoscopy), or the folder of an export to int8.
        channels_last: of "torch"; default where "auto" came to torch on a CPU.
        compile: `torch.compile`; of "torch".
        cuda_graphs: record each shape of batch as a CUDA graph; of "torch", on CUDA, without `compile`.
        local_files_only, cache_dir, token: as for `create_model`.

    Returns:
        A `Predictor`, which has `predict` and `predict_stream` as a network has.

    Raises:
        ConfigError: unknown runtime or precision, a runtime that is not installed or not
            for this device, options that do not belong together.
        WeightsError: the runtime's answers are not torch's; or as for `create_model`.
        UnknownModelError: as for `create_model`.
        ImageError, PredictionError: an image for the calibration cannot be read.
    """
    keep_freed_memory()
    if calibration is not None and not isinstance(calibration, (str, os.PathLike)):
        try:
            calibration = list(calibration)
        except TypeError as error:
            raise ConfigError(f"calibration: pairs of images or a folder, not {calibration!r:.200}") from error
    precision = precision or (AUTO if runtime == AUTO else "fp32")
    _check_options(runtime, precision, calibration, torch_only=bool(channels_last) or compile or cuda_graphs)
    network = copied_or_created(model, local_files_only=local_files_only, cache_dir=cache_dir, token=token)
    network.remove_auxiliary_heads()  # of use in training only
    network.float().eval()
    measured = measured_for(network)  # before it is moved to where it may have no numbers
    network = moved(network, device)
    where = str(next(network.parameters()).device)
    # made when first wanted, and once: another runtime takes the same
    quantised = functools.cache(functools.partial(int8_graph, network, calibration))
    options = {"quantised": quantised, "measured": measured}
    if runtime != AUTO:
        for chosen in _precisions(runtime, precision, measured):
            reason = RUNTIMES[runtime].refusal(where, chosen)
            if reason is None:
                switches = {"channels_last": bool(channels_last), "compile": compile, "cuda_graphs": cuda_graphs}
                return _said(_create(runtime, network, chosen, **options, **switches))
        others = [name for name, kind in RUNTIMES.items() if not kind.refusal(where, chosen)]
        advice = f"; {' or '.join(others)} can" if others else ""
        raise ConfigError(f"the runtime {runtime!r} cannot be used: {reason}{advice}")
    usable = [
        (name, chosen)
        for name, kind in RUNTIMES.items()
        if not kind.refusal(where, "fp32" if precision == AUTO else precision)
        for chosen in _precisions(name, precision, measured)
    ]
    usable.sort(key=lambda choice: choice[1] == "fp32")  # otherwise in the order of the table
    if not usable:
        reasons = (f"{name}: {kind.refusal(where, precision)}" for name, kind in RUNTIMES.items())
        raise ConfigError(f"no runtime can be used in {precision}; {'; '.join(reasons)}")
    if precision == "int8":
        quantised()  # what is wrong with the calibration is no fault of a runtime
    return _said(_first_that_works(usable, network, channels_last=where == "cpu", **options))


def _check_options(runtime: str, precision: str, calibration: Any, *, torch_only: bool) -> None:
    if runtime not in (AUTO, *RUNTIMES):
        raise ConfigError(f"unknown runtime {runtime!r}; known: {', '.join((AUTO, *RUNTIMES))}")
    if precision not in (AUTO, *PRECISIONS):
        raise ConfigError(f"unknown precision {precision!r}; known: {', '.join((AUTO, *PRECISIONS))}")
    if torch_only and runtime != TorchRuntime.name:
        raise ConfigError(f"channels_last, compile and cuda_graphs belong to runtime='torch', not to {runtime!r}")
    if precision == "int8" and calibration is None:
        raise ConfigError(
            "int8 is calibrated on real images: give pairs of them, or a folder that `amfzoo export --format int8` "
            "wrote (calibration=)"
        )
    if precision != "int8" and calibration is not None:
        raise ConfigError(f"a calibration belongs to precision='int8', not to {precision!r}")


def _precisions(runtime: str, precision: str, measured: dict[str, Measured]) -> Iterator[str]:
    """What to try, in order; int8 is never chosen, since it needs the user's images."""
    if precision != AUTO:
        yield precision
        return
    record = measured.get(f"{runtime}/bf16")
    if record and record.harmless and RUNTIMES[runtime].available() and RUNTIMES[runtime].accelerates("bf16"):
        yield "bf16"
    yield "fp32"


def _first_that_works(
    usable: list[tuple[str, str]], network: PairNetwork, *, channels_last: bool, **options: Any
) -> Predictor:
    for name, precision in usable[:-1]:
        try:
            return _create(name, network, precision, **options)
        except AmfzooError as error:  # a backbone that this runtime cannot take; the next may
            logger.warning("runtime %r in %s is left out: %s", name, precision, error)
    name, precision = usable[-1]
    torch_options = {"channels_last": channels_last} if name == TorchRuntime.name else {}
    return _create(name, network, precision, **options, **torch_options)


def _create(
    name: str,
    network: PairNetwork,
    precision: str,
    *,
    quantised: Callable[[], bytes],
    measured: dict[str, Measured],
    **torch_options: Any,
) -> Predictor:
    def graph() -> bytes:
        return quantised() if precision == "int8" else cached_onnx_graph(network)

    make: dict[str, Callable[[], Runtime]] = {
        "openvino": lambda: OpenVinoRuntime(graph(), network.tasks, precision=precision),
        "onnx": lambda: OnnxRuntime(graph(), network.tasks),
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
    return Predictor(
        runtime,
        network.config,
        precision=precision,
        difference=max(differences.values()),
        measured=measured.get(f"{name}/{precision}"),
        weights="" if network.config.info.get("name") else fingerprint(network),
    )


def _said(predictor: Predictor) -> Predictor:
    """The predictor, a precision that changes answers being logged: as a warning, unless the change was measured."""
    if predictor.precision != "fp32":
        logger.log(logging.INFO if predictor.measured else logging.WARNING, "%s", predictor.precision_note)
    return predictor
