"""OpenVINO on the CPU, https://docs.openvino.ai."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ..errors import ConfigError, WeightsError
from ..inference.batch import Batch, Logits
from .base import Runtime, imported, taking_turns
from .graph import feed, output_name
from .openvino_split import InTwo, caller, in_two
from .parts import in_parts, pairs_a_part

_KEPT = 4  # batch sizes compiled on their own; a stream has two, the last batch being smaller
_KEPT_LANES = 2  # two streams of other batch sizes in turn compile nothing
# more uses than a compiled size had, by which another one takes its place: compiling takes as long as some tens
_WORTH = 32
# pinned, the first threads of all programs on a machine share its first core: two with one thread each did half of the work
_NOT_PINNED = {"ENABLE_CPU_PINNING": False}


_making = threading.Lock()


def core() -> Any:
    """OpenVINO's `Core`, one for the process and never freed.

    Where the processor has AMX, each one gives the thread a stack for its signal handlers and takes it away
    with itself; with two, the next signal after both are gone finds freed memory and ends the program.
    """
    with _making:  # of two threads that ask for the first one, a cache alone lets both make one
        return _core()


@lru_cache(maxsize=1)
def _core() -> Any:
    return imported("openvino", OpenVinoRuntime.extra).Core()


class OpenVinoRuntime(Runtime):
    """A graph made by `onnx_graph` or `int8_graph`, or OpenVINO's own form of it, on as many threads as torch uses.

    A batch size that comes back is compiled on its own, up to four of them: networks of fixed shapes are
    10 to 25 % faster than the one compiled for any size, which does the others.

    Args:
        graph: the bytes of an ONNX graph, or the path of one or of an OpenVINO ``.xml``, or the bytes of such a file
            and of the ``.bin`` beside it.
        tasks: of the network, in order.
        precision: "fp32", or "bf16" for the arithmetic of all but the first layers (see `in_two`). Said always:
            left to itself, OpenVINO takes bf16 where the processor has it. "int8" is of the graph; what is
            not quantised in it is computed in bf16 where the processor has that, else in fp32.

    Raises:
        WeightsError: the graph cannot be read or compiled.
    """

    name = "openvino"
    extra = "openvino"
    requires = ("openvino", "onnx", "onnxscript")
    precisions = ("fp32", "bf16", "int8")
    devices = ("cpu",)

    @classmethod
    def accelerates(cls, precision: str) -> bool:
        try:
            return precision.upper() in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        except ConfigError:  # said where the runtime is made
            return False

    def __init__(
        self,
        graph: bytes | str | os.PathLike[str] | tuple[bytes, bytes],
        tasks: Iterable[str],
        *,
        precision: str = "fp32",
    ) -> None:
        openvino = imported("openvino", self.extra)
        self._precision = precision
        self._cut = precision == "bf16"
        # beside int8, whose rounding is the larger one, fp32 would cost a third of the speed and spare little
        self._rest = "bf16" if self._cut or (precision == "int8" and self.accelerates("bf16")) else "f32"
        self._threads = torch.get_num_threads()
        self._settings = {
            **_NOT_PINNED,
            "PERFORMANCE_HINT": "LATENCY",  # all threads on one batch
            "INFERENCE_NUM_THREADS": self._threads,
        }
        try:
            if isinstance(graph, tuple):
                self._model = core().read_model(*graph)
            else:
                self._model = core().read_model(graph if isinstance(graph, bytes) else os.fspath(graph))
            self._any_size = self._compiled(self._model, self._settings)
        except RuntimeError as error:
            raise WeightsError(f"OpenVINO {openvino.__version__} cannot load the graph: {error}") from error
        self._outputs = {task: output_name(task) for task in tasks}
        self._inputs = [entry.any_name for entry in self._model.inputs]
        self._lock = threading.Lock()  # a compiled model refuses a call while it is in another
        self._uses: Counter[int] = Counter()
        self._by_size: dict[int, Any] = {}
        self._of_lanes: dict[tuple[int, int, int], Callable[[Batch], Logits]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """So that predictors can be sent to processes, which compile the graph anew."""
        with TemporaryDirectory(prefix="amfzoo-graph-") as folder:
            files = [Path(folder) / f"graph.{suffix}" for suffix in ("xml", "bin")]
            imported("openvino", self.extra).serialize(self._model, *files)
            graph = tuple(file.read_bytes() for file in files)
        return partial(type(self), precision=self._precision), (graph, tuple(self._outputs))

    def logits(self, batch: Batch) -> Logits:
        with self._lock:
            return in_parts(self._part, batch, pairs_a_part(len(batch.present), self._threads))

    def _part(self, batch: Batch) -> Logits:
        arrays = feed(batch, self._inputs)
        return self._answers(self._for_size(arrays), arrays)

    def lanes(self, count: int, threads: int, pairs: int) -> Callable[[Batch], Logits] | None:
        with self._lock:
            wanted = (count, threads, pairs)
            of_size = self._of_lanes.pop(wanted, None) or self._lanes(*wanted)
            self._of_lanes[wanted] = of_size  # used last
            while len(self._of_lanes) > _KEPT_LANES:
                del self._of_lanes[next(iter(self._of_lanes))]
        return lambda batch: of_size(batch) if len(batch.present) == pairs else self.logits(batch)

    def _lanes(self, count: int, threads: int, pairs: int) -> Callable[[Batch], Logits]:
        """What computes batches of one size, `count` at a time."""
        settings = {**_NOT_PINNED, "NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count * threads}
        size = pairs_a_part(pairs, threads)
        compiled = self._compiled(self._fixed(size), settings)
        calls = [caller(compiled) for _ in range(count)]
        parts = [lambda batch, call=call: self._answers(call, feed(batch, self._inputs)) for call in calls]
        return taking_turns([partial(in_parts, part, size=size) for part in parts])

    def _answers(self, call: Callable[..., Any], arrays: dict[str, np.ndarray]) -> Logits:
        """The logits of what `feed` gave, by a compiled graph."""
        found = call(arrays, share_inputs=True)
        return {task: np.array(found[name]) for task, name in self._outputs.items()}  # its memory is used again

    def _for_size(self, arrays: dict[str, np.ndarray]) -> Any:
        size = len(arrays["present"])
        self._uses[size] += 1
        if size not in self._by_size:
            if self._uses[size] < 2:
                return self._any_size
            if len(self._by_size) >= _KEPT:
                least = min(self._by_size, key=self._uses.__getitem__)
                if self._uses[size] < 2 * self._uses[least] + _WORTH:  # twice: two that are used alike do not alternate
                    return self._any_size
                del self._by_size[least]
            self._by_size[size] = self._compiled(self._fixed(size), self._settings)
        return self._by_size[size]

    def _fixed(self, size: int) -> Any:
        """The network for batches of one size."""
        fixed = self._model.clone()
        shapes = {entry.any_name: entry.get_partial_shape() for entry in fixed.inputs}
        fixed.reshape({name: [size, *list(shape)[1:]] for name, shape in shapes.items()})
        return fixed

    def _compiled(self, model: Any, settings: dict[str, Any]) -> Any:
        parts = in_two(model) if self._cut else None
        if parts is None:
            return _in(self._rest, model, settings)
        first, rest, middle = parts
        return InTwo(_in("f32", first, settings), _in(self._rest, rest, settings), middle)


def _in(precision: str, model: Any, settings: dict[str, Any]) -> Any:
    return core().compile_model(model, "CPU", {**settings, "INFERENCE_PRECISION_HINT": precision})
