"""From a source to the lesions of each split: as it has them, held out at random, or fold by fold."""

from __future__ import annotations

import logging
import os
from collections.abc import Set
from dataclasses import replace
from typing import Any

from ..data.notes import notes, patient_column, patient_note
from ..data.records import SPLITS, LesionSet, join
from ..data.split import groups, main_task, make_split
from ..errors import ConfigError
from .dataset import labelled

logger = logging.getLogger("amfzoo")


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
    free = {lesion.id for lesion in lesions if lesion.split is None}
    stratify = task_to_learn(lesions)
    _tell(lesions, free)
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


def folds_of(lesions: LesionSet, folds: int, seed: int) -> list[LesionSet]:
    """The lesions once for each fold of a cross-validation, in which it is their validation split.

    Training and validation lesions, and those of no split, are cut anew; but one that shares a patient or an image with a test
    lesion is one too.

    Raises:
        ConfigError: no task is labelled, or a fold would hold out no lesion that has an image and a label.
    """
    if folds < 2:
        raise ConfigError(f"folds must be at least 2, got {folds}")
    free = {lesion.id for lesion in lesions if lesion.split != "test"}
    stratify = task_to_learn(lesions)
    _tell(lesions, free)
    test = {lesion.id for lesion in lesions} - free | _company(lesions, free).keys()
    part = lesions.select(lambda lesion: lesion.id not in test)
    found = []
    for fold in range(folds):
        splits = {
            lesion.id: lesion.split for lesion in make_split(part, seed=seed, stratify=stratify, folds=folds, fold=fold)
        }
        whole = tuple(replace(lesion, split=splits.get(lesion.id, "test")) for lesion in lesions)
        found.append(replace(lesions, lesions=whole))
        for split in ("train", "valid"):
            if not len(labelled(found[-1].split(split))):
                raise ConfigError(
                    f"{lesions.name}: {len(part)} lesions of {len(groups(part))} patients, {len(labelled(part))} of them with an "
                    f"image and a label, are too few for {folds} folds: fold {fold} has none with an image and a label {'to hold out' if split == 'valid' else 'to learn from'}; take fewer folds"
                )
    return found


def task_to_learn(lesions: LesionSet) -> str:
    """See `main_task`; ConfigError where nothing is labelled."""
    task = main_task(lesions)
    if task is None:
        raise ConfigError(
            f"{lesions.name}: nothing is labelled, so there is nothing to learn; name the label columns "
            '(--label TASK=COLUMN, or labels={"task": "column"} of load_source)'
        )
    return task


def _tell(lesions: LesionSet, free: Set[str]) -> None:
    """Warn of what is to be known of lesions before those that are `free` are split."""
    if free and patient_column(lesions):  # many data sets know no patients, but a column that was overlooked is a leak
        logger.warning("%s: %s", lesions.name, patient_note(lesions))
    for kind, note in notes(lesions):
        if free or kind in ("no-such-image", "open-class"):  # the others are of a split that is to be made
            logger.warning("%s: %s", lesions.name, note)


def _company(lesions: LesionSet, free: Set[str]) -> dict[str, str]:
    """Free lesion -> the split of those that must not be parted from it; the last of several, to be safe."""
    fixed = {lesion.id: lesion.split for lesion in lesions if lesion.split and lesion.id not in free}
    found: dict[str, str] = {}
    for group in groups(lesions):
        if splits := [fixed[name] for name in group.members if name in fixed]:
            split = max(splits, key=SPLITS.index)
            found.update({name: split for name in group.members if name in free})
    return found


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
