"""What a cross-validation leaves: the mean network's calibration and card, the answers to what was held out, a summary."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import UNCERTAIN, UNCERTAIN_NOTE
from ..data.records import LesionSet
from ..data.split_file import write_split
from ..fingerprint import fingerprint
from ..models.called import called
from ..models.network import PairNetwork
from ..text_tables import table
from .api import FinetuneResult
from .config import TrainConfig
from .judged import CARD_SCORES
from .report import SUMMARY_FILE, write_text
from .run import CASES_FILE, MODEL_FOLDER
from .run_folder import SPLIT_FILE
from .validate import best_epoch

if TYPE_CHECKING:
    from ..evaluation.cases import Cases

FOLD = "fold-{}"  # folder of a fold's run
_HEAD = ("task", "score", "value [95 % interval]", "lesions")


def described(
    mean: PairNetwork,
    runs: Sequence[FinetuneResult],
    lesions: LesionSet,
    held_out: Cases,
    resamples: int,
    epoch_chosen: bool,
) -> tuple[Cases, list[dict[str, Any]]]:
    """Calibrate the mean by the answers to what was held out, and put them into its card; these answers, calibrated, and their figures."""
    from ..evaluation.calibration import apply_temperatures
    from ..evaluation.operating_point import with_calls
    from ..evaluation.recalibration import calibration, images_seen
    from ..evaluation.recorded import recorded_metrics

    seen = images_seen(mean, lesions, held_out)
    fitted = calibration(held_out, seen)
    cases = apply_temperatures(held_out, fitted["temperatures"])
    cases = with_calls(cases, fitted["operating_points"], seen.get("dermoscopy", np.zeros(len(cases), bool)))
    chosen = "each chose its epoch; " if epoch_chosen else ""
    data = f"{lesions.name}, cross-validation in {len(runs)} folds ({chosen}all fitted the temperatures)"
    metrics = [
        row for task in cases.tasks for row in recorded_metrics(cases, task, CARD_SCORES, data, resamples=resamples)
    ]
    name = f"{called(mean.config)}, {len(runs)} folds of {lesions.name} (weights {fingerprint(mean)[:8]})"
    about = {
        "name": name,
        "training_data": f"{lesions.name}: {len(held_out)} training lesions in {len(runs)} folds; started from "
        f"{runs[0].start}. The weights are the mean of those of {len(runs)} networks, each of which left out one fold; the "
        "figures are of these networks on the folds that they left out.",
        "metrics": metrics,
    }
    mean.config = mean.config.replace(info={**mean.config.info, **about}, **fitted)
    return replace(cases, model=name), metrics


def write_folds(folder: Path, mean: PairNetwork | None, lesions: LesionSet, cases: Cases) -> None:
    """Write model/, unless there is no mean, validation.csv and split.csv.

    Args:
        lesions: with a split; all but those of the test split have taught the mean.
        cases: as `described` gave them.
    """
    from ..evaluation.cases_file import write_cases

    trained = tuple(replace(one, split="test" if one.split == "test" else "train") for one in lesions)
    write_split(replace(lesions, lesions=trained), folder / SPLIT_FILE)
    write_cases(cases, folder / CASES_FILE)
    if mean is None:
        shutil.rmtree(folder / MODEL_FOLDER, ignore_errors=True)
    else:
        mean.save_pretrained(folder / MODEL_FOLDER, overwrite=True)


def write_summary(
    folder: Path,
    mean: PairNetwork | None,
    runs: Sequence[FinetuneResult],
    data: str,
    metrics: Sequence[Mapping[str, Any]],
    config: TrainConfig,
) -> None:
    """Write summary.md, one page: the folds, how well their networks do on what they left out, and the mean on the test split.

    Args:
        mean: its card has other figures than `metrics` where a test split judged it.
        data: name of the lesions.
        metrics: as `described` gave them.
    """
    from ..evaluation.cases import whole_mode
    from ..evaluation.report import MODE_TITLES

    name, count = called(runs[0].model.config), len(runs)
    network = f"{MODEL_FOLDER}/, the mean of the weights of the {count} networks" if mean else "none: see the folds'"
    flattered = "the temperatures were fitted to all answers"
    if config.epoch_chosen:
        flattered = f"each network chose its epoch by {config.metric} on these lesions, and {flattered}"
    lines = [
        f"# {name} on {data}, {count} folds",
        "",
        f"- model: {name}, started from {runs[0].start}",
        f"- network: {network}",
        f"- files: {FOLD.format(0)} to {FOLD.format(count - 1)}, the runs; {CASES_FILE}, the answers to what was held out",
        "",
        "## Folds",
        "",
        table(("fold", "epoch", config.metric), [_fold(number, run, config) for number, run in enumerate(runs)]),
        "",
        "## Cross-validation",
        "",
        f"Every lesion is answered by the network that did not learn from it. {flattered[0].upper()}{flattered[1:]}, so the figures "
        f"flatter a little. They are of this way of training, not of the mean of the {count} networks, which only lesions of a test split can judge.",
        "",
        *_table_of(metrics),
    ]
    judged = mean.config.info["metrics"] if mean else metrics
    if judged != metrics:
        images = MODE_TITLES[whole_mode(runs[0].model.preprocess)]
        lines += ["", f"## The mean on the test split, with {images}", "", *_table_of(judged)]
    write_text(folder / SUMMARY_FILE, "\n".join(lines) + "\n")


def _fold(number: int, run: FinetuneResult, config: TrainConfig) -> tuple[object, ...]:
    epoch = len(run.history) - 1 if config.keep == "last" else best_epoch(run.history, config.metric)
    return FOLD.format(number), epoch + 1, f"{run.history[epoch][f'valid/{config.metric}']:.3f}"


def _table_of(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines: a table of them, and what its mark means where there is one."""
    marked = any(row.get("uncertain") for row in metrics)
    return [table(_HEAD, map(_figure, metrics)), *(("", f"{UNCERTAIN_NOTE}.") if marked else ())]


def _figure(row: Mapping[str, Any]) -> tuple[object, ...]:
    from ..evaluation.report import score_text

    return row["task"], row["name"], score_text(row) + (UNCERTAIN if row.get("uncertain") else ""), row["cases"]
