"""Where a run computes, and what it leaves of torch's settings: devices by accelerate, determinism, random state."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import torch

from ..device import check_device
from ..errors import ConfigError
from .config import TrainConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

_P = ParamSpec("_P")  # one by one, or type checkers do not know them
_R = TypeVar("_R")


def make_accelerator(config: TrainConfig, folder: Path | None, device: str | None) -> Accelerator:
    """Device, mixed precision and processes, by accelerate.

    Raises:
        ConfigError: accelerate is not installed, or there is no such device.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
        from accelerate.utils import GradientAccumulationPlugin
    except ImportError as error:
        raise ConfigError(f"training needs accelerate: pip install 'amfzoo[train]' ({error})") from error
    # else a second run in this process could not have another precision or device
    AcceleratorState._reset_state(reset_partial_state=not _communicating())
    if device is not None:
        check_device(device)
    # processes of a torchrun share their steps on a CPU where accelerate is told that it is one, and else not at all
    on_cpu = torch.device(device).type == "cpu" if device is not None else not torch.accelerator.is_available()
    try:
        if device is not None and torch.device(device).type == "cuda" and torch.device(device).index is not None:
            torch.cuda.set_device(torch.device(device))
        accelerator = Accelerator(
            cpu=on_cpu,
            mixed_precision=config.precision,
            gradient_accumulation_plugin=GradientAccumulationPlugin(
                num_steps=config.accumulate, sync_with_dataloader=False
            ),
            log_with="tensorboard" if folder is not None and find_spec("tensorboard") else None,
            project_dir=folder,
        )
    except (RuntimeError, AssertionError, ValueError, NotImplementedError) as error:
        raise ConfigError(
            f"training cannot use device {device!r} with precision {config.precision!r}: "
            f"{str(error).partition(chr(10))[0]}"
        ) from error
    if device is not None and accelerator.device.type != torch.device(device).type:
        raise ConfigError(f"device {device!r} was asked for, but accelerate is set up for {accelerator.device}")
    accelerator.gradient_accumulation_steps = config.accumulate  # kept from an earlier run of this process otherwise
    return accelerator


def _communicating() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def leaving_random_state(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Its draws have seeds of their own, so what the caller draws afterwards must not depend on it."""

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
        with torch.random.fork_rng(devices=devices):
            return function(*args, **kwargs)

    return run


class determinism:
    """Inside it torch's deterministic algorithms, if wanted; else, on a GPU, the fastest of those that cuDNN tries."""

    def __init__(self, wanted: bool) -> None:
        self._wanted, self._before = wanted, torch.are_deterministic_algorithms_enabled()
        self._warned = torch.is_deterministic_algorithms_warn_only_enabled()
        self._tried = torch.backends.cudnn.benchmark

    def __enter__(self) -> None:
        if self._wanted:
            torch.use_deterministic_algorithms(True, warn_only=True)
        else:
            torch.backends.cudnn.benchmark = True  # crops change their size a few times in a run, not in each step

    def __exit__(self, *exception: object) -> None:
        torch.use_deterministic_algorithms(self._before, warn_only=self._warned)
        torch.backends.cudnn.benchmark = self._tried
