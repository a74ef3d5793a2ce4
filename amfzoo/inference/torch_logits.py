"""A torch network applied to a batch of arrays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from ..device import check_numbers
from ..errors import ConfigError
from .batch import BRANCHES, Batch, Logits, Started
from .tf32 import exact_convolutions
from .transfer import downloaded, uploaded

Forward = Callable[..., Mapping[str, Tensor]]  # clinical, dermoscopy, present -> {task: (B, classes)}


def torch_logits(model: torch.nn.Module, batch: Batch) -> Logits:
    """Logits of a network in evaluation mode, on the device and in the precision of its parameters."""
    return start_logits(model, batch).logits()


@torch.inference_mode()
def start_logits(
    model: torch.nn.Module,
    batch: Batch,
    memory_format: torch.memory_format = torch.contiguous_format,
    forward: Forward | None = None,
    *,
    tf32: bool = False,
) -> Started:
    """As `torch_logits`, but on CUDA it returns as soon as all is queued.

    Args:
        memory_format: of the images.
        forward: what is called in the network's place, with its parameters.
        tf32: leave it to torch whether convolutions on CUDA are rounded, see `exact_convolutions`.

    Raises:
        ConfigError: a backbone does not take images of this size.
    """
    check_numbers(model)
    parameter = next(model.parameters())
    *images, present = uploaded(batch, parameter.device)
    images = [
        None if pixels is None else pixels.to(dtype=parameter.dtype, memory_format=memory_format) for pixels in images
    ]
    exactly = exact_convolutions() if parameter.is_cuda and not tf32 else nullcontext()
    with evaluation_mode(model), exactly:
        try:
            logits = (model if forward is None else forward)(*images, present)
        except (AssertionError, RuntimeError) as error:  # of timm's Transformers, most of which take one size only
            if isinstance(error, RuntimeError) and "The size of tensor" not in str(error):
                raise
            sizes = " and ".join(f"{image.shape[2]} x {image.shape[3]}" for image in images if image is not None)
            raise ConfigError(
                f"the network does not take images of {sizes} pixels{f' ({error})' if str(error) else ''}; "
                f"{size_advice(model, images)}"
            ) from error
    return downloaded({task: values.float() for task, values in logits.items()}, parameter.device)


def size_advice(model: torch.nn.Module, images: Sequence[Tensor | None]) -> str:
    """How to build the network instead, with the sizes that its backbones were built for where they state them; as lists, which
    the command line takes as well."""
    branches = getattr(model, "branches", {})
    given = {
        branch: tuple(image.shape[2:])
        for branch, image in zip(BRANCHES, images)
        if image is not None and branch in branches
    }
    for branch, found in given.items():
        size = getattr(branches[branch], "native_size", None)
        if size and size != found:
            return (
                f'build it with {branch}_preprocess={{"size": {list(size)}}}, or with a backbone for this size: '
                f'{branch}_args={{"img_size": {list(found)}}}'
            )
    for branch, found in given.items():
        size = getattr(branches[branch], "usual_size", None)
        if size and size != found:
            return f'build it with {branch}_preprocess={{"size": {list(size)}}}'
    return (
        'build it for another size, e.g. dermoscopy_preprocess={"size": [224, 224]}, or its backbone for this one, e.g. '
        'dermoscopy_args={"img_size": 192}'
    )


def without_autocast(model: torch.nn.Module) -> torch.autocast:
    """What the caller runs within does not change the precision of `model`."""
    return torch.autocast(next(model.parameters()).device.type, enabled=False)


def may_leave_thread(model: torch.nn.Module) -> bool:
    """Whether several threads may compute a network at a time as the caller's would: on a CPU, and not within autocast, with
    hooks, compiled (its number of threads is in it), or in training mode, in which somebody else may need it meanwhile."""
    if next(model.parameters()).device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return not any(
        module.training
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._compiled_call_impl is not None
        or hasattr(module, "_orig_mod")
        for module in model.modules()
    )


@dataclass
class _Use:
    """Threads that have a network in evaluation mode, and its modules that were in training mode before."""

    training: list[torch.nn.Module]
    threads: int = 0


_in_use: WeakKeyDictionary[torch.nn.Module, _Use] = WeakKeyDictionary()
_changing = threading.Lock()


@contextmanager
def evaluation_mode(model: torch.nn.Module) -> Iterator[None]:
    """`model.eval()`, with every module's own mode put back afterwards: by the last of the threads that are in it."""
    with _changing:
        use = _in_use.get(model)
        if use is None:
            use = _in_use[model] = _Use([module for module in model.modules() if module.training])
            model.eval()
        use.threads += 1
    try:
        yield
    finally:
        with _changing:
            use.threads -= 1
            if not use.threads:
                del _in_use[model]
                for module in use.training:
                    module.training = True
