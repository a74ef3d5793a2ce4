"""ONNX Runtime on the CPU, https://onnxruntime.ai."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

from ..errors import WeightsError
from ..inference.batch import Batch, Logits
from .base import Runtime, imported, taking_turns
from .graph import feed, output_name
from .parts import in_parts, pairs_a_part


class OnnxRuntime(Runtime):
    """An ONNX graph made by `onnx_graph` or `int8_graph`, on as many threads as torch uses.

    Args:
        graph: its bytes or its path.
        tasks: of the network, in order.

    Raises:
        WeightsError: the graph cannot be read, or has operations unknown to the
            installed version.
    """

    name = "onnx"
    extra = "onnx"
    requires = ("onnxruntime", "onnx", "onnxscript")
    precisions = ("fp32", "int8")
    devices = ("cpu",)

    def __init__(self, graph: bytes | str | os.PathLike[str], tasks: Iterable[str]) -> None:
        self._graph = graph if isinstance(graph, bytes) else os.fspath(graph)
        self._threads = torch.get_num_threads()
        self._session = self._started(self._threads)
        self._outputs = {task: output_name(task) for task in tasks}
        self._inputs = [entry.name for entry in self._session.get_inputs()]
        self._of_lanes: dict[tuple[int, int], Callable[[Batch], Logits]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """So that predictors can be sent to processes, which start sessions of their own."""
        return type(self), (self._graph, tuple(self._outputs))

    def logits(self, batch: Batch) -> Logits:
        return self._run(self._session, self._threads, batch)

    def lanes(self, count: int, threads: int, pairs: int) -> Callable[[Batch], Logits] | None:
        with self._lock:
            if (count, threads) not in self._of_lanes:  # the last that were asked for are kept
                self._of_lanes = {(count, threads): self._lanes(count, threads)}
            return self._of_lanes[count, threads]

    def _lanes(self, count: int, threads: int) -> Callable[[Batch], Logits]:
        """Callers of one session share its threads, but each brings one of its own, which is enough where it shall be one."""
        one = partial(self._run, self._started(threads), threads)
        if threads == 1:
            return one
        return taking_turns([one, *(partial(self._run, self._started(threads), threads) for _ in range(count - 1))])

    def _run(self, session: Any, threads: int, batch: Batch) -> Logits:
        return in_parts(partial(self._run_part, session), batch, pairs_a_part(len(batch.present), threads))

    def _run_part(self, session: Any, batch: Batch) -> Logits:
        values = session.run(list(self._outputs.values()), feed(batch, self._inputs))
        return dict(zip(self._outputs, values))

    def _started(self, threads: int) -> Any:
        onnxruntime = imported("onnxruntime", self.extra)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        # its threads wait busily for the next operator, and by default also for the next batch: there they would take
        # the time of those that decode it
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3  # errors; they are raised as well
        try:
            return onnxruntime.InferenceSession(self._graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base but this
            raise WeightsError(f"ONNX Runtime {onnxruntime.__version__} cannot load the graph: {error}") from error
