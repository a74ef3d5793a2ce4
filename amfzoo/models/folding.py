"""Batch normalisation of a finished network put into the convolutions before it, which then answer the same in one pass over memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode

from .config import BRANCHES
from .network import PairNetwork


def fold_norms(network: PairNetwork) -> int:
    """Fold each batch normalisation that only follows a convolution into it, in place.

    The network answers as before, up to rounding, but can no longer be trained. Which norms follow which convolution
    is seen in one pass, so that any timm backbone will do; norms of other inputs stay (in ResNet v2, those that
    follow a sum).

    Args:
        network: in evaluation mode, on any device and in any precision.

    Returns:
        How many were folded.
    """
    seen = _Uses()
    where = next(network.parameters())
    blank = {name: where.new_zeros(1, 3, *preprocess.size) for name, preprocess in network.preprocess.items()}
    with torch.no_grad(), seen:
        network(*map(blank.get, BRANCHES))
    convolutions = {id(module.weight): module for module in network.modules() if isinstance(module, nn.Conv2d)}
    norms = {id(module.running_mean): name for name, module in network.named_modules() if _foldable(module)}
    pairs = [(convolutions.get(weight), norms.get(mean)) for weight, mean in seen.pairs()]
    found = [(convolution, name) for convolution, name in pairs if convolution is not None and name is not None]
    for convolution, name in found:
        _fold(network, convolution, name)
    return len(found)


def folding_pays(device: torch.device) -> bool:
    """On CUDA it does not: a convolution adds its bias in another pass over memory (bf16, channels last, `amf_base` on an
    H200: .96 of the speed)."""
    return device.type == "cpu"


def _foldable(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.running_mean is not None and not module.training


def _fold(network: nn.Module, convolution: nn.Conv2d, name: str) -> None:
    norm = network.get_submodule(name)
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    weight, bias = convolution.weight, convolution.bias
    folded = fuse_conv_bn_weights(
        *map(_exact, (weight, bias, norm.running_mean, norm.running_var)),
        norm.eps,
        *map(_exact, (norm.weight, norm.bias)),
    )
    convolution.weight, convolution.bias = (nn.Parameter(t.to(weight), requires_grad=False) for t in folded)
    # timm's norms have their dropout and activation within
    rest = [part for part in (getattr(norm, "drop", None), getattr(norm, "act", None)) if part is not None]
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, nn.Sequential(*rest))


def _exact(values: Tensor | None) -> Tensor | None:
    """In double precision, on the CPU: not every device has it."""
    return None if values is None else values.detach().cpu().double()


class _Uses(TorchFunctionMode):
    """Watches what the outputs of convolutions are used for."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, tuple[Tensor, int]] = {}  # output -> itself, so that it lives on, and the weight it is of
        self._used: dict[int, list[int]] = {}  # output -> statistics of the norms that read it, 0 for other readers
        self._calls: dict[int, int] = {}  # weight or statistics -> how often they are used

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)  # what this calls in turn is not seen
        if func is torch.nn.functional.batch_norm:
            mean = id(kwargs.get("running_mean", args[1] if len(args) > 1 else None))
            self._read((kwargs.get("input", args[0] if args else None),), mean)
            self._calls[mean] = self._calls.get(mean, 0) + 1
        elif isinstance(result, Tensor) or (isinstance(result, (list, tuple)) and any(map(torch.is_tensor, result))):
            # and not a look at a shape
            self._read((*args, *kwargs.values()), 0)
        if func is torch.conv2d:
            weight = id(kwargs.get("weight", args[1] if len(args) > 1 else None))
            self._calls[weight] = self._calls.get(weight, 0) + 1
            self._made[id(result)] = (result, weight)
        return result

    def _read(self, values: Any, reader: int) -> None:
        for value in values:
            if isinstance(value, (list, tuple)):
                self._read(value, reader)
            elif id(value) in self._made:
                self._used.setdefault(id(value), []).append(reader)

    def pairs(self) -> list[tuple[int, int]]:
        """(id of a convolution's weight, id of a norm's running mean), where each is used once, the one by the other."""
        found = []
        for output, (_, weight) in self._made.items():
            readers = self._used.get(output, [])
            if len(readers) == 1 and readers[0] and self._calls[weight] == self._calls[readers[0]] == 1:
                found.append((weight, readers[0]))
        return found
