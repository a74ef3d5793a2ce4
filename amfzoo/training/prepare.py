"""From a model's name and the settings to the network that is trained."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..data.records import LesionSet
from ..errors import ConfigError
from ..factory import create_model
from ..hub import LOCAL_PREFIX
from ..inference.torch_logits import size_advice
from ..manifest import load_manifest
from ..models.config import BRANCHES, FITTED, joined_licences
from ..models.loading import change_heads, load_weights
from ..models.network import PairNetwork
from ..models.own_parts import refuse_own_parts
from .backbones import load_backbone, name_of_folder, per_branch
from .config import TrainConfig
from .draws import seed_of

logger = logging.getLogger("amfzoo")
START_SHARE = 0.5  # results/fine_tuning.md
_SET_BY_TRAINING = ("architecture", "tasks", "auxiliary_heads", "dropout", "info", *FITTED)


def with_advice(config: TrainConfig, lesions: LesionSet) -> TrainConfig:
    """The settings, with what the source advises where they leave it open."""
    border = lesions.hints.get("border") if config.border is None else config.border
    return replace(config, border=border)


@dataclass(frozen=True)
class Begun:
    """A network to train.

    Attributes:
        network: on the CPU, with a head per task. start: what it starts from, in words.
        learned: whether that is weights that answer all of the tasks.
    """

    network: PairNetwork
    start: str
    learned: bool


def build_model(
    model: str | os.PathLike[str] | PairNetwork,
    tasks: Mapping[str, tuple[str, ...]],
    config: TrainConfig,
    *,
    pretrained: bool | None = None,
    backbone_weights: Mapping[str, str | os.PathLike[str]] | str | None = None,
    network: Mapping[str, Any] | None = None,
) -> Begun:
    """The network to train.

    A network that is given as `model` is copied; of a named one `network` changes the settings. Random values depend on the
    config's seed alone. What it starts from goes into the model's card, so of the user's own folders that holds the name of the
    weights alone.

    Raises:
        UnknownModelError, ConfigError, WeightsError: see `create_model`.
    """
    settings: dict[str, Any] = {"auxiliary_heads": True} if config.auxiliary else {}
    if config.dropout is not None:
        settings["dropout"] = config.dropout
    settings.update(_checked(network or {}))
    torch.manual_seed(seed_of("weights", config.seed))
    if isinstance(model, PairNetwork):
        refuse_own_parts(model)
        if network:
            raise ConfigError(f"network settings {', '.join(network)}: a network that is given cannot be changed")
        made, start = PairNetwork(model.config.replace(**settings)), "the given network"
        load_weights(
            made,
            {
                name: value.to("cpu", torch.float32 if value.is_floating_point() else value.dtype, copy=True)
                for name, value in model.state_dict().items()
            },
            start,
            fresh_auxiliary=True,
        )
        made.mark_untrained(model.untrained)
    else:
        start = os.fspath(model)
        random = not pretrained and "." not in start and ":" not in start and not isinstance(model, os.PathLike)
        # by the name that stays, whatever becomes the default
        default = load_manifest().default_tags.get(model) if isinstance(model, str) else None
        made = create_model(model, pretrained, **settings, **({"tasks": tasks} if random else {}))
        refuse_own_parts(made)  # models that users register
        if random:
            start = f"{start} with random weights"
        elif isinstance(model, os.PathLike) or start.startswith(LOCAL_PREFIX):
            start = name_of_folder(made, start)
        elif default:
            start = f"{start}.{default}"
        if random and not backbone_weights:
            logger.warning(
                "%s: to start from what is known, pass pretrained=True (--pretrained) or backbone_weights "
                "(--clinical-weights, --dermoscopy-weights)",
                start,
            )
    learned = change_heads(made, dict(tasks), start)
    if made.auxiliary and not config.auxiliary:
        made.remove_auxiliary_heads()
    licences = [made.config.info]
    bodies = per_branch(backbone_weights, made)
    for branch, weights in bodies.items():
        begun = load_backbone(made, branch, weights)
        licences.append(begun.licence)
        start += f", {branch} backbone from {begun.name}"
    changes: dict[str, Any] = {}
    if config.image_size is not None:
        changes["size"] = (config.image_size, config.image_size)
    if config.border is not None:
        changes["border"] = config.border
    made.config = made.config.with_preprocess(**changes)
    made.config = made.config.unfitted(info=joined_licences(licences))
    _check_crops(made, config)
    return Begun(made, start, learned and not bodies)


def _checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the network, but those that a run sets itself."""
    own = [name for name in settings if name in _SET_BY_TRAINING]
    if own:
        raise ConfigError(
            f"network setting {own[0]}: training sets it (tasks from the data; dropout, and auxiliary for auxiliary_heads, are "
            "settings of the training)"
        )
    return dict(settings)


def with_start_share(config: TrainConfig, learned: bool) -> TrainConfig:
    """The settings with a share of the weights that training starts from, where they leave it open: none of weights that do
    not answer the tasks by themselves (`learned`), halfway to which a network answers worse."""
    if config.start_share is not None:
        return config
    return replace(config, start_share=START_SHARE if learned else 0.0)


def crop_size(config: TrainConfig, size: tuple[int, int], epoch: int) -> tuple[int, int]:
    """(height, width) of the training crops in an epoch, for a network input of this size."""
    share = config.crop_start + (config.crop_end - config.crop_start) * epoch / max(1, config.epochs - 1)
    if share == 1:
        return size
    height, width = (max(32, 16 * round(side * share / 16)) for side in size)
    return height, width


@torch.no_grad()
def _check_crops(network: PairNetwork, config: TrainConfig) -> None:
    """Some Transformers take one size only: say so now, not in an epoch."""
    for epoch in {0, config.epochs - 1}:
        sizes = {branch: crop_size(config, p.size, epoch) for branch, p in network.preprocess.items()}
        blank = [torch.zeros(1, 3, *sizes[branch]) if branch in sizes else None for branch in BRANCHES]
        try:
            network.eval()(*blank)
        except ConfigError:  # says by itself what is wrong
            raise
        except Exception as error:
            text = str(error).partition("\n")[0]
            advice = "if its size is fixed, set crop_start and crop_end to 1 and leave image_size out"
            if config.image_size is None and all(size == network.preprocess[b].size for b, size in sizes.items()):
                advice = f"{size_advice(network, blank)} (--network 'SETTING=VALUE')"
            raise ConfigError(
                f"the network does not take training crops of {sizes}{f' ({text})' if text else ''}; {advice}"
            ) from error


def task_names(known: Iterable[str], named: Iterable[str], setting: str) -> None:
    """Raise ConfigError if `named` holds a task that is not known."""
    wrong = [task for task in named if task not in set(known)]
    if wrong:
        raise ConfigError(f"training setting {setting}: the data has no task {wrong[0]!r}; it has {', '.join(known)}")
