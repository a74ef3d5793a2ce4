"""Static quantisation to 8 bits by ONNX Runtime, on real images.

Convolutions are quantised: weights per channel, activations per tensor (QDQ form, which
OpenVINO reads as well). All else stays in floating point: attention, normalisation, heads, and the first
convolutions of each backbone. These see few channels of very unequal range, and rounding there is amplified by all later
layers (as Nagel et al., arXiv:1906.04721, explain): on MobileNetV2 the first tenth causes more than half of the change, and
the next two tenths half of what is left.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import AmfzooError, ConfigError, PredictionError, WeightsError
from ..fingerprint import fingerprint
from ..folder import sha256_of
from ..inference.batch import BRANCHES, Batch, stack
from ..inference.predictor import Pair
from .base import require
from .cache import cached_onnx_graph
from .description import DESCRIPTION_FILE
from .graph import feed, making

if TYPE_CHECKING:
    from ..images import Preprocess
    from ..models.network import PairNetwork

Calibration = Iterable[Pair] | str | os.PathLike[str]

logger = logging.getLogger("amfzoo")
GRAPH_FILE = "model.onnx"
_FEW_PAIRS = 32  # figures of released weights are with 96
_FLOAT_SHARE = 0.3  # of each backbone's convolutions, from the image on
_PERCENTILE = 99.99  # of an activation's values that its 8 bits span
_STEP = 2  # pairs whose activations, hundreds of megabytes, are held at a time


def int8_graph(network: PairNetwork, calibration: Calibration) -> bytes:
    """The network as an ONNX graph with convolutions in 8 bits; inputs and outputs as of `onnx_graph`.

    Args:
        network: on the CPU, fp32, in evaluation mode.
        calibration: pairs of images such as it will see, one of a pair may be None; some
            dozens are enough. Or a folder that `export_model` wrote in the format "int8".

    Raises:
        ConfigError: the packages are not installed, no pairs are given, the
            network cannot be quantised, or the folder is of another network.
        WeightsError: the folder is damaged or none that was exported.
        ImageError, PredictionError: a pair cannot be read.
    """
    if isinstance(calibration, (str, os.PathLike)):
        return _exported(network, Path(calibration).expanduser())
    require(("onnxruntime", "onnx", "onnxscript"), "onnx", "int8")
    pairs = list(calibration)
    if not pairs:
        raise ConfigError("int8 is calibrated on real images, and no pair is given")
    if len(pairs) < _FEW_PAIRS:
        logger.warning(
            "int8 is calibrated on %d pairs; give %d or more, since the answers depend on them", len(pairs), _FEW_PAIRS
        )
    reader = _Reader(pairs, network.preprocess)
    for index in range(len(reader)):  # what cannot be read is said now, not after the graph is made
        reader.batch(index)
    for name in network.preprocess:
        if all(pair[BRANCHES.index(name)] is None for pair in pairs):
            logger.warning(
                "int8 is calibrated without a %s image, so answers to such images change more than on these pairs; "
                "give some if it will see them",
                name,
            )
    graph = cached_onnx_graph(network)
    with making, tempfile.TemporaryDirectory(prefix="amfzoo-int8-") as folder, _quiet():
        try:
            return _quantised(graph, reader, Path(folder))
        except AmfzooError:
            raise
        except Exception as error:  # the quantiser's share no base but this
            raise ConfigError(f"this network cannot be quantised by ONNX Runtime: {error}") from error


def batches_of(pairs: Sequence[Pair], preprocess: Mapping[str, Preprocess]) -> Iterator[Batch]:
    """Network input of pairs, in batches of a few."""
    reader = _Reader(pairs, preprocess)
    return (reader.batch(i) for i in range(len(reader)))


def _exported(network: PairNetwork, folder: Path) -> bytes:
    """The graph of an exported folder, if it is whole and of this network."""
    if not folder.is_dir():
        raise WeightsError(
            f"there is no folder {folder}; make it: amfzoo export NAME --format int8 --calibration SOURCE --out {folder}"
        )
    try:
        description = json.loads((folder / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        format, weights = description["format"], description["weights"]
        recorded = description["files"][GRAPH_FILE]["sha256"]
        if recorded != sha256_of(folder / GRAPH_FILE):
            raise WeightsError(
                f"{folder / GRAPH_FILE} is not the file that {DESCRIPTION_FILE} records; export it again"
            )
        content = (folder / GRAPH_FILE).read_bytes()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{folder} is no folder that `amfzoo export --format int8` wrote: {error}") from error
    if format != "int8":
        raise ConfigError(f"{folder} was exported in the format {format!r}, not as int8")
    if weights != fingerprint(network):
        raise ConfigError(f"{folder} was made from other weights or preprocessing than this network's; export it anew")
    return content


class _Reader:
    """Batches of network input, as ONNX Runtime's calibration asks for them; decodes when asked."""

    def __init__(self, pairs: Sequence[Pair], preprocess: Mapping[str, Preprocess], inputs: Iterable[str] = ()) -> None:
        self._pairs, self._preprocess, self.inputs = pairs, preprocess, tuple(inputs)
        self._range = iter(range(len(self)))

    def __len__(self) -> int:
        return math.ceil(len(self._pairs) / _STEP)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._range = iter(range(start_index, end_index))

    def get_next(self) -> dict[str, np.ndarray] | None:
        index = next(self._range, None)
        return None if index is None else feed(self.batch(index), self.inputs)

    def batch(self, index: int) -> Batch:
        rows = []
        for pair in self._pairs[index * _STEP : (index + 1) * _STEP]:
            if not isinstance(pair, (tuple, list)) or len(pair) != len(BRANCHES):
                raise PredictionError(
                    "a pair for the calibration of int8 is (clinical, dermoscopy), None where missing"
                )
            images = dict(zip(BRANCHES, pair, strict=True))
            if all(images[name] is None for name in self._preprocess):
                raise PredictionError("a pair for the calibration of int8 has no image that the network reads")
            rows.append(
                {n: None if images[n] is None else prepared(images[n]) for n, prepared in self._preprocess.items()}
            )
        return stack(rows, self._preprocess)


