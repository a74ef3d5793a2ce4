"""From a model's name and a data source to what the loop needs: network, splits, fingerprint."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import torch

from ..data.notes import notes, patient_column, patient_note
from ..data.records import SPLITS, LesionSet, join
from ..data.split import groups, main_task, make_split
from ..errors import ConfigError
from ..factory import create_model
from ..hub import LOCAL_PREFIX
from ..manifest import load_manifest
from ..models.config import BRANCHES, FITTED, licence_of
from ..models.loading import change_heads, load_weights
from ..models.network import PairNetwork
from ..models.own_parts import refuse_own_parts
from .backbones import load_backbone, name_of_folder, per_branch
from .config import TrainConfig
from .draws import seed_of

logger = logging.getLogger("amfzoo")
START_SHARE = 0.5  # results/fine_tuning.md
_SET_BY_TRAINING = ("architecture", "tasks", "auxiliary_heads", "dropout", "info", *FITTED)


def read_lesions(source: Any) -> LesionSet:
    """One `LesionSet` from a source as `load_source` takes it, a `LesionSet`, or a list of these.

    Raises:
        ConfigError: a source cannot be read, or two name one task with other classes.
    """
    from ..data.sources import load_source

    several = list(source) if isinstance(source, (list, tuple)) else [source]
    if not several:
        raise ConfigError("no data to train on: give a source")
    sets = [one if isinstance(one, LesionSet) else load_source(one) for one in several]
    return join(sets)


def split_lesions(lesions: LesionSet, valid: float, seed: int) -> LesionSet:
    """The lesions with a split each: the source's own where it has one.

    Lesions without a split, and the training lesions of a source that has no validation
    ones, are split by `make_split`; but one that shares a patient or an image with lesions
    that keep theirs goes where these are.

    Raises:
        ConfigError: no task is labelled.
    """
    stratify = main_task(lesions)
    if stratify is None:
        raise ConfigError(
            f"{lesions.name}: nothing is labelled, so there is nothing to learn; name the label columns "
            '(--label TASK=COLUMN, or labels={"task": "column"} of load_source)'
        )
    free = {lesion.id for lesion in lesions if lesion.split is None}
    if free and patient_column(lesions):  # many data sets know no patients, but a column that was overlooked is a leak
        logger.warning("%s: %s", lesions.name, patient_note(lesions))
    for kind, note in notes(lesions):
        if free or kind in ("no-such-image", "open-class"):  # the others are of a split that is to be made
            logger.warning("%s: %s", lesions.name, note)
    if not any(lesion.split == "valid" for lesion in lesions):
        free |= {lesion.id for lesion in lesions if lesion.split == "train"}
    if not free:
        return lesions
    given = _company(lesions, free)
    part = lesions.select(lambda lesion: lesion.id in free and lesion.id not in given)
    part = make_split(part, valid=valid, seed=seed, stratify=stratify)
    given.update({lesion.id: str(lesion.split) for lesion in part})
    return replace(
        lesions, lesions=tuple(replace(lesion, split=given.get(lesion.id, lesion.split)) for lesion in lesions)
    )


def _company(lesions: LesionSet, free: Set[str]) -> dict[str, str]:
    """Free lesion -> the split of those that must not be parted from it; the last of several, to be safe."""
    fixed = {lesion.id: lesion.split for lesion in lesions if lesion.split and lesion.id not in free}
    found: dict[str, str] = {}
    for group in groups(lesions):
        if splits := [fixed[name] for name in group.members if name in fixed]:
            split = max(splits, key=SPLITS.index)
            found.update({name: split for name in group.members if name in free})
    return found


def with_advice(config: TrainConfig, lesions: LesionSet) -> TrainConfig:
    """The settings, with what the source advises where they leave it open."""
    border = lesions.hints.get("border") if config.border is None else config.border
    return replace(config, border=border)


def check_leaks(lesions: LesionSet) -> None:
    """Warn of patients and image files in training and in validation or test."""
    for what, found in (("patients", _patients), ("image files", _files)):
        trained = found(lesions.split("train"))
        for split, title in (("valid", "validation"), ("test", "test")):
            both = trained & found(lesions.split(split))
            if both:
                text = "%s: %d %s are in both training and %s; figures on it will flatter"
                logger.warning(text, lesions.name, len(both), what, title)


def _patients(lesions: LesionSet) -> set[str]:
    return {lesion.group for lesion in lesions}


def _files(lesions: LesionSet) -> set[str]:
    return {os.path.realpath(path) for lesion in lesions for path in lesion.images.values()}


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
    licences = [licence_of(made.config.info)]
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
    made.config = made.config.unfitted(info=_joined(licences))
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


def _joined(licences: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Licence and attribution of all that a network starts from."""
    found: dict[str, list[str]] = {}
    for licence in licences:
        for key, text in licence.items():
            found.setdefault(key, []).append(str(text))
    return {key: "; ".join(dict.fromkeys(texts)) for key, texts in found.items()}


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
            raise ConfigError(
                f"the network does not take training crops of {sizes} ({text}); "
                "if its size is fixed, set crop_start and crop_end to 1 and leave image_size out"
            ) from error


def task_names(known: Iterable[str], named: Iterable[str], setting: str) -> None:
    """Raise ConfigError if `named` holds a task that is not known."""
    wrong = [task for task in named if task not in set(known)]
    if wrong:
        raise ConfigError(f"training setting {setting}: the data has no task {wrong[0]!r}; it has {', '.join(known)}")
