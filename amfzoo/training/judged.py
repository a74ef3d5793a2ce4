"""The test split, which nothing was chosen by: answers to it in a table, and its figures in the model's card."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..data.records import LesionSet
from ..errors import ConfigError, ImageError
from ..models.network import PairNetwork
from .dataset import labelled
from .report import shown_progress
from .run import MODEL_FOLDER

if TYPE_CHECKING:
    from ..evaluation.cases import Cases

CARD_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")


def check_test(test: LesionSet, on_bad_image: str) -> None:
    """Raise ConfigError or ImageError unless the test split can be predicted and scored."""
    from ..data.checking.fingerprints import fingerprints

    if not len(labelled(test)):
        raise ConfigError(
            f"{test.name}: no test lesion has a label, so nothing can be compared; give the labels, or train one seed"
        )
    if on_bad_image == "raise":
        for found in fingerprints(path for lesion in test for path in lesion.images.values()).values():
            if found.problem is not None:
                raise ImageError(f"test split: {found.problem}")


def place(device: str | None) -> str:
    """Where to answer lesions."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def judge(
    network: PairNetwork,
    folder: Path,
    test: LesionSet,
    *,
    device: str | None,
    progress: bool,
    resamples: int,
    on_bad_image: str,
) -> dict[str, Cases]:
    """Answers to the test split in every mode, written to ``test_<mode>.csv`` in `folder`; their figures take the place of those
    of validation in the card of ``model/``, and in the network's config."""
    from ..evaluation.cases_file import write_cases
    from ..evaluation.recorded import recorded_metrics
    from ..evaluation.run import evaluate_model

    network.to(place(device))
    found = evaluate_model(
        network, test, ignore_other_classes=True, on_bad_image=on_bad_image,
        progress=shown_progress if progress else None,
    )  # fmt: skip
    network.to("cpu")
    for mode, cases in found.items():
        write_cases(cases, folder / f"test_{mode}.csv")
    first = next(iter(found.values()))
    metrics = [
        row
        for task in first.tasks
        for row in recorded_metrics(first, task, CARD_SCORES, f"{test.name}, test", resamples=resamples)
    ]
    network.config = network.config.replace(info={**network.config.info, "metrics": metrics})
    network.save_pretrained(folder / MODEL_FOLDER, overwrite=True)
    return found
