"""What a run refuses of its settings before the first step, also for those who only ask (`amfzoo train --dry-run`)."""

from __future__ import annotations

from collections.abc import Collection

from ..data.records import LesionSet
from ..errors import ConfigError
from ..models.network import PairNetwork
from .config import TrainConfig
from .dataset import labelled
from .targets import candidate_masks, class_weights
from .validate import check_metric


def usable(lesions: LesionSet, branches: Collection[str]) -> LesionSet:
    """The lesions that a loss can be computed of and that have an image of these branches, readable or not."""
    return labelled(lesions).select(lambda lesion: any(branch in branches for branch in lesion.images))


def check_run(network: PairNetwork, lesions: LesionSet, config: TrainConfig) -> None:
    """Raise ConfigError where a run of one process would, once it has read the pictures of these lesions.

    Args:
        network: as it is before training.
        lesions: with a split each.
    """
    check_frozen(network, config)
    train, valid = (usable(lesions.split(split), network.preprocess) for split in ("train", "valid"))
    if len(train):
        lesions_a_step(config, len(train))
    class_weights(candidate_masks(train, lesions.tasks), lesions.tasks, config.class_weights)
    if len(valid):
        check_metric(config.metric, candidate_masks(valid, lesions.tasks))


def check_frozen(network: PairNetwork, config: TrainConfig) -> None:
    """Raise ConfigError where heads that are new are not to be trained."""
    if "heads" in config.freeze and network.untrained:
        raise ConfigError(
            f"training setting freeze: the heads of {', '.join(network.untrained)} are new and would stay random; leave heads out"
        )


def check_fold(config: TrainConfig, held_out: LesionSet, branches: Collection[str], number: int) -> None:
    """Raise ConfigError where the fold of that number could not choose its epoch."""
    try:
        check_metric(config.metric, candidate_masks(usable(held_out, branches), held_out.tasks))
    except ConfigError as error:
        raise ConfigError(f"{held_out.name}, fold {number}: {error}, e.g. of fewer folds") from None


def lesions_a_step(config: TrainConfig, lesions: int, processes: int = 1) -> int:
    """How many lesions there are in a step; ConfigError where its parts would be too small."""
    size, parts = min(config.batch_size, lesions), processes * config.accumulate
    if size < 2 * parts:
        raise ConfigError(
            f"{size} lesions a step (of {lesions} to train on) give {parts} parts fewer than 2 each: "
            "lower accumulate, raise batch_size, or use fewer processes"
        )
    return size
