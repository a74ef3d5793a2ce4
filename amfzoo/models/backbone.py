"""A timm backbone that gives feature maps at chosen strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.models.efficientnet import EfficientNet
from torch import Tensor, nn

from ..errors import ConfigError


class Backbone(nn.Module):
    """Any timm network with spatial features, as maps at `strides`, always NCHW.

    The deepest map is the network's final feature map (with its last norm or
    1x1 convolution, which carry ImageNet values); the others are the outputs of
    the deepest stage at that stride. Layers behind the deepest map, classifier
    included, are removed.

    Args:
        name: timm model name, without tag.
        strides: wanted strides, ascending, e.g. ``(16, 32)``.
        args: further keywords of timm's factory, e.g. ``{"bn_eps": 1e-3}``.

    Raises:
        ConfigError: unknown name or keyword, or no features at a stride.
    """

    def __init__(self, name: str, strides: Sequence[int] = (16, 32), args: dict[str, Any] | None = None) -> None:
        super().__init__()
        body = _build(name, args or {})
        info = body.feature_info
        reductions = [int(stage["reduction"]) for stage in info]
        missing = [stride for stride in strides if stride not in reductions]
        if missing:
            raise ConfigError(f"backbone {name!r} has no features at stride {missing}; it has {sorted(set(reductions))}")
        if list(strides) != sorted(set(strides)):
            raise ConfigError(f"strides must ascend without repeats, got {tuple(strides)}")
        # the deepest stage at each stride
        indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in strides]
        whole = indices[-1] == len(reductions) - 1
        # timm counts the last 1x1 convolution of an EfficientNet (MobileNetV2 too) as head,
        # but forward_features ends with it: keep it, it holds ImageNet values
        body.prune_intermediate_layers(indices, prune_head=not (whole and isinstance(body, EfficientNet)))
        self.body = body
        self.strides = tuple(strides)
        self.channels = tuple(int(info[i]["num_chs"]) for i in indices[:-1]) + (
            int(body.num_features) if whole else int(info[indices[-1]]["num_chs"]),
        )
        # a whole network ends in its own final map; a cut one in the last intermediate
        self._indices = indices[:-1] if whole else indices
        self._whole = whole
        self._nhwc = getattr(body, "output_fmt", "NCHW") == "NHWC"

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> one (B, C, H / stride, W / stride) map per stride."""
        if not self._indices:
            return [self._nchw(self.body.forward_features(image))]
        final, maps = self.body.forward_intermediates(image, indices=self._indices, output_fmt="NCHW")
        return [*maps, self._nchw(final)] if self._whole else maps

    def _nchw(self, feature_map: Tensor) -> Tensor:
        return feature_map.permute(0, 3, 1, 2) if self._nhwc else feature_map

    def set_grad_checkpointing(self, on: bool = True) -> None:
        self.body.set_grad_checkpointing(on)


def _build(name: str, args: dict[str, Any]) -> nn.Module:
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0]}*")[:5]
        raise ConfigError(f"timm has no backbone {name!r}" + (f"; near names: {', '.join(near)}" if near else ""))
    # JSON has lists where some timm constructors expect tuples
    args = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    try:
        body = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **args)
    except TypeError as error:
        raise ConfigError(f"backbone {name!r} does not take {args}: {error}") from error
    needed = ("forward_intermediates", "prune_intermediate_layers", "feature_info")
    if not all(hasattr(body, attribute) for attribute in needed):
        raise ConfigError(f"backbone {name!r} gives no intermediate feature maps in this version of timm")
    return body


def load_backbone_weights(backbone: Backbone, state: dict[str, Tensor]) -> None:
    """Load weights of the bare timm network; keys of removed layers are left out, all else is strict.

    Args:
        state: state dict of ``timm.create_model(name, num_classes=0)``.

    Raises:
        ConfigError: a layer of the backbone has no value, or one of another shape.
    """
    own = backbone.body.state_dict()
    missing = sorted(key for key in own if key not in state)
    wrong = sorted(key for key in own if key in state and own[key].shape != state[key].shape)
    if missing or wrong:
        raise ConfigError(
            f"backbone weights do not fit: {len(missing)} keys missing {missing[:3]}, {len(wrong)} of another shape {wrong[:3]}"
        )
    with torch.no_grad():
        backbone.body.load_state_dict({key: state[key].to(own[key].dtype) for key in own})
