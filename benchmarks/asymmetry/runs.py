"""Train the rows of a study, one (row, seed) at a time: finished ones are skipped, killed ones go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from amfzoo import create_model, finetune
from amfzoo.data.records import LesionSet
from amfzoo.data.split_file import write_split
from amfzoo.errors import ConfigError
from amfzoo.folder import sha256_of
from amfzoo.models.network import PairNetwork
from amfzoo.training.backbones import FROM_TIMM
from amfzoo.training.checkpoint import FILE as CHECKPOINT
from amfzoo.training.splits import split_lesions

from . import records
from .plan import Row, Study, make_study

CACHE, RANDOM = "cache", "random"


def with_one_split(lesions: LesionSet, valid: float = 0.2) -> LesionSet:
    """The lesions with one split for all seeds: their own, else a fifth held out.

    Where some have a split, those without are left out.

    Raises:
        ConfigError: nothing is left for training or validation.
    """
    if any(lesion.split for lesion in lesions):
        lesions = lesions.select(lambda lesion: lesion.split is not None)
    lesions = split_lesions(lesions, valid, seed=0)
    for split in ("train", "valid"):
        if not len(lesions.split(split)):
            raise ConfigError(f"{lesions.name}: no lesion is in the split {split!r}; see `amfzoo data split`")
    return lesions


def check_weights(study: Study, weights: Mapping[str, str], known: Study) -> None:
    """Raise ConfigError unless weights are given for all backbones of the study, or for none.

    Args:
        study: the rows to train. known: those that weights may be given for.
    """
    needed, all_names = (sorted({name for row in some.rows for name in row.backbones}) for some in (study, known))
    unknown, missing = sorted(set(weights) - set(all_names)), [name for name in needed if name not in weights]
    if unknown:
        raise ConfigError(f"--weights {unknown[0]}: no row has this backbone; they have {', '.join(all_names)}")
    if weights and missing:
        raise ConfigError(
            f"backbone weights are given for {', '.join(sorted(weights))} but not for {', '.join(missing)}: variants "
            f"that start unequally cannot be compared. Add --weights {missing[0]}=FILE, or ={RANDOM} if that is meant"
        )
    for name, file in weights.items():
        if file not in (RANDOM, FROM_TIMM) and not Path(file).is_file():
            raise ConfigError(f"--weights {name}: there is no file {file}")


def build(row: Row, tasks: Mapping[str, tuple[str, ...]], seed: int = 0) -> PairNetwork:
    """The untrained network of a row, in training mode; its values depend on the seed alone."""
    torch.manual_seed(seed)
    return create_model(row.model, pretrained=False, tasks=tasks, **row.network)


def run_study(
    study: Study,
    lesions: LesionSet,
    out: Path,
    *,
    plan: Mapping[str, Any],
    weights: Mapping[str, str],
    device: str | None = None,
    should_stop: Callable[[], bool] | None = None,
    progress: bool = True,
) -> None:
    """Train what of the study is not trained yet, all rows with the first seed first.

    Args:
        study: the rows and seeds to train.
        lesions: with one split; see `with_one_split`.
        out: gets the files that `records` names; each run's folder also has what `finetune` writes.
        plan: what the whole study is made of, kept for the report.
        weights: backbone name -> safetensors file, "timm" or "random"; empty for random values everywhere.

    Raises:
        ConfigError: the folder holds a run of these rows with other settings, or of any row with other data or weights;
            nothing was trained then.
        TrainingStopped and others: see `finetune`.
    """
    check_weights(study, weights, make_study(plan))
    start = {n: f if f in (RANDOM, FROM_TIMM) else sha256_of(Path(f)) for n, f in sorted(weights.items())}
    data = records.digest(lesions)
    jobs = [
        (row, seed, records.run_folder(out, row, seed), records.identity(row, seed, start, data))
        for seed in study.seeds
        for row in study.rows
    ]
    for _, _, folder, made_of in jobs:
        records.check_same(folder, made_of)
    records.check_alike(out, start, data)
    _describe(out, lesions, plan, start)
    for number, (row, seed, folder, made_of) in enumerate(jobs, 1):
        if records.finished(folder):
            continue
        if progress:
            print(f"[{number}/{len(jobs)}] {row.id}, seed {seed}", file=sys.stderr)
        records.write_json(folder / records.RUN_FILE, made_of)
        config = row.config(seed)
        if config.cache_dir is None and config.cache_gb:
            config = replace(config, cache_dir=str(out / CACHE))  # pictures are decoded once for all runs
        network = build(row, lesions.tasks, seed)
        files = {branch: weights.get(getattr(network.config, branch), RANDOM) for branch in network.branches}
        result = finetune(
            network, lesions, out=folder, config=config, device=device, should_stop=should_stop, progress=progress,
            backbone_weights={branch: file for branch, file in files.items() if file != RANDOM} or None,
        )  # fmt: skip
        figures = {"metrics": result.metrics, "training_seconds": sum(epoch["seconds"] for epoch in result.history)}
        records.write_json(folder / records.RUN_FILE, {**made_of, "finished": figures})
        (folder / CHECKPOINT).unlink(missing_ok=True)  # three times the model's size, and no longer of use


def _describe(out: Path, lesions: LesionSet, plan: Mapping[str, Any], weights: Mapping[str, str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_split(lesions, out / records.SPLIT_FILE)
    about = {
        "plan": plan,
        "data": lesions.name,
        "tasks": {task: list(classes) for task, classes in lesions.tasks.items()},
        "lesions": {split: len(lesions.split(split)) for split in ("train", "valid")},
        "weights": weights,
    }
    records.write_study(out, about)  # other rows and seeds may have been trained before
