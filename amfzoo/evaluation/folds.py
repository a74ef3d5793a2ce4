"""The tables of a cross-validation as one: every lesion answered by the network of the fold that held it out."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError
from ..text_tables import listed
from .cases import PATIENT_GROUP, Cases

logger = logging.getLogger("amfzoo")


def join_folds(folds: Sequence[Cases]) -> Cases:
    """The cases of all folds, in order.

    A patient with lesions in several folds is warned of: networks answered for a patient whom they were trained on.
    Figures of them are of the way of training, on average over its networks, not of one network; probabilities of
    several networks are ranked together, so calibrate each before.

    Args:
        folds: of one mode and with the same tasks and classes, in whatever order; no lesion in two of them. What is
            called at an operating point goes along where all folds have it.

    Raises:
        ConfigError: they are none of one cross-validation; the message names the fold, by its number, and a lesion.
    """
    if not folds:
        raise ConfigError("there are no folds to join")
    first = folds[0]
    seen: dict[str, int] = {}
    for number, fold in enumerate(folds, 1):
        if fold.mode != first.mode:
            raise ConfigError(f"fold {number} is of the mode {fold.mode!r}, the first of {first.mode!r}")
        for name in fold.ids:
            if name in seen:
                raise ConfigError(
                    f"lesion {name!r} is in fold {seen[name]} and in fold {number}: folds hold out other lesions each; "
                    "give one table for each, of its held-out lesions alone (--split valid)"
                )
            seen[name] = number
        if {t: sorted(c) for t, c in fold.tasks.items()} != {t: sorted(c) for t, c in first.tasks.items()}:
            raise ConfigError(f"fold {number} has other tasks or classes than the first")
    _warn_of_shared_patients(folds)
    folds = [fold.in_order(first.tasks) for fold in folds]
    columns = dict.fromkeys(name for fold in folds for name in fold.metadata)
    called = [task for task in first.tasks if all(task in fold.called for fold in folds)]
    models = list(dict.fromkeys(fold.model for fold in folds if fold.model))
    return Cases(
        ids=[name for fold in folds for name in fold.ids],
        tasks=first.tasks,
        labels={task: np.concatenate([fold.labels[task] for fold in folds]) for task in first.tasks},
        probabilities={task: np.concatenate([fold.probabilities[task] for fold in folds]) for task in first.tasks},
        groups=[group for fold in folds for group in fold.groups],
        splits=[split for fold in folds for split in fold.splits],
        metadata={
            name: [cell for fold in folds for cell in fold.metadata.get(name, [""] * len(fold))] for name in columns
        },
        mode=first.mode,
        model=models[0] if len(models) == 1 else f"{len(folds)} folds: {', '.join(models)}" if models else "",
        called={task: np.concatenate([fold.called[task] for fold in folds]) for task in called},
    )


def _warn_of_shared_patients(folds: Sequence[Cases]) -> None:
    counts = Counter(group for fold in folds for group in set(fold.groups) if group.startswith(PATIENT_GROUP))
    shared = sorted(group.removeprefix(PATIENT_GROUP) for group, count in counts.items() if count > 1)
    if shared:
        logger.warning(
            "%d patients have lesions in several folds (%s), so networks are judged on patients whom they were trained on: "
            "split by patient",
            len(shared),
            listed(shared[:3]) + (", ..." if len(shared) > 3 else ""),
        )
