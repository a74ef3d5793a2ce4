"""`export_model`: a network as a folder for programs that do without this package.

    model.onnx | model.xml, model.bin | model.pt2     the graph, model.onnx also in int8
    model.json                                        all else that an answer needs

The graph takes preprocessed images and gives logits, see `graph.exported_program`;
`description.describe` says what model.json holds, and ``examples/onnx_without_amfzoo.py`` how
to use the two.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import ConfigError, WeightsError
from ..factory import copied_or_created
from ..folder import flush, move_into, must_stay, work_folder
from ..inference.batch import Batch, Logits
from ..inference.golden import TOLERANCE
from ..inference.predictor import Pair
from ..models.network import PairNetwork
from .base import Runtime, require
from .cache import cached_onnx_graph, forget
from .description import DESCRIPTION_FILE, describe
from .graph import exported_program
from .int8 import GRAPH_FILE, batches_of, int8_graph
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime, core
from .parity import BATCHES, Agreement, agreement, check


@dataclass(frozen=True)
class Exported:
    """What `export_model` wrote.

    Attributes:
        folder: where it is.
        files: {name: bytes}.
        parity: {batch size: largest difference of a probability from fp32 torch}, on
            random pictures.
        agreement: with fp32 torch on the images that int8 was calibrated on.
    """

    folder: Path
    files: dict[str, int]
    parity: dict[int, float]
    agreement: Agreement | None = None


def export_model(
    model: str | os.PathLike[str] | PairNetwork,
    format: str,
    folder: str | os.PathLike[str],
    *,
    calibration: Iterable[Pair] | None = None,
) -> Exported:
    """Write a network as a graph with a description, whole or not at all.

    The written graph is read back and compared with torch, on batches of 1, 2, 5 and 16
    pairs and with missing images, before the folder gets its name. In int8, which is no
    equal of fp32, the difference is not limited; what it is on real images is in `Exported.agreement`.

    Args:
        model: what `create_model` takes, with weights; or a network, which is copied. Exported in fp32, from the CPU.
        format: "onnx", "openvino", "torch-export" or "int8", an ONNX graph (see `FORMATS`).
        folder: must not exist, or be empty.
        calibration: of "int8": pairs of real images, see `int8_graph`.

    Returns:
        The folder, its files with their sizes, and how far the graph's answers are from those of torch.

    Raises:
        ConfigError: unknown format, packages that are not installed, a network that the
            format has no means for, int8 without images or images without int8.
        ImageError, PredictionError: an image for the calibration cannot be read.
        WeightsError: the graph does not answer as the network, or the folder is in the
            way or cannot be written; or as for `create_model`.
        UnknownModelError: as for `create_model`.
    """
    if format not in FORMATS:
        raise ConfigError(f"unknown format {format!r}; known: {', '.join(FORMATS)}")
    pairs = None if calibration is None else list(calibration)
    if format == "int8" and not pairs:
        raise ConfigError("int8 is calibrated on real images: give pairs of them (calibration=)")
    if format != "int8" and pairs is not None:
        raise ConfigError(f"a calibration belongs to the format 'int8', not to {format!r}")
    network = copied_or_created(model)
    network = network.cpu().float().eval()
    network.remove_auxiliary_heads()
    with _new_folder(Path(folder)) as work:
        try:
            runtime = FORMATS[format](network, work, pairs)
            parity = check(network, runtime, BATCHES, None if pairs else TOLERANCE)
            agreed = agreement(network, runtime, batches_of(pairs, network.preprocess)) if pairs else None
        except WeightsError:
            forget(network)  # should the cached graph be damaged, the next attempt makes it anew
            raise
        description = describe(network, format, sorted(work.iterdir()), parity, agreed)
        text = json.dumps(description, indent=2, ensure_ascii=False, allow_nan=False)
        (work / DESCRIPTION_FILE).write_text(text + "\n", encoding="utf-8")
        files = {file.name: file.stat().st_size for file in sorted(work.iterdir())}
    return Exported(Path(folder).expanduser(), files, parity, agreed)


def _onnx(network: PairNetwork, folder: Path, pairs: None) -> Runtime:
    require(OnnxRuntime.requires, "onnx", "the export to ONNX, which is checked,")
    file = folder / GRAPH_FILE
    file.write_bytes(cached_onnx_graph(network))
    return OnnxRuntime(file, network.tasks)


def _openvino(network: PairNetwork, folder: Path, pairs: None) -> Runtime:
    require(OpenVinoRuntime.requires, "openvino", "the export to OpenVINO")
    import openvino

    file = folder / "model.xml"
    model = core().read_model(cached_onnx_graph(network))
    openvino.save_model(model, file, compress_to_fp16=False)  # which would be its default
    return OpenVinoRuntime(file, network.tasks)


def _torch_export(network: PairNetwork, folder: Path, pairs: None) -> Runtime:
    file = folder / "model.pt2"
    torch.export.save(exported_program(network), file)
    return ExportedProgram(file)


def _int8(network: PairNetwork, folder: Path, pairs: list[Pair]) -> Runtime:
    file = folder / GRAPH_FILE
    file.write_bytes(int8_graph(network, pairs))
    return OnnxRuntime(file, network.tasks)


class ExportedProgram(Runtime):
    """A program that `torch.export.save` wrote; here to check it, since `create_predictor` has better ones."""

    name = "torch-export"
    precisions = ("fp32",)

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._module = torch.export.load(file).module()

    def logits(self, batch: Batch) -> Logits:
        tensors = (None if array is None else torch.from_numpy(array) for array in batch)
        with torch.no_grad():
            return {task: values.numpy() for task, values in self._module(**dict(zip(batch._fields, tensors))).items()}


# format -> writes the graph's files into a folder and reads them back; the pairs are for int8
FORMATS: dict[str, Callable[[PairNetwork, Path, Any], Runtime]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "torch-export": _torch_export,
    "int8": _int8,
}


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its name at the end, or vanishes after an error."""
    target = folder.expanduser().resolve()
    stays = target.is_dir() and must_stay(target)
    work = work_folder(target, stays)  # which a killed export may have kept from being empty
    _refuse_taken(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work.mkdir()
        yield work
        for file in work.iterdir():
            flush(file)
        if stays:
            move_into(work, target, last=DESCRIPTION_FILE)
        else:
            _refuse_taken(target)  # by another process meanwhile
            if target.is_dir():
                target.rmdir()  # empty
            work.rename(target)
    except OSError as error:
        raise WeightsError(f"cannot write the folder {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _refuse_taken(target: Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise WeightsError(f"{target} exists already: name another folder, or remove it first")
