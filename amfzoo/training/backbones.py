"""What a branch starts from: timm's weights, a branch of a pair network, or a file."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import ConfigError, WeightsError
from ..factory import create_model
from ..hub import HUB_PREFIX, LOCAL_PREFIX, name_without_place
from ..manifest import load_manifest
from ..models.backbone import load_backbone_weights
from ..models.config import licence_of
from ..models.network import PairNetwork

logger = logging.getLogger("amfzoo")
FROM_TIMM = "timm"
BRANCH_MARK = "#"  # NAME#BRANCH: another branch of a pair network than the one that is to start


@dataclass(frozen=True)
class BranchStart:
    """Weights of a bare backbone and what is known of them: their name, without the user's folders; their licence; mean and std
    of the images they were made for."""

    state: Mapping[str, Tensor] = field(repr=False)
    name: str
    licence: dict[str, Any] = field(default_factory=dict)
    scale: dict[str, Any] = field(default_factory=dict)


def per_branch(weights: Mapping[str, Any] | str | None, network: PairNetwork) -> dict[str, Any]:
    """What each branch that is named is to start from.

    Raises:
        ConfigError: no such branch, or neither "timm" nor a mapping.
    """
    if weights is None:
        return {}
    chosen = (
        dict.fromkeys(network.branches, weights)
        if isinstance(weights, str)
        else {k: v for k, v in weights.items() if v is not None}
    )
    if isinstance(weights, str) and weights != FROM_TIMM:
        raise ConfigError(f"backbone_weights: {weights!r} is neither {FROM_TIMM!r} nor a mapping of branch to file")
    for branch in chosen:
        if branch not in network.branches:
            raise ConfigError(
                f"backbone_weights: this network has no {branch!r} branch; it has {', '.join(network.branches)}"
            )
    return chosen


def load_backbone(network: PairNetwork, branch: str, weights: str | os.PathLike[str]) -> BranchStart:
    """Load it, and let the branch's images have the mean and std that the weights know.

    Raises:
        ConfigError: they are of another backbone.
        WeightsError: they cannot be had or read.
    """
    try:
        start = _start_of(network, branch, weights)
        load_backbone_weights(network.branches[branch], dict(start.state))
    except ConfigError as error:
        raise ConfigError(f"{branch} backbone {getattr(network.config, branch)}: {error}") from error
    before = network.preprocess[branch]
    after = replace(before, **start.scale)
    if after != before:
        logger.warning(
            "%s backbone from %s: images are normalised with mean %s and std %s, as its weights need, and no longer with %s and %s",
            branch, weights, after.mean, after.std, before.mean, before.std,
        )  # fmt: skip
        network.config = network.config.replace(**{f"{branch}_preprocess": after})
    return start


def _start_of(network: PairNetwork, branch: str, weights: str | os.PathLike[str]) -> BranchStart:
    if weights == FROM_TIMM:
        import timm

        name = getattr(network.config, branch)
        try:
            body = timm.create_model(name, pretrained=True, num_classes=0, **getattr(network.config, f"{branch}_args"))
        except Exception as error:  # no such weights, no network, no disk: timm and the Hub raise nearly anything
            raise WeightsError(
                f"timm's weights of {name!r} cannot be had: {error}. Give a safetensors file instead"
            ) from error
        known = body.pretrained_cfg  # of the weights that timm chose for the name
        return BranchStart(
            body.state_dict(), FROM_TIMM, scale={key: tuple(known[key]) for key in ("mean", "std") if known.get(key)}
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model, taken = _branch_of_model(weights, branch)
    if model:
        donor = create_model(model)
        if taken not in donor.branches:
            raise ConfigError(f"{model} has no {taken} branch to start from; it has {', '.join(donor.branches)}")
        seen = donor.preprocess[taken]
        own = model.startswith(LOCAL_PREFIX)
        return BranchStart(
            donor.branches[taken].body.state_dict(),
            (name_of_folder(donor, model) if own else model) + (f"{BRANCH_MARK}{taken}" if taken != branch else ""),
            licence_of(donor.config.info),
            {"mean": seen.mean, "std": seen.std},
        )
    try:
        # a file does not say what images its weights were made for
        return BranchStart(load_file(weights), Path(weights).name)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"the backbone weights {weights} are not a readable safetensors file: {error}") from error


def source_of(weights: Any) -> Any:
    """What `backbone_weights` names for a branch: a model by its name, without the mark of another branch; a path of a file; or "timm"."""
    if not isinstance(weights, str) or weights == FROM_TIMM:
        return weights
    return _branch_of_model(weights, "")[0] or Path(weights)


def name_of_folder(network: PairNetwork, folder: str) -> str:
    """What weights from a user's folder are called where others read of it: their own name, or the folder's without its place."""
    return str(network.config.info.get("name") or f"the weights in {name_without_place(folder)}")


def _branch_of_model(weights: str | os.PathLike[str], branch: str) -> tuple[str, str]:
    """The pair network's name, as `create_model` takes it, and which of its branches; "" where this names a file."""
    if not isinstance(weights, str) or Path(weights).exists():
        return "", branch
    model, _, other = weights.rpartition(BRANCH_MARK)
    # a folder may have the mark in its name
    if not model or Path(weights.removeprefix(LOCAL_PREFIX)).expanduser().exists():
        model, other = weights, ""
    if not (model.startswith((HUB_PREFIX, LOCAL_PREFIX)) or load_manifest().find(model) is not None):
        return "", branch
    return model, other or branch
