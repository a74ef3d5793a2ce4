"""A tiny model, pictures and tables for the tests of the command line and of bulk prediction."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import amfzoo

ROOT = Path(amfzoo.__file__).parents[1]


# for tests that ask a network very often, as the maps of a report do
FEW_PIXELS = {f"{name}_preprocess": {"size": (64, 64)} for name in ("clinical", "dermoscopy")}


def tiny_model(seed: int = 0, tasks: object = "derm7pt", **settings: object) -> amfzoo.PairNetwork:
    import torch

    torch.manual_seed(seed)
    network = amfzoo.create_model("amf_test", tasks=tasks, **settings).eval()
    network.mark_untrained(())  # as if they were trained
    return network


def pictures(folder: Path) -> None:
    """c0.jpg, c1.jpg, d0.jpg, d1.jpg: noise, each another."""
    random = np.random.default_rng(0)
    for name in ("c0", "c1", "d0", "d1"):
        small = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(small).resize((48, 32), Image.Resampling.BICUBIC).save(folder / f"{name}.jpg")


def write_table(
    path: Path, rows: Iterable[Sequence[str]], header: Sequence[str] = ("id", "clinical", "dermoscopy"), **options: str
) -> Path:
    with open(path, "w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        csv.writer(file, **options).writerows([header, *rows])
    return path


def read_table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, strict=True))


def listed(folder: Path, record: dict, name: str) -> Path:
    """A manifest in `folder` that lists one set of weights, as the default of its model."""
    path = folder / "weights_manifest.json"
    architecture, tag = name.split(".")
    manifest = {"schema_version": 1, "default_tags": {architecture: tag}, "weights": {name: record}}
    path.write_text(json.dumps(manifest))
    return path


def record_of(name: str, model_folder: Path, tasks: dict) -> dict:
    """The manifest's record of a model folder at weights/<folder> beside the manifest."""
    from amfzoo.folder import sha256_of

    architecture, tag = name.split(".")
    files = {file: model_folder / file for file in ("config.json", "model.safetensors")}
    return {
        "architecture": architecture,
        "tag": tag,
        "source": {"type": "repository", "folder": model_folder.name},
        "files": {file: {"sha256": sha256_of(path), "bytes": path.stat().st_size} for file, path in files.items()},
        "parameters": 1234567,
        "license": "CC-BY-NC-4.0",
        "attribution": "the test suite",
        "training_data": "noise",
        "tasks": {task: list(classes) for task, classes in tasks.items()},
        "metrics": [
            {
                "task": "diagnosis",
                "name": "accuracy",
                "value": 0.5,
                "low": 0.25,
                "high": 0.75,
                "data": "noise (test)",
                "cases": 8,
            },
            {"task": "diagnosis", "name": "macro F1", "value": 0.125, "data": "noise (test)"},
        ],
        "not_validated_for": "anything at all",
    }


def amfzoo_process(*arguments: str, **options: object) -> subprocess.Popen:
    """`python -m amfzoo ARGUMENTS` with text pipes."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", "amfzoo", *arguments], env=environment, **{**pipes, **options})
