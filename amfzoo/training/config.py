"""`TrainConfig`: everything about a training run that changes its result, or how it is run.

Filled from a recipe's name, then a YAML file, then single settings; see `load_config`.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .fields import (
    any_value,
    choice,
    class_weights,
    flag,
    names,
    number,
    parts,
    shares_of_tasks,
    text,
    weights_of_tasks,
)
from .recipes import RECIPES

METRICS = ("macro_f1", "balanced_accuracy", "auroc", "accuracy", "loss")
SCHEDULES = ("cosine", "poly", "constant", "wsd")
PRECISIONS = ("no", "bf16", "fp16")


# Fields that change nothing in the result: a run may be resumed with others.
HOW_IT_IS_RUN = frozenset(
    ("cache_dir", "cache_gb", "workers", "checkpoint_minutes", "checkpoint_steps", "eval_batch_size")
)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run. Sizes are pixels, times minutes.

    Attributes:
        epochs: passes over the training lesions.
        batch_size: lesions per optimiser step, over all processes and accumulated parts;
            how many processes share them changes nothing but batch normalisation and dropout, which see each part alone.
        accumulate: parts into which each process cuts its share, to save memory.
        optimizer: any of timm's, by name. lr: of heads, fusion and the deepest layers.
        weight_decay: of all weights but biases and normalisation.
        layer_decay: factor of lr per layer group towards the input; 1 is off.
        fusion_lr: factor of lr of the fusion block. Its output projection starts at zero and sums many numbers, so at
            the full rate what it adds outgrows the features that it is added to (benchmarks/asymmetry/README.md).
        schedule: timm's, by update. warmup: share of the run in which lr rises from 0. min_lr: at its end, of parts with a share of
            lr (layer_decay, fusion_lr) the same share of it.
        clip_grad: largest norm of all gradients; 0 is off.
        ema: decay of the averaged weights, which an epoch is judged by, and which are kept; 0 is off.
        start_share: share of the weights that training began with in the network that is kept (Wortsman et al., CVPR 2022), once
            the trained weights have chosen the epoch. null is 0.5 where those weights know every class, else 0, which is off:
            see results/fine_tuning.md.
        dropout: before the heads; null keeps the network's.
        freeze: parts that are not trained: clinical, dermoscopy, fusion, heads; or the statistics of batch normalisation. A branch
            that no training lesion has an image for is never trained.
        channels_last: memory format of the networks, mostly the faster one.
        grad_checkpointing: compute the activations of the backbones anew in the backward pass: less memory, more time.
        image_size: side of the network input; null keeps the network's own preprocessing.
        border: fraction cut from each side of an image; null takes what the data set advises
            (0.05 for Derm7pt, whose pictures have black borders), else keeps the network's.
        crop_start, crop_end: side of the training crops in the first and last epoch, as a
            share of the input's; small ones are cheap. Rounded to 16 pixels.
        cache_scale: side of the stored training pictures, as a share of the input's; larger
            than 1, since a crop that is not shrunk is blurred by its rotation.
        flip, rotate, zoom, shift, stretch: geometry of the augmentation: flips; degrees;
            smallest share of the side that is shown; shift as a share of half the side;
            log of what one side is multiplied and the other divided by, which may show less than `zoom` says.
        light, contrast, saturation, channel_gain: largest relative change.
        recompress: share of the pictures that are stored once more, as JPEG or WebP, before a step sees them; teachers see them as
            they are.
        mixup: alpha of the Beta distribution; 0 is off.
        modality_dropout: probability of hiding each image of a pair (never both).
        drop_fusion: probability that a lesion passes the fusion block unchanged, per image that would be read there
            (stochastic depth, Huang et al., ECCV 2016): the branches must not lean on the attention.
        auxiliary: weight of the loss of each branch's own head; 0 leaves them out.
        class_weights: none, inverse_sqrt (of the class frequency), or given.
        class_weights_kept: task -> share of the class weights that stays in its probabilities. 0,
            for those not named: probabilities as frequent as the classes of the data. Up to 1:
            rare classes are favoured, as macro-F1 and balanced accuracy do.
        label_smoothing: share of each label that is spread over all classes; 0 is off.
        focal_gamma: of the focal loss; 0 is off. Not together with label_smoothing.
        task_weights: task -> weight in the loss, 1 for those not named.
        teachers: models, by name, whose probabilities are learned besides the labels; they should have
            been trained without class_weights_kept. See `amfzoo.training.teachers`.
        distill: share of the loss that is theirs.
        metric: what the best epoch is chosen by; the unweighted mean over tasks. Of equal ones the lowest loss decides.
        keep: which epoch's network the run leaves, the best or the last. The last was not chosen on the validation lesions,
            unless `patience` made it the last.
        patience: epochs without a better metric, ties being none, after which training ends; 0 is off.
        valid: share of the lesions held out, where the data has no split.
        seed: of the split, of new heads, of the order of lesions and of the augmentation.
        precision: no (float32; fp32 is the same), bf16 or fp16. On a CPU bf16 is for those with instructions for it (AMX, AVX512-BF16).
        deterministic: same weights again on the same device; slower on a GPU.
        eval_batch_size: lesions per step of the validation, which needs less memory; no influence on the figures.
        on_bad_image: raise, or skip the lesion with a warning.
        workers: threads that decode images; 0 is one per core.
        cache_gb: budget for decoded pictures; above it they are decoded when needed.
        cache_dir: folder in which decoded pictures are kept from run to run; null is memory.
        checkpoint_minutes, checkpoint_steps: besides one per epoch; 0 is off.

    Raises:
        ConfigError: a value is wrong; the message names the field.
    """

    epochs: int = number(16, 1, whole=True)
    batch_size: int = number(32, 2, whole=True)
    accumulate: int = number(1, 1, whole=True)
    optimizer: str = text("adamw")
    lr: float = number(4e-4, 0)
    weight_decay: float = number(0.05, 0)
    layer_decay: float = number(1.0, 0.01, 1)
    fusion_lr: float = number(0.1, 0, 10)
    schedule: str = choice("cosine", SCHEDULES)
    warmup: float = number(0.15, 0, 0.9)
    min_lr: float = number(0.0, 0)
    clip_grad: float = number(5.0, 0)
    ema: float = number(0.998, 0, 0.999999)
    start_share: float | None = number(None, 0, 0.95, none=True)
    dropout: float | None = number(0.2, 0, 0.99, none=True)
    freeze: tuple[str, ...] = any_value((), parts)
    channels_last: bool = flag(True)
    grad_checkpointing: bool = flag(False)
    image_size: int | None = number(None, 32, 8192, whole=True, none=True)
    border: float | None = number(None, 0, 0.49, none=True)
    crop_start: float = number(0.83, 0.1, 2)
    crop_end: float = number(0.83, 0.1, 2)
    cache_scale: float = number(1.34, 0.25, 4)
    flip: bool = flag(True)
    rotate: float = number(180.0, 0, 180)
    zoom: float = number(0.7, 0.05, 1)
    shift: float = number(0.1, 0, 1)
    stretch: float = number(0.2, 0, 1)
    light: float = number(0.2, 0, 0.9)
    contrast: float = number(0.2, 0, 0.9)
    saturation: float = number(0.2, 0, 1)
    channel_gain: float = number(0.05, 0, 0.9)
    recompress: float = number(0.0, 0, 1)
    mixup: float = number(0.0, 0)
    modality_dropout: float = number(0.1, 0, 0.5)
    drop_fusion: float = number(0.0, 0, 0.9)
    auxiliary: float = number(0.3, 0)
    class_weights: Any = any_value("inverse_sqrt", class_weights)
    class_weights_kept: Mapping[str, float] = any_value({}, shares_of_tasks)
    label_smoothing: float = number(0.05, 0, 0.9)
    focal_gamma: float = number(0.0, 0, 10)
    task_weights: Mapping[str, float] = any_value({}, weights_of_tasks)
    teachers: tuple[str, ...] = any_value((), names)
    distill: float = number(0.5, 0, 1)
    metric: str = choice("macro_f1", METRICS)
    keep: str = choice("best", ("best", "last"))
    patience: int = number(0, 0, whole=True)
    valid: float = number(0.2, 0, 0.9)
    seed: int = number(0, 0, 2**53, whole=True)
    precision: str = choice("no", PRECISIONS, {"fp32": "no"})  # as prediction calls it
    deterministic: bool = flag(False)
    on_bad_image: str = choice("raise", ("raise", "skip"))
    eval_batch_size: int = number(64, 1, whole=True)
    workers: int = number(0, 0, 256, whole=True)
    cache_gb: float = number(8.0, 0)
    cache_dir: str | None = text(None)
    checkpoint_minutes: float = number(10.0, 0)
    checkpoint_steps: int = number(0, 0, whole=True)

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            try:
                object.__setattr__(self, f.name, f.metadata["check"](getattr(self, f.name)))
            except ConfigError as error:
                raise ConfigError(f"training setting {f.name}: {error}") from None
            except (TypeError, ValueError) as error:
                raise ConfigError(f"training setting {f.name}: {getattr(self, f.name)!r}: {error}") from None
        if self.label_smoothing and self.focal_gamma:
            raise ConfigError(
                "training settings label_smoothing and focal_gamma: use one of the two, the other must be 0"
            )

    @property
    def epoch_chosen(self) -> bool:
        """Whether the validation lesions have a say in which epoch's network is kept."""
        return self.keep == "best" or self.patience > 0

    @classmethod
    def create(cls, settings: Mapping[str, Any]) -> TrainConfig:
        """As the constructor; an unknown name is a ConfigError that suggests a near one."""
        known = [f.name for f in dataclasses.fields(cls)]
        for name in settings:
            if name not in known:
                from ..models.config import NetworkConfig

                if name in NetworkConfig.__dataclass_fields__:
                    raise ConfigError(
                        f"{name!r} is a setting of the network, not of the training: --network {name}=... "
                        f"(in Python network={{{name!r}: ...}})"
                    )
                near = difflib.get_close_matches(str(name), known, n=1)
                raise ConfigError(
                    f"unknown training setting {name!r}"
                    + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}")
                )
        return cls(**settings)

    @classmethod
    def completed(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings that an earlier version wrote, with what it did for those that it did not know."""
        return {**cls().to_dict(), "start_share": 0.0, **settings}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML and JSON."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def load_config(recipe: str = "default", file: str | os.PathLike[str] | None = None, **settings: Any) -> TrainConfig:
    """A recipe, with the values of a YAML file over it, and `settings` over both.

    Raises:
        ConfigError: no such recipe, the file cannot be read, or a value is wrong.
    """
    if recipe not in RECIPES:
        near = difflib.get_close_matches(str(recipe), RECIPES, n=1)
        raise ConfigError(
            f"unknown recipe {recipe!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(RECIPES)}")
        )
    return TrainConfig.create({**RECIPES[recipe].settings, **(_read_yaml(Path(file)) if file else {}), **settings})


def parse_setting(text: str) -> tuple[str, Any]:
    """Name and value of ``name=value``, the value as YAML reads it.

    Raises:
        ConfigError: there is no ``=``, no such setting, or the value is not YAML.
    """
    import yaml

    name, equals, value = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not name:
        raise ConfigError(f"{text!r} is not name=value")
    if name in ("recipe", "file"):  # what `load_config` takes besides settings
        raise ConfigError(f"{text!r}: {name} is no setting; recipes and files have options of their own")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"{text!r}: the value is not YAML: {error}") from error


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the training settings {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold a mapping of setting to value")
    # config.yaml of a run holds more; its settings can be used again
    if not isinstance(values.get("settings"), dict):
        return values
    beside = [str(name) for name in values if name in TrainConfig.__dataclass_fields__]
    if beside:
        raise ConfigError(f"{path}: {', '.join(beside)} stands beside `settings`; move it into `settings`")
    return dict(values["settings"])
