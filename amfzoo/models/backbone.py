"""A timm backbone that gives feature maps at chosen strides."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from ..hub_variables import check_variables

check_variables()  # timm imports the client

import timm
import torch
from timm.models.efficientnet import EfficientNet
from timm.models.efficientvim import EfficientViM
from timm.models.fastvit import FastVit
from timm.models.ghostnet import GhostNet
from timm.models.hrnet import HighResolutionNet
from timm.models.pit import PoolingVisionTransformer
from timm.models.regnet import RegNet
from timm.models.repghost import RepGhostNet
from timm.models.rexnet import RexNet
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import ConfigError

# Keywords of timm.create_model that are not about the architecture: a config.json
# must not be able to name a file, fetch weights, or change what comes out.
_NOT_ARCHITECTURE = frozenset(
    (
        "model_name",
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "checkpoint_path",
        "cache_dir",
        "features_only",
        "num_classes",
        "global_pool",
        "in_chans",
    )
)
# timm counts what these do behind their last stage (the 1x1 convolution of an EfficientNet, MobileNetV2 too; of a GhostNet
# blocks with a third of its weights) as head, but forward_features ends with it, and it holds ImageNet values
_END_COUNTED_AS_HEAD = (EfficientNet, FastVit, GhostNet, RegNet, RepGhostNet, RexNet)
_ENDS_IN_SEVERAL_MAPS = (EfficientViM, HighResolutionNet)


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
        ConfigError: unknown name or keyword, no features at a stride, or a network
            whose final feature map timm cannot give.
    """

    def __init__(self, name: str, strides: Sequence[int] = (16, 32), args: dict[str, Any] | None = None) -> None:
        super().__init__()
        if not strides or list(strides) != sorted(set(strides)):
            raise ConfigError(f"strides must ascend without repeats, at least one, got {tuple(strides)}")
        body = _build(name, args or {})
        info = body.feature_info
        reductions = [int(stage["reduction"]) for stage in info]
        missing = [stride for stride in strides if stride not in reductions]
        if missing:
            raise ConfigError(
                f"backbone {name!r} has no features at stride {', '.join(map(str, missing))}; it has "
                f"{', '.join(map(str, sorted(set(reductions))))}. Say which are to be fused, as many of both branches, with "
                "clinical_strides=(...) and dermoscopy_strides=(...)"
            )
        # the deepest stage at each stride
        indices = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in strides]
        whole = indices[-1] == len(reductions) - 1
        keep_end = whole and isinstance(body, _END_COUNTED_AS_HEAD)
        if whole and isinstance(body, _ENDS_IN_SEVERAL_MAPS):
            raise ConfigError(_several_maps(name))
        width = body.num_features
        body.prune_intermediate_layers(indices, prune_head=not keep_end)
        if keep_end and isinstance(body, (GhostNet, RepGhostNet)):
            body.conv_head = nn.Identity()  # behind the pooling: the classifier's alone
        if whole and body.num_features != width:  # that of what is left
            raise ConfigError(
                f"backbone {name!r}: timm does not describe its last layers as features, and would cut them off; take "
                "another backbone, or strides that leave its deepest features out"
            )
        self.name = name
        self.body = body
        self.strides = tuple(strides)
        self.channels = tuple(int(info[i]["num_chs"]) for i in indices[:-1]) + (
            int(body.num_features) if whole else int(info[indices[-1]]["num_chs"]),
        )
        self._indices = indices
        self._whole = whole  # then it ends in its own final map; a cut one in the last intermediate
        self._nhwc = getattr(body, "output_fmt", "NCHW") == "NHWC"
        self._momenta: dict[str, float | None] = {}  # of each batch normalisation, with gradient checkpointing

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> one (B, C, H / stride, W / stride) map per stride."""
        self._set_momenta(self._momenta)
        final, maps = self.body.forward_intermediates(image, indices=self._indices, output_fmt="NCHW")
        # the backward pass computes these layers anew, and would count the batch in their statistics a second time
        self._set_momenta(dict.fromkeys(self._momenta, 0.0))
        if self._whole:
            maps[-1] = self._as_map(final, *maps[-1].shape[2:])
        return maps

    def _as_map(self, final: Tensor, height: int, width: int) -> Tensor:
        if not isinstance(final, Tensor):
            raise ConfigError(_several_maps(self.name))
        if final.ndim == 3:  # a Transformer's tokens (B, prefix + HW, C): class tokens and the like come first
            return final[:, -height * width :].transpose(1, 2).unflatten(2, (height, width))
        return final.permute(0, 3, 1, 2) if self._nhwc else final

    def set_grad_checkpointing(self, on: bool = True) -> None:
        """Recompute activations in the backward pass, or not.

        Raises:
            ConfigError: the network cannot.
        """
        try:
            self.body.set_grad_checkpointing(on)
        except (AssertionError, AttributeError, NotImplementedError) as error:  # which of them is up to timm
            if on:
                raise ConfigError(
                    f"backbone {self.name!r} has no gradient checkpointing in timm: set grad_checkpointing to false"
                ) from error
        self._set_momenta(self._momenta)
        norms = {name: one for name, one in self.named_modules() if isinstance(one, _BatchNorm)} if on else {}
        self._momenta = {name: norm.momentum for name, norm in norms.items()}

    def _set_momenta(self, momenta: Mapping[str, float | None]) -> None:
        for name, value in momenta.items():
            self.get_submodule(name).momentum = value

    @property
    def native_size(self) -> tuple[int, int] | None:
        """(height, width) of the images that it was built for; None where it does not say, as most that take any."""
        size = getattr(getattr(self.body, "patch_embed", None), "img_size", None)
        return (int(size[0]), int(size[1])) if isinstance(size, (tuple, list)) else None

    @property
    def usual_size(self) -> tuple[int, int] | None:
        """(height, width) of the images that timm's weights of it are for, where timm knows that it does not take all others."""
        about = getattr(self.body, "pretrained_cfg", None) or {}
        size = about.get("input_size") if about.get("fixed_input_size") or about.get("min_input_size") else None
        return (int(size[1]), int(size[2])) if size else None


