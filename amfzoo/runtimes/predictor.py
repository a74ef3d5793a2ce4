"""`Predictor`: a network behind a runtime, which predicts as `PairNetwork` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, overload

from ..errors import AmfzooError
from ..images import Preprocess
from ..images.quick import quick
from ..inference import Prediction, predict_stream
from ..inference.batch import Batch, Logits, Started
from ..inference.predicting import Predicting
from ..inference.predictor import Pair
from ..models.config import NetworkConfig
from .base import Runtime
from .measured import Measured


class Predictor(Predicting):
    """Answers as the network that it was made from; `create_predictor` makes it.

    Takes a network's place in `predict_stream` as well.

    Attributes:
        runtime: what computes the logits.
        config: of the network, as it was when the predictor was made.
        precision: "fp32", "bf16" or "int8".
        difference: largest difference of a probability from fp32 torch, measured when
            the predictor was made on a few random pictures.
        measured: what the precision changed on real lesions when the weights were
            released (in int8 with another calibration); None where that was not measured for this runtime, and in fp32.
        weights: `fingerprint` of a network that has no name; else "".
    """

    def __init__(
        self,
        runtime: Runtime,
        config: NetworkConfig,
        *,
        precision: str,
        difference: float,
        measured: Measured | None = None,
        weights: str = "",
    ) -> None:
        self.runtime = runtime
        self.config = config
        self.precision = precision
        self.difference = difference
        self.measured = measured
        self.weights = weights
        # once: it is asked for with every pair
        self._preprocess = dict(config.preprocess)
        if precision != "fp32":
            self._preprocess = {branch: quick(exact) for branch, exact in self._preprocess.items()}

    @property
    def precision_note(self) -> str:
        """What the precision does to the answers, as a sentence; "" in fp32, which changes none."""
        if self.precision == "fp32":
            return ""
        effect = self.measured or "what this changes was not measured for these weights"
        other = (
            "; measured with a calibration of its own, on training lesions"
            if self.measured and self.precision == "int8"
            else ""
        )
        return f"{self._name} answers through {self.runtime.name} in {self.precision}: {effect}{other}"

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Task -> class names, in the order of the logits."""
        return dict(self.config.tasks)

    @property
    def preprocess(self) -> dict[str, Preprocess]:
        """From file to network input, for each branch that exists; where the precision is not fp32, quickly.

        What was measured of a precision (`Predictor.measured`) includes what `QuickPreprocess` changes.
        """
        return self._preprocess

    def logits(self, batch: Batch) -> Logits:
        """{task: (B, classes)} of preprocessed input, before the temperatures."""
        return self.runtime.logits(batch)

    def start(self, batch: Batch) -> Started:
        """The same, returned before they are there where the runtime's device works by itself."""
        return self.runtime.start(batch)

    def lanes(self, count: int, threads: int, pairs: int) -> Callable[[Batch], Logits] | None:
        """The same for several threads at a time, see `Runtime.lanes`."""
        return self.runtime.lanes(count, threads, pairs)

    @overload
    def predict_stream(
        self, pairs: Iterable[Pair], *, errors: Literal["raise"] = "raise", **options: Any
    ) -> Iterator[Prediction]: ...
    @overload
    def predict_stream(
        self, pairs: Iterable[Pair], *, errors: str, **options: Any
    ) -> Iterator[Prediction | AmfzooError]: ...
    def predict_stream(self, pairs: Iterable[Pair], **options: Any) -> Iterator[Prediction | AmfzooError]:
        """As `amfzoo.predict_stream`, with its options."""
        return predict_stream(self, pairs, **options)

    @property
    def _name(self) -> str:
        return self.config.info.get("name", self.config.architecture)

    def __repr__(self) -> str:
        change = f", macro_f1_change={self.measured.macro_f1_change:+.4f}" if self.measured else ""
        return f"Predictor({self._name!r}, runtime={self.runtime.name!r}, precision={self.precision!r}{change})"
