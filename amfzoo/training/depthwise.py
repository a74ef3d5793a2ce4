"""Strided depthwise convolutions in single precision while a CPU trains in bf16.

oneDNN has no fast kernel for their bf16 gradient: even on a CPU with bf16 instructions it takes several times as long as
the one in single precision, a third of a step of `amf_small`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class StridedDepthwiseInSingle(TorchFunctionMode):
    """Within it, `conv2d` of CPU tensors with groups and a stride computes in float32 and gives what autocast would.

    The gradient follows the forward pass, so backward need not run within it; with gradient checkpointing, which computes
    convolutions anew there, outside of it, it must not be used: the types would differ.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is not torch.conv2d or not torch.is_autocast_enabled("cpu") or not _is_slow(*args, **kwargs):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            args = tuple(value.float() if isinstance(value, Tensor) else value for value in args)
            kwargs = {name: value.float() if isinstance(value, Tensor) else value for name, value in kwargs.items()}
            return func(*args, **kwargs).to(torch.get_autocast_dtype("cpu"))


def _is_slow(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> bool:  # fmt: skip
    """The arguments are conv2d's own."""
    strides = (stride,) if isinstance(stride, int) else tuple(stride)
    return input.device.type == "cpu" and groups > 1 and weight.shape[1] == 1 and max(strides) > 1