def _several_maps(name: str) -> str:
    return (
        f"backbone {name!r} ends in several maps at once, which cannot be fused; take another, or strides that leave its deepest "
        "features out, with clinical_strides=(...) and dermoscopy_strides=(...)"
    )


def _build(name: str, args: dict[str, Any]) -> nn.Module:
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        raise ConfigError(f"timm has no backbone {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
    refused = sorted(_NOT_ARCHITECTURE & set(args))
    if refused:
        raise ConfigError(f"backbone {name!r}: {', '.join(refused)} cannot be set here; only the architecture can")
    # JSON has lists where some timm constructors expect tuples
    args = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    try:
        body = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **args)
    except Exception as error:  # constructors raise nearly anything
        raise ConfigError(f"timm cannot build the backbone {name!r} with {args}: {error}") from error
    needed = ("forward_intermediates", "prune_intermediate_layers", "feature_info")
    if not all(hasattr(body, attribute) for attribute in needed):
        raise ConfigError(f"backbone {name!r} gives no intermediate feature maps in this version of timm")
    if isinstance(body, PoolingVisionTransformer):
        raise ConfigError(
            f"backbone {name!r} ends in class tokens alone, without a map that could be fused; take another"
        )
    return body


def load_backbone_weights(backbone: Backbone, state: dict[str, Tensor]) -> None:
    """Load weights of the bare timm network; keys of removed layers are left out, all else is strict.

    Args:
        state: state dict of ``timm.create_model(name, pretrained=True, num_classes=0)``.

    Raises:
        ConfigError: a layer of the backbone has no value, or one of another shape.
    """
    own = backbone.body.state_dict()
    missing = sorted(key for key in own if key not in state)
    wrong = sorted(key for key in own if key in state and own[key].shape != state[key].shape)
    if missing or wrong:
        raise ConfigError(
            f"backbone weights do not fit: {len(missing)} keys missing {missing[:3]}, "
            f"{len(wrong)} of another shape {wrong[:3]}"
        )
    with torch.no_grad():
        backbone.body.load_state_dict({key: state[key].to(own[key].dtype) for key in own})
