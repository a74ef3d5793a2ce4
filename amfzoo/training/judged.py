"""The test split, which nothing was chosen by: answers to it in a table, and its figures in the model's card."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..data.records import Lesion, LesionSet
from ..errors import ImageError
from ..models.config import BRANCHES
from ..models.network import PairNetwork
from .dataset import labelled
from .report import shown_progress
from .run import MODEL_FOLDER
from .run_folder import TEST_FILE

if TYPE_CHECKING:
    from ..evaluation.cases import Cases

CARD_SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")


def not_judged(test: LesionSet, branches: Collection[str] = BRANCHES, on_bad_image: str = "raise") -> str:
    """Why a network that reads images of these branches cannot be judged on the test split, in words; "" where it can.

    Without `branches` what is known before there is a network.
    """
    if not len(labelled(test)):
        return f"{test.name}: no test lesion has a label"
    if not any(map(_class_is_known, test)):
        return f"{test.name}: every label of the test lesions leaves several classes open"
    if not scorable(test, branches, on_bad_image):
        which = " or ".join(branches) + " image" + " that can be read" * (on_bad_image == "skip")
        return f"{test.name}: no test lesion of known class has a {which}"
    return ""


def scorable(lesions: LesionSet, branches: Collection[str], on_bad_image: str) -> bool:
    """Whether one of the lesions has a known class and an image that is read; where lesions are skipped, also all of these readable."""
    from ..data.checking.fingerprints import fingerprint

    for lesion in filter(_class_is_known, lesions):
        read = [path for branch, path in lesion.images.items() if branch in branches]
        if read and (on_bad_image != "skip" or all(fingerprint(path).problem is None for path in read)):
            return True
    return False


def _class_is_known(lesion: Lesion) -> bool:
    return any(isinstance(label, str) for label in lesion.labels.values())


def check_images(test: LesionSet, on_bad_image: str) -> None:
    """Raise ImageError where an image of the test split cannot be read, unless such lesions are skipped."""
    from ..data.checking.fingerprints import fingerprints

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
        write_cases(cases, folder / TEST_FILE.format(mode))
    first = next(iter(found.values()))
    metrics = [
        row
        for task in first.tasks
        for row in recorded_metrics(first, task, CARD_SCORES, f"{test.name}, test", resamples=resamples)
    ]
    network.config = network.config.replace(info={**network.config.info, "metrics": metrics})
    network.save_pretrained(folder / MODEL_FOLDER, overwrite=True)
    return found
