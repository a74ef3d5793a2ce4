"""Optimiser groups of a `PairNetwork`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from .network import PairNetwork


def parameter_groups(
    network: PairNetwork, lr: float, weight_decay: float, layer_decay: float, fusion_lr: float = 1.0
) -> list[dict[str, Any]]:
    """See `PairNetwork.param_groups`; layer-wise decay of the backbones is timm's."""
    from timm.optim import param_groups_layer_decay

    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    in_backbone: set[int] = set()
    for branch in network.branches.values():
        skip = getattr(branch.body, "no_weight_decay", set)()
        decayed = param_groups_layer_decay(
            branch.body, weight_decay, no_weight_decay_list=skip, layer_decay=layer_decay
        )
        for group in decayed:
            in_backbone.update(map(id, group["params"]))
            groups.setdefault((lr * group["lr_scale"], group["weight_decay"]), []).extend(group["params"])
    in_fusion = set(map(id, network.fusion.parameters()))
    for parameter in network.parameters():
        if parameter.requires_grad and id(parameter) not in in_backbone:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            rate = lr * fusion_lr if id(parameter) in in_fusion else lr
            groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items() if params]
