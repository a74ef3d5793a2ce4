"""`finetune`: from a model's name and a data source to a trained model folder."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.records import LesionSet
from ..data.split_file import write_split
from ..errors import ConfigError
from ..evaluation.cases_file import check_task_names
from ..memory import keep_freed_memory
from ..models.network import PairNetwork
from ..models.parts import parameters
from . import report
from .config import TrainConfig, load_config
from .dataset import PairDataset, labelled
from .device import determinism, leaving_random_state, make_accelerator
from .errors import NoLesionLeft
from .identity import fingerprint
from .loop import Trainer
from .own_start import refuse_own_start
from .prepare import build_model, task_names, with_advice, with_start_share
from .refusals import check_frozen
from .run import About, finish, note_uncalibrated, run_epochs, unlearned
from .run_folder import SHARED_CACHE, SPLIT_FILE, clear, is_run, only_run, open_folder
from .splits import check_leaks, read_lesions, split_lesions
from .targets import informative
from .validate import check_metric, only_class

if TYPE_CHECKING:
    from accelerate import Accelerator

logger = logging.getLogger("amfzoo")


@dataclass(frozen=True)
class FinetuneResult:
    """What a run gives.

    Attributes:
        model: the network of the best epoch, or of the last one (`TrainConfig.keep`), calibrated, on the CPU, in evaluation mode.
        folder: of the run; ``folder / "model"`` is what `create_model` loads.
        history: one dict per epoch: train_loss, valid/<score>, valid/<task>/<score>, seconds.
        metrics: of `model` on validation: <score> (mean over tasks) and <task>/<score>.
        start: what it began with, in words; `learned`: whether that is weights that answer all of the tasks.
    """

    model: PairNetwork
    folder: Path
    history: list[dict[str, float]]
    metrics: dict[str, float]
    start: str = ""
    learned: bool = False


@leaving_random_state
def finetune(
    model: str | os.PathLike[str] | PairNetwork,
    source: Any,
    *,
    out: str | os.PathLike[str],
    recipe: str = "default",
    config: TrainConfig | str | os.PathLike[str] | None = None,
    pretrained: bool | None = None,
    backbone_weights: Mapping[str, str | os.PathLike[str]] | str | None = None,
    network: Mapping[str, Any] | None = None,
    device: str | None = None,
    overwrite: bool = False,
    should_stop: Callable[[], bool] | None = None,
    ready: Callable[[PairNetwork], None] | None = None,
    calibrated_later: bool = False,
    progress: bool = True,
    **overrides: Any,
) -> FinetuneResult:
    """Train a model on pairs of images; the same call again goes on where a stopped one ended.

    Heads of tasks and classes that the weights have are kept, others are fresh, but for the classes of a task that the
    weights know. Under
    ``torchrun`` or ``accelerate launch`` all processes share each step: with the same settings its lesions, pictures
    and loss are those of one process, but batch normalisation and dropout see each process's part by itself.
    On a CPU the process keeps freed memory from then on (`keep_freed_memory`).

    Args:
        model: a name as `create_model` takes it, or a network, which is copied.
        source: as `load_source` takes it, a `LesionSet`, or a list of these.
        out: folder of the run. Gets config.yaml, split.csv, checkpoint.pt, history.csv,
            tensorboard/, model/, validation.csv and summary.md.
        recipe: "default", "quick", "fusionm4net" or "derm7pt".
        config: a YAML file over the recipe, or a whole `TrainConfig` instead of both.
        pretrained: as for `create_model`.
        backbone_weights: "timm" (fetched), or branch -> "timm", a safetensors file of
            the bare backbone, or a pair network by name, whose branch is taken
            ("amf_base#dermoscopy" takes that one, whichever branch is to start). All but files
            say for which mean and std they were made, which the branch's images then have.
        network: fields of `NetworkConfig` that change a named model, as `create_model` takes them, e.g. ``{"fusion": "none"}``;
            not those that training sets (tasks, dropout, auxiliary_heads).
        device: "cpu", "cuda", "cuda:1", "mps"; default what accelerate finds.
        overwrite: throw away the run that is in `out`.
        should_stop: asked between steps; when true, a checkpoint is written and
            `TrainingStopped` raised. Without it an interrupt ends the run at once, and the
            last checkpoint (one per epoch and every ``checkpoint_minutes``) is where it goes on.
        ready: called with the network, in the first process, when nothing is known to be wrong and nothing is thrown away or
            written yet; what it raises ends the run.
        calibrated_later: not to warn of tasks with too few validation lesions to be calibrated, since what is made of the
            network will be.
        progress: show a bar and a line per epoch, on stderr.
        **overrides: settings of `TrainConfig`.

    Returns:
        The trained network, the folder, the history of the epochs and the figures on the validation lesions.

    Raises:
        ConfigError: a setting, the data or the model do not fit together; the run would replace the weights that it starts from.
        ImageError: an image cannot be read; the message names the lesion.
        TrainingError: `out` holds another run, cannot be written, or the loss is not finite.
        TrainingStopped: `should_stop` was true; the same call goes on from there.
        WeightsError, UnknownModelError: see `create_model`.
    """
    settings = settings_of(recipe, config, overrides)
    folder = Path(out).expanduser()
    refuse_own_start([folder], model, backbone_weights, settings.teachers)
    accelerator = make_accelerator(settings, folder, device)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    lesions = split_lesions(read_lesions(source), settings.valid, settings.seed)
    settings = with_advice(settings, lesions)
    check_task_names(lesions.tasks)  # before hours are spent on what validation.csv could not hold
    task_names(lesions.tasks, settings.task_weights, "task_weights")
    task_names(lesions.tasks, settings.class_weights_kept, "class_weights_kept")
    begun = build_model(
        model,
        lesions.tasks,
        settings,
        pretrained=pretrained,
        backbone_weights=backbone_weights,
        network=network,
    )
    made, start = begun.network, begun.start
    settings = with_start_share(settings, begun.learned)
    check_frozen(made, settings)
    identity = fingerprint(made, start, lesions, settings)
    with only_run(folder, accelerator.is_main_process):
        checkpoint = open_folder(folder, identity, overwrite, accelerator)
        about = About(lesions.name, start, parameters(made), made.untrained)
        check_leaks(lesions)
        train, valid = datasets(lesions, made, settings, folder, accelerator, progress)
        if valid is not None:
            check_metric(settings.metric, valid.targets)
            for task, label in only_class(valid):
                logger.warning(
                    "%s: the validation lesions of known class are all %r in the task %r, so its figures say nothing of other "
                    "classes, nor does the epoch chosen by them; hold out others",
                    *(lesions.name, label, task),
                )
        with determinism(settings.deterministic):
            trainer = Trainer(
                made, train, settings, accelerator, folder, identity, checkpoint=checkpoint, should_stop=should_stop
            )
            if accelerator.is_main_process:
                if ready is not None:
                    ready(made)
                if overwrite and is_run(folder):
                    clear(folder)  # only now, when nothing about the new run is known to be wrong
                write_split(lesions, folder / SPLIT_FILE, overwrite=is_run(folder))
                report.write_config(
                    folder,
                    settings.to_dict(),
                    {
                        "model": start if isinstance(model, PairNetwork) else os.fspath(model),
                        "started_from": start,
                        "data": lesions.name,
                        "tasks": {t: list(c) for t, c in lesions.tasks.items()},
                    },
                )
            accelerator.wait_for_everyone()
            for task in unlearned(trainer) if settings.teachers and accelerator.is_main_process else ():
                logger.warning(
                    "%s: neither a label nor a teacher teaches the task %r; its head stays as it is", lesions.name, task
                )
            run_epochs(trainer, valid, about, progress)
            best, metrics = finish(trainer, train, valid, about)
            if valid is not None and accelerator.is_main_process and not calibrated_later:
                note_uncalibrated(best, valid.targets)
        if accelerator.is_main_process:
            # decoded pictures of patients do not belong in a result
            shutil.rmtree(folder / SHARED_CACHE, ignore_errors=True)
    return FinetuneResult(best, folder, trainer.progress.history, metrics, start, begun.learned)


def datasets(
    lesions: LesionSet,
    network: PairNetwork,
    config: TrainConfig,
    folder: Path,
    accelerator: Accelerator,
    progress: bool,
) -> tuple[PairDataset, PairDataset | None]:
    """Training and validation lesions that have an image and a label; no validation where none such is held out, with a warning.

    Raises:
        ConfigError: nothing to train on.
        ImageError: see `PairDataset`.
    """
    parts = {name: labelled(lesions.split(name)) for name in ("train", "valid")}
    if not len(parts["train"]):
        raise ConfigError(f"{lesions.name}: none of its {len(lesions)} lesions is for training and has a label")
    cache_dir = config.cache_dir
    if cache_dir is None and accelerator.num_processes > 1:
        cache_dir = str(folder / SHARED_CACHE)  # one copy for all processes of a machine
    keep: dict[str, Any] = {"cache_dir": cache_dir, "on_bad_image": config.on_bad_image, "workers": config.workers}
    bar = report.shown_progress if progress and accelerator.is_main_process else None
    with accelerator.local_main_process_first():  # which decodes; the others find the files
        train = PairDataset(
            replace(parts["train"], name=f"{lesions.name}, train"),
            network.preprocess,
            scale=config.cache_scale,
            cache_gb=config.cache_gb,
            progress=bar,
            **keep,
        )
        for task, masks in train.targets.items():
            if not informative(masks).any() and not config.teachers:  # what these teach is known once they are loaded
                logger.warning(
                    "%s: no training lesion has a label for the task %r; its head stays as it is", lesions.name, task
                )
        if not len(parts["valid"]):
            if config.valid:
                logger.warning(
                    "%s: no lesion with a label is held out: %d lesions of %d patients are too few for a share of %g, or none of those "
                    "held out has one; so no epoch is chosen and the probabilities are not calibrated",
                    lesions.name,
                    len(lesions),
                    len({lesion.group for lesion in lesions}),
                    config.valid,
                )
            return train, None
        try:
            valid = PairDataset(
                replace(parts["valid"], name=f"{lesions.name}, valid"),
                network.preprocess,
                cache_gb=config.cache_gb,
                progress=bar,
                **keep,
            )
        except NoLesionLeft as error:
            logger.warning("%s; so no epoch is chosen and the probabilities are not calibrated", error)
            return train, None
    return train, valid


def settings_of(
    recipe: str, config: TrainConfig | str | os.PathLike[str] | None, overrides: Mapping[str, Any]
) -> TrainConfig:
    """The settings that arguments of `finetune` come to; ConfigError for a wrong one."""
    if isinstance(config, TrainConfig):
        return TrainConfig.create({**config.to_dict(), **overrides})
    return load_config(recipe, config, **overrides)
