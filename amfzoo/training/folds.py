"""Cross-validation, and one network that all of its lesions have taught: the mean of the weights of the folds' networks.

With few lesions the part that a run holds out is too small to choose an epoch and temperatures by, and is missed in training. Here each
part is held out once; what the networks answer to the parts that they did not learn from is as many answers as there are lesions.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.records import LesionSet
from ..errors import ConfigError
from ..folder import check_replaceable
from ..models.averaging import averaged
from ..models.network import PairNetwork
from ..processes import is_first
from .api import FinetuneResult, finetune, settings_of
from .config import TrainConfig
from .dataset import labelled
from .errors import TrainingError
from .fold_files import FOLD, described, write_folds, write_summary
from .judged import check_images, judge, not_judged, place, scorable
from .own_start import refuse_own_start
from .refusals import check_fold
from .report import SUMMARY_FILE
from .run import CASES_FILE, MODEL_FOLDER, note_uncalibrated
from .run_folder import SPLIT_FILE, TEST_FILES, is_run, only_run, refuse_others, throw_away, tidy
from .splits import folds_of, read_lesions

if TYPE_CHECKING:
    from ..evaluation.cases import Cases

logger = logging.getLogger("amfzoo")
_WRITTEN = (MODEL_FOLDER, CASES_FILE, SUMMARY_FILE, SPLIT_FILE, *TEST_FILES)  # beside the runs
_WORSE = 1.05  # how many times the log loss on lesions that were held out is plainly more, on lesions that were not


@dataclass(frozen=True)
class FoldsResult:
    """What a cross-validation gives.

    Attributes:
        model: the mean of the folds' networks, calibrated, on the CPU, in evaluation mode; None where their weights have no mean
            that knows what they know.
        folder: has ``model/``, validation.csv, summary.md, split.csv and a run for each fold, ``fold-0/`` and so on.
        runs: of the folds, in order.
        metrics: rows as in the card: figures of the answers to the lesions that were held out.
    """

    model: PairNetwork | None
    folder: Path
    runs: Sequence[FinetuneResult]
    metrics: Sequence[Mapping[str, Any]]


def train_folds(
    model: Any,
    source: Any,
    *,
    out: str | os.PathLike[str],
    folds: int = 5,
    config: Any = None,
    progress: bool = True,
    device: str | None = None,
    resamples: int = 1000,
    **settings: Any,
) -> FoldsResult | None:
    """Train one network per fold, each without the part of the lesions that is its fold, and keep the mean of their weights.

    The parts are cut by patient, with the classes spread alike; a split that the source has counts only as far as it says "test".
    The answers to the parts that were held out are written to validation.csv; they give the figures, and the temperatures, prediction
    sets and operating points of the mean, which has no lesions of its own to be fitted or judged on but the test split, where
    there is one. The same call again goes on where a stopped one ended.

    Networks that learned from one start, as here, mostly have a mean that knows what they know (Wortsman et al., "Model soups", ICML
    2022). Where it answers the lesions worse than the networks answered those that they had not seen, it is not kept. From weights
    that do not know the classes it may be worse than one run all the same (results/fine_tuning.md); that is warned of.

    Args:
        model, source, config, progress, device: as for `finetune`.
        folds: how many; each costs a run.
        resamples: of the bootstrap.
        **settings: other arguments of `finetune`, but none of `out`, `ready` and `calibrated_later`.

    Returns:
        The result; None in the processes of a torchrun that write nothing.

    Raises:
        ConfigError: too few lesions for so many folds, or a fold without any of known class and with an image that the network
            reads; no task is labelled.
        ImageError: an image cannot be read, unless `on_bad_image` leaves such lesions out.
        TrainingError: `out` holds something else; TrainingStopped, and others: see `finetune`.
    """
    lesions, folder = read_lesions(source), Path(out).expanduser()
    known = {name: value for name, value in settings.items() if name in TrainConfig.__dataclass_fields__}
    chosen = settings_of(settings.get("recipe", "default"), config, known)
    parts = folds_of(lesions, folds, chosen.seed)
    overwrite, fold_runs = bool(settings.get("overwrite")), [folder / FOLD.format(number) for number in range(folds)]
    refuse_own_start(
        [folder, *fold_runs, *_later(folder, folds)], model, settings.get("backbone_weights"), chosen.teachers
    )
    test = parts[0].split("test")
    judged = len(labelled(test)) > 0
    with only_run(folder, is_first()):
        if is_first():
            _check_folder(folder, folds, overwrite)
            if judged := judged and _can_be_judged(test):
                check_images(test, chosen.on_bad_image)  # before hours are spent

        def ready(network: PairNetwork) -> None:
            nonlocal judged
            judged = judged and _can_be_judged(test, network.preprocess, chosen.on_bad_image)
            for number, part in enumerate(parts):
                held_out = part.split("valid")
                if not scorable(held_out, network.preprocess, chosen.on_bad_image):
                    raise ConfigError(
                        f"{lesions.name}: fold {number} would hold out no lesion of known class with an image that the network reads "
                        f"({' or '.join(network.preprocess)}), and could not be measured; take fewer folds"
                    )
                check_fold(chosen, held_out, network.preprocess, number)
            if overwrite:
                _throw_away(folder, [*fold_runs[1:], *_later(folder, folds)])

        # of the folds' networks nobody asks whether they are calibrated, unless they have no mean
        how: dict[str, Any] = {
            "config": config,
            "progress": progress,
            "device": device,
            **settings,
            "calibrated_later": True,
        }
        # the first throws all of them away: what a later one finds is of this call, or of the one that it goes on from
        first, later = {**how, "ready": ready}, {**how, "overwrite": False}
        runs = []
        for number, (part, fold_run) in enumerate(zip(parts, fold_runs)):
            if progress and is_first():
                print(f"{FOLD.format(number)}, {number + 1} of {folds}", file=sys.stderr)
            runs.append(finetune(model, part, out=fold_run, **(later if runs else first)))
        if not is_first():
            return None
        from ..evaluation.folds import join_folds

        held_out = join_folds(
            [_answers(run.model, part.split("valid"), device, chosen) for run, part in zip(runs, parts)]
        )
        whole = replace(lesions, lesions=tuple(replace(one, split="train") for one in parts[0] if one.split != "test"))
        mean: PairNetwork | None = averaged([run.model for run in runs])
        if not runs[0].learned:
            logger.warning(
                "%s: what the folds began with does not know all of the classes, and the mean of networks that learned them anew may answer "
                "worse than the network of one run (results/fine_tuning.md): compare the two on a test split",
                lesions.name,
            )
        cases, metrics = described(mean, runs, whole, held_out, resamples, chosen.epoch_chosen)
        if _log_loss(_answers(mean, whole, device, chosen)) > _WORSE * _log_loss(held_out):
            logger.warning(
                "%s: the mean of the folds' networks answers the lesions worse than these answered those that they had not seen, so it "
                "is not kept; take the network of a fold, or the mean of their probabilities",
                lesions.name,
            )
            mean = None
        to_take = [run.model for run in runs] if mean is None else [mean]
        note_uncalibrated(min(to_take, key=lambda one: len(one.config.temperatures)), held_out.tasks)
        write_folds(folder, mean, parts[0], cases)
        if mean is not None and judged:
            how = {"device": device, "progress": progress, "resamples": resamples, "on_bad_image": chosen.on_bad_image}
            judge(mean, folder, test, **how)
        write_summary(folder, mean, runs, lesions.name, metrics, chosen)
        return FoldsResult(mean, folder, runs, metrics)


def _can_be_judged(test: LesionSet, *how: Any) -> bool:
    """Whether a test split of labelled lesions can judge the mean; why not, is said. `how`: of `not_judged`."""
    if why := not_judged(test, *how):
        logger.warning("%s, so the mean of the folds' networks will not be judged on them", why)
    return not why


def _check_folder(folder: Path, folds: int, overwrite: bool) -> None:
    """Raise TrainingError, or WeightsError, where the folder holds what a cross-validation would overwrite."""
    if is_run(folder):
        raise TrainingError(f"{folder} holds a run without folds; name another folder")
    check_replaceable(folder / MODEL_FOLDER, overwrite=True)
    for number in range(folds):
        refuse_others(folder / FOLD.format(number))
    if not is_run(folder / FOLD.format(0)):
        found = [name for name in _WRITTEN if (folder / name).exists()]
        if found:
            raise TrainingError(
                f"{folder} has {', '.join(found)}, but no folds that they are of, and they would be overwritten; name another folder"
            )
    elif _later(folder, folds) and not overwrite:
        raise TrainingError(
            f"{folder} has more folds than {folds}; name another folder, or throw them away with overwrite"
        )
    tidy(folder)


def _throw_away(folder: Path, runs: Sequence[Path]) -> None:
    """The runs of folds, and what is written beside them."""
    throw_away(runs)
    shutil.rmtree(folder / MODEL_FOLDER, ignore_errors=True)
    for name in _WRITTEN[1:]:
        (folder / name).unlink(missing_ok=True)


def _later(folder: Path, folds: int) -> list[Path]:
    """Runs of more folds than there are to be."""
    return [path for path in folder.glob(FOLD.format("*")) if is_run(path) and _number(path) >= folds]


def _number(fold: Path) -> int:
    text = fold.name.partition("-")[2]
    return int(text) if text.isdecimal() else -1


def _answers(network: PairNetwork, lesions: LesionSet, device: str | None, config: TrainConfig) -> Cases:
    """What a network answers without temperatures, with every image of a lesion."""
    from ..evaluation.recalibration import cases_as_trained

    network.to(place(device))
    cases = cases_as_trained(network, labelled(lesions), ignore_other_classes=True, on_bad_image=config.on_bad_image)
    network.to("cpu")
    return cases


def _log_loss(cases: Cases) -> float:
    """Mean over the tasks."""
    from ..evaluation.metrics import task_scores

    return float(np.mean([task_scores(cases, t)["log_loss"].value for t in cases.tasks if cases.known(t).any()]))