def _quantised(graph: bytes, reader: _Reader, folder: Path) -> bytes:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, folded, result = (folder / f"{name}.onnx" for name in ("fp32", "folded", "int8"))
    source.write_bytes(graph)
    # normalisation goes into the convolutions before it
    quant_pre_process(source, folded, skip_symbolic_shape=True)
    model = onnx.load(folded)
    nodes = _to_quantise(model)
    if not nodes:
        raise ConfigError("int8 is for networks of convolutions, and this one has too few")
    reader.inputs = tuple(entry.name for entry in model.graph.input)
    quantize_static(
        folded,
        result,
        reader,
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        nodes_to_quantize=nodes,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.Percentile,
        # the second keeps memory constant: activations of one batch at a time
        extra_options={"CalibPercentile": _PERCENTILE, "CalibStridedMinMax": 1},
    )
    return result.read_bytes()


def _to_quantise(model: Any) -> list[str]:
    """Names of the convolutions with weights, less the first of each branch."""
    weights = {tensor.name for tensor in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in weights]
    names: list[str] = []
    for _, group in itertools.groupby(sorted(convolutions, key=_branch), _branch):  # stable: in the graph's order
        of_branch = [node.name for node in group]
        names += of_branch[max(1, round(_FLOAT_SHARE * len(of_branch))) :]
    return names


def _branch(node: Any) -> str:
    """ "clinical", "dermoscopy", or "" for what belongs to no backbone."""
    return next((name for name in BRANCHES if node.input[1].startswith(f"branches.{name}.")), "")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from the user what the quantiser prints and logs, through the root logger, on its own progress."""
    root, handler = logging.getLogger(), logging.NullHandler()
    level = root.level
    root.addHandler(handler)  # else the first message would set up logging for the whole program
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
