"""A run from its first epoch to its model folder."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..fingerprint import fingerprint
from ..inference.tf32 import exact_convolutions
from ..models.called import called as called_network
from ..models.network import PairNetwork
from ..models.origin import origin_of
from . import report
from .config import TrainConfig
from .dataset import BRANCHES, PairDataset
from .loop import Trainer
from .targets import exact, informative
from .validate import Logits, best_epoch, better, logits_of, scores_of

if TYPE_CHECKING:
    from ..evaluation.cases import Cases

logger = logging.getLogger("amfzoo")

MODEL_FOLDER, CASES_FILE = "model", "validation.csv"


@dataclass(frozen=True)
class About:
    """What a run is called in its files: the data's name, what it started from, how many parameters; the tasks whose heads
    were new."""

    data: str
    start: str
    parameters: int
    fresh: tuple[str, ...]


def run_epochs(trainer: Trainer, valid: PairDataset | None, about: About, show: bool) -> None:
    """Train to the end, or until patience runs out; keeps the best epoch, or the last one, in ``model/``.

    Raises:
        TrainingStopped, TrainingError, WeightsError, ImageError: see `Trainer.run_epoch`.
    """
    config, progress = trainer.config, trainer.progress
    board = report.Board(trainer.accelerator, progress.step)
    bar = report.Bar(trainer, show)
    trainer.on_step = bar.step
    if progress.epoch >= config.epochs:
        bar.line("finished already; its network is measured once more")
    elif progress.step:
        bar.line(f"going on after step {progress.step} of {trainer.total_steps}")
    else:
        held_out = f", {len(valid)} held out" if valid is not None else ""
        bar.line(
            f"{len(trainer.train)} lesions to train on{held_out}; {config.epochs} epochs of {trainer.steps_per_epoch} steps"
        )
    try:
        while progress.epoch < config.epochs and not _out_of_patience(trainer):
            row = {"epoch": progress.epoch + 1, "train_loss": trainer.run_epoch(), "lr": _rate(trainer)}
            if valid is not None:
                with trainer.accelerator.autocast():  # in the precision of training: it only chooses the epoch
                    logits = logits_of(trainer.averaged, valid, trainer.accelerator, config.eval_batch_size)
                row.update({f"valid/{name}": value for name, value in scores_of(logits, valid.targets).items()})
            row["seconds"] = progress.seconds
            best = _note(trainer, row, valid)
            board.add({name: value for name, value in row.items() if name != "epoch"}, progress.step)
            if (best or config.keep == "last") and trainer.accelerator.is_main_process:
                _kept(trainer, about).save_pretrained(trainer.folder / MODEL_FOLDER, overwrite=True)
            trainer.checkpoint()  # after the model: a kill in between repeats the epoch, and never loses its best
            if trainer.accelerator.is_main_process:
                report.write_history(trainer.folder, progress.history)
            bar.line(report.epoch_line(row, config.epochs, config.metric, best and valid is not None))
    finally:
        bar.close()
        board.close()
    if trainer.accelerator.is_main_process:  # a kill after the last checkpoint may have been before it
        report.write_history(trainer.folder, progress.history)
    trainer.accelerator.wait_for_everyone()


def finish(
    trainer: Trainer, train: PairDataset, valid: PairDataset | None, about: About
) -> tuple[PairNetwork, dict[str, Any]]:
    """The best network, calibrated and described in its folder; the figures of it.

    Every process takes part; the first one writes.
    """
    from ..evaluation.cases import whole_mode

    accelerator, folder = trainer.accelerator, trainer.folder
    network = PairNetwork.from_pretrained(folder / MODEL_FOLDER).to(accelerator.device)
    whole = whole_mode(network.preprocess)
    scores: dict[str, dict[str, float]] = {}
    called: dict[str, dict[str, float]] = {}
    if valid is not None:
        from ..evaluation.operating_point import called_scores, with_calls
        from ..evaluation.recalibration import calibration

        size = trainer.config.eval_batch_size
        with exact_convolutions():  # as predictions are made, so that `amfzoo evaluate` finds the same figures
            logits = logits_of(network, valid, accelerator, size)
            scores[whole] = scores_of(logits, valid.targets)
            if whole == "both":
                for branch, having in zip(BRANCHES, valid.has.unbind(1)):
                    alone = logits_of(network, valid, accelerator, size, only=branch)
                    scores[branch] = scores_of(alone, valid.targets, having)
        network.config = network.config.unfitted()
        seen = {branch: valid.has[:, BRANCHES.index(branch)].numpy() for branch in network.preprocess}
        network.config = network.config.replace(**calibration(_cases(logits, valid, network), seen))
        dermoscopy = seen.get("dermoscopy", np.zeros(len(valid.lesions), bool))
        cases = with_calls(_cases(logits, valid, network), network.config.operating_points, dermoscopy)
        called = {
            task: {name: score.value for name, score in called_scores(cases, task, resamples=0).items()}
            for task in cases.called
        }
    network.config = network.config.replace(
        info={
            **network.config.info,
            "metrics": _metrics(scores.get(whole, {}), called, valid, about, trainer.config.epoch_chosen),
        }
    )
    network = network.to("cpu")
    # what was fitted belongs to the run: the epoch that it was fitted to is no model of its own
    network.origin = origin_of(network, network.config, str(folder / MODEL_FOLDER))
    if accelerator.is_main_process:
        network.save_pretrained(folder / MODEL_FOLDER, overwrite=True)
        if valid is not None:
            from ..evaluation.cases_file import write_cases

            write_cases(cases, folder / CASES_FILE)
        report.write_text(folder / report.SUMMARY_FILE, _summary(trainer, train, valid, about, scores, called))
    accelerator.wait_for_everyone()
    return network.eval(), scores.get(whole, {})


def note_uncalibrated(network: PairNetwork, tasks: Iterable[str]) -> None:
    """Warn of those of its tasks that had too few validation lesions to be calibrated."""
    from ..evaluation.recalibration import LEAST_CASES

    left = ", ".join(task for task in tasks if task in network.tasks and task not in network.config.temperatures)
    if left:
        logger.warning(
            "not calibrated: %s (fewer than %d validation lesions of known class, or all of one); `amfzoo recalibrate` does it on other "
            "lesions",
            left,
            LEAST_CASES,
        )


def _note(trainer: Trainer, row: dict[str, float], valid: PairDataset | None) -> bool:
    """Put a finished epoch into the progress; whether it is the best so far."""
    progress, metric = trainer.progress, trainer.config.metric
    improved = valid is None or better(metric, row[f"valid/{metric}"], progress.best)
    if improved and valid is not None:
        progress.best = row[f"valid/{metric}"]
    progress.since_best = 0 if improved else progress.since_best + 1
    progress.history.append(row)
    progress.epoch, progress.done, progress.loss_sum, progress.seconds = progress.epoch + 1, 0, 0.0, 0.0
    return valid is None or best_epoch(progress.history, metric) == len(progress.history) - 1


def _out_of_patience(trainer: Trainer) -> bool:
    return bool(trainer.config.patience) and trainer.progress.since_best >= trainer.config.patience


def _rate(trainer: Trainer) -> float:
    return max(group["lr"] for group in trainer.optimizer.param_groups)


def _kept(trainer: Trainer, about: About) -> PairNetwork:
    """What is kept of the epoch, on the CPU, without what only training needs."""
    # not `trainer.averaged`, for which all processes meet: this is for the first one alone, whose statistics count
    copy = PairNetwork(trainer.network.config)
    copy.load_state_dict(trainer.kept.state())
    copy.remove_auxiliary_heads()
    nothing = unlearned(trainer)
    copy.config = copy.config.replace(
        dropout=0.0,
        info={
            **copy.config.info,
            # the weights too: two runs on the same data must not pass for one model
            "name": f"{called_network(copy.config)}, trained on {about.data} (weights {fingerprint(copy)[:8]})",
            "training_data": f"{about.data}: {len(trainer.train)} training lesions; started from {about.start}."
            + (f" Nothing was learned for {', '.join(nothing)}: do not use those answers." if nothing else ""),
        },
    )
    copy.mark_untrained(task for task in about.fresh if task in nothing)
    return copy.eval()


def unlearned(trainer: Trainer) -> list[str]:
    """The tasks that neither a label nor a teacher taught anything of, or that weigh nothing."""
    config, targets = trainer.config, trainer.train.targets
    taught = set(trainer.teachers.tasks) if trainer.teachers is not None and config.distill else set()
    labels = trainer.teachers is None or config.distill < 1
    return [
        task
        for task, masks in targets.items()
        if not trainer.loss.task_weights[task] or not (task in taught or (labels and informative(masks).any()))
    ]


def _cases(logits: Logits, valid: PairDataset, network: PairNetwork) -> Cases:
    """Probabilities of the validation lesions, with the temperatures that the network has."""
    from ..evaluation.cases import Cases, whole_mode
    from ..evaluation.cases_checks import UNKNOWN

    temperatures = network.config.temperatures
    lesions = valid.lesions
    columns = list(dict.fromkeys(name for lesion in lesions for name in lesion.metadata))
    return Cases(
        ids=[lesion.id for lesion in lesions],
        tasks=valid.tasks,
        labels={
            task: masks.int().argmax(1).where(exact(masks), UNKNOWN).numpy() for task, masks in valid.targets.items()
        },
        probabilities={
            task: (v.double() / temperatures.get(task, 1.0)).softmax(1).numpy() for task, v in logits.items()
        },
        groups=[lesion.group for lesion in lesions],
        splits=["valid"] * len(lesions),
        metadata={name: [lesion.metadata.get(name, "") for lesion in lesions] for name in columns},
        mode=whole_mode(network.preprocess),
        model=str(network.config.info.get("name", "")),
    )


def _metrics(
    scores: Mapping[str, float],
    called: Mapping[str, Mapping[str, float]],
    valid: PairDataset | None,
    about: About,
    epoch_chosen: bool,
) -> list[dict[str, Any]]:
    """Figures for the model card."""
    if valid is None:
        return []
    data = f"{about.data}, validation ({'chose the epoch' if epoch_chosen else 'fitted the temperatures'})"
    names = ("accuracy", "balanced_accuracy", "macro_f1", "auroc")
    found = {
        task: {name: scores.get(f"{task}/{name}", math.nan) for name in names} | dict(called.get(task, {}))
        for task in valid.tasks
    }
    return [
        {"task": task, "name": name, "value": value, "data": data, "cases": int(exact(valid.targets[task]).sum())}
        for task, values in found.items()
        for name, value in values.items()
        if math.isfinite(value)
    ]


def _summary(
    trainer: Trainer,
    train: PairDataset,
    valid: PairDataset | None,
    about: About,
    scores: Mapping[str, Any],
    called: Mapping[str, Mapping[str, float]],
) -> str:
    config: TrainConfig = trainer.config
    history, name = trainer.progress.history, called_network(trainer.network.config)
    facts = {
        "model": f"{name}, {about.parameters / 1e6:.2f} M parameters, started from {about.start}",
        "data": f"{about.data}: {len(train)} training, {0 if valid is None else len(valid)} validation lesions",
        "epochs": f"{len(history)} of {config.epochs}, of {trainer.steps_per_epoch} steps of {trainer.batch_size} lesions",
        "time": f"{sum(row['seconds'] for row in history) / 60:.1f} minutes of training steps",
        "files": f'{MODEL_FOLDER}/ (create_model("local-dir:...")), {report.HISTORY_FILE}, {report.CONFIG_FILE}',
    }
    if valid is not None:
        chosen = best_epoch(history, config.metric)
        facts["best epoch"] = f"{chosen + 1}, {config.metric} {history[chosen][f'valid/{config.metric}']:.4f}"
    chosen_by = config.metric if config.epoch_chosen else None
    return report.summary(f"{name} on {about.data}", facts, train, valid, chosen_by, scores, called)
