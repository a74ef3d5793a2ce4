"""One pass of a network that leaves its feature maps behind, to differentiate by, and its attention."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..device import check_numbers
from ..inference.batch import Batch
from ..inference.torch_logits import evaluation_mode
from ..models.fusion import AsymmetricFusion, CrossAttention, MutualFusion
from .attention import attention_weights

if TYPE_CHECKING:
    from ..models.network import PairNetwork


@dataclass
class Attended:
    """What one attention block did: weights (heads, h, w, k, l), numpy; the branches it reads for and from."""

    reader: str
    source: str
    stride: int
    weights: np.ndarray


@dataclass
class Record:
    """Of a batch of one pair.

    Attributes:
        logits: task -> (1, classes), differentiable by the maps.
        maps: branch -> one (1, C, h, w) leaf per stride, as the branch gave it, always NCHW.
        attended: one entry per attention block that had both images.
    """

    logits: dict[str, Tensor] = field(default_factory=dict)
    maps: dict[str, list[Tensor]] = field(default_factory=dict)
    attended: list[Attended] = field(default_factory=list)


def record(model: PairNetwork, batch: Batch) -> Record:
    """Run one pair through the network in evaluation mode.

    The maps are cut off from what made them, so that their gradients are of the network
    behind them alone and cost no pass through the backbones. Hooks and modes are as before
    at the end, also after an error; no parameter's gradient is touched. What other threads ask of the network meanwhile is
    neither recorded nor cut off.
    """
    check_numbers(model)
    found = Record()
    parameter = next(model.parameters())

    def image(pixels: np.ndarray | None) -> Tensor | None:
        return None if pixels is None else torch.from_numpy(pixels).to(parameter.device, parameter.dtype)

    with torch.inference_mode(False), torch.enable_grad(), evaluation_mode(model), _hooks(model, batch, found):
        present = torch.from_numpy(batch.present).to(parameter.device)
        found.logits = model(image(batch.clinical), image(batch.dermoscopy), present)
    return found


@contextmanager
def _hooks(model: PairNetwork, batch: Batch, found: Record) -> Iterator[None]:
    handles = [branch.register_forward_hook(_here(_keep_maps(found, name))) for name, branch in model.branches.items()]
    if batch.present.all():
        handles += [
            block.register_forward_hook(_here(_keep_attention(found, *place)))
            for block, *place in _attention_blocks(model)
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _here(hook: Callable[..., Any]) -> Callable[..., Any]:
    """A hook that only acts in this thread: hooks hang on the network, which other threads may be using."""
    owner = threading.get_ident()

    def only_here(*arguments: Any) -> Any:
        return hook(*arguments) if threading.get_ident() == owner else None

    return only_here


def _keep_maps(found: Record, name: str) -> Any:
    def hook(module: nn.Module, args: tuple, output: list[Tensor]) -> list[Tensor]:
        found.maps[name] = [feature_map.detach().requires_grad_() for feature_map in output]
        return list(found.maps[name])

    return hook


def _keep_attention(found: Record, reader: str, source: str, stride: int) -> Any:
    def hook(block: CrossAttention, args: tuple, output: Tensor) -> None:
        found.attended.append(Attended(reader, source, stride, attention_weights(block, args[0], args[1])))

    return hook


def _attention_blocks(model: PairNetwork) -> Iterator[tuple[CrossAttention, str, str, int]]:
    """Every block, the branches it reads for and from, and the stride of the reader's map."""
    fusions: list[tuple[nn.Module, str, str]] = [(model.fusion, "dermoscopy", "clinical")]
    if isinstance(model.fusion, MutualFusion):
        fusions = [
            (model.fusion.to_dermoscopy, "dermoscopy", "clinical"),
            (model.fusion.to_clinical, "clinical", "dermoscopy"),
        ]
    for fusion, reader, source in fusions:
        if isinstance(fusion, AsymmetricFusion):
            for block, stride in zip(fusion.enhance, model.branches[reader].strides):
                yield block, reader, source, stride
