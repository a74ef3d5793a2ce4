"""What every runtime is: something that computes a network's logits from arrays."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from types import ModuleType
from typing import ClassVar

from ..errors import ConfigError
from ..inference.batch import Batch, Logits, Started

PRECISIONS = ("fp32", "bf16", "int8")

# ONNX Runtime reads this once, and without it reports its use to Microsoft, under an id that it keeps of the machine
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


class Runtime(ABC):
    """One way to compute the logits of one network.

    Attributes:
        name: as `create_predictor` takes it.
        extra: the optional part of this package that brings what it needs; "" for none.
        requires: packages that it imports.
        precisions: those it can compute in; the first is the default.
        devices: device types it runs on; empty for all that torch knows.
    """

    name: ClassVar[str]
    extra: ClassVar[str] = ""
    requires: ClassVar[tuple[str, ...]] = ()
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "bf16")
    devices: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def available(cls) -> bool:
        """Whether the packages that it needs are installed; imports none of them."""
        return not missing(cls.requires)

    @classmethod
    def refusal(cls, device: str, precision: str) -> str | None:
        """Why it cannot be used on a device ("cpu", "cuda:1") in a precision; None if it can."""
        absent = missing(cls.requires)
        if absent:
            return f"it needs {', '.join(absent)}: pip install 'amfzoo[{cls.extra}]'"
        if cls.devices and device.partition(":")[0] not in cls.devices:
            return f"it runs on {', '.join(cls.devices)}, not on {device}"
        if precision not in cls.precisions:
            return f"it computes in {', '.join(cls.precisions)}, not in {precision}"
        return None

    @classmethod
    def accelerates(cls, precision: str) -> bool:
        """Whether this machine has instructions for a precision, with which it is faster than fp32."""
        return False

    @abstractmethod
    def logits(self, batch: Batch) -> Logits:
        """{task: (B, classes) float32}, before the temperatures; tasks in the network's order."""

    def start(self, batch: Batch) -> Started:
        """The same, returned before they are there if the device works by itself."""
        logits = self.logits(batch)
        return Started(lambda: logits)

    def lanes(self, count: int, threads: int, pairs: int) -> Callable[[Batch], Logits] | None:
        """`logits` for `count` threads at the same time, on so many threads each, best of so many pairs.

        None where that is not to be had; see `amfzoo.inference.lanes`.
        """
        return None


def imported(package: str, extra: str) -> ModuleType:
    """A package that is installed.

    Raises:
        ConfigError: importing it fails, whatever the reason.
    """
    hidden = package == "openvino" and "openvino_telemetry" not in sys.modules
    try:
        if hidden:  # OpenVINO does without it, and with it reports being imported to Intel
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
        return import_module(package)
    except Exception as error:  # a broken installation raises nearly anything
        raise ConfigError(
            f"{package} is installed but does not work here ({type(error).__name__}: {error}); "
            f"install it again: pip install --force-reinstall 'amfzoo[{extra}]'"
        ) from error
    finally:
        if hidden:
            sys.modules.pop("openvino_telemetry", None)  # another thread may have done so


def missing(packages: Iterable[str]) -> list[str]:
    """Those of the packages that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def require(packages: Iterable[str], extra: str, what: str) -> None:
    """Raise a ConfigError that says what to install, unless all packages are there."""
    absent = missing(packages)
    if absent:
        raise ConfigError(f"{what} needs {', '.join(absent)}: pip install 'amfzoo[{extra}]'")


def taking_turns(callers: Iterable[Callable[[Batch], Logits]]) -> Callable[[Batch], Logits]:
    """Several functions, each of which serves one thread at a time, as one that serves as many at a time."""
    free: SimpleQueue[Callable[[Batch], Logits]] = SimpleQueue()
    for caller in callers:
        free.put(caller)

    def logits(batch: Batch) -> Logits:
        caller = free.get()
        try:
            return caller(batch)
        finally:
            free.put(caller)

    return logits
