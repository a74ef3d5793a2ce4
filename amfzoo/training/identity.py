"""What a run was begun with, so that another one does not go on from it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data.records import LesionSet
from ..fingerprint import fingerprint as weights_fingerprint
from ..hub import resolve
from ..manifest import CONFIG_FILE
from ..models.network import PairNetwork
from .config import HOW_IT_IS_RUN, TrainConfig


def fingerprint(network: PairNetwork, start: str, lesions: LesionSet, config: TrainConfig) -> dict[str, Any]:
    """What a resumed run must share with the one it goes on from: plain data, compared by `differences`."""
    records = [
        [
            lesion.id,
            lesion.split,
            {task: lesion.candidates(task) for task in lesion.labels},
            {kind: _file(path) for kind, path in lesion.images.items()},
        ]
        for lesion in lesions
        if lesion.split != "test"  # which no training sees
    ]
    left = {*HOW_IT_IS_RUN, "teachers"}  # these by what is in their folders, wherever they lie
    settings = {name: value for name, value in config.to_dict().items() if name not in left}
    described = {
        "settings": settings,
        "network": network.config.to_dict(),
        "start": start,
        "weights": weights_fingerprint(network),
        "teachers": {name: _folder_hash(name) for name in config.teachers},
        "data": hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest(),
    }
    return json.loads(json.dumps(described))  # as it will be read back: lists, no tuples


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Where two fingerprints differ, in words."""
    before = TrainConfig.completed(old["settings"])
    found = [
        f"{name} was {before.get(name)!r}, is {value!r}"
        for name, value in new["settings"].items()
        if before.get(name) != value
    ]
    same = old.get("weights") == new["weights"]  # the same, wherever their folder lies now
    if old["start"] != new["start"] and not same:
        found.append(f"it started from {old['start']}, now from {new['start']}")
    elif old["network"] != new["network"]:
        found.append("the network has other settings")
    elif old.get("weights", new["weights"]) != new["weights"]:
        found.append(f"{new['start']} has other weights than it had")
    taught = old.get("teachers", new["teachers"])
    if sorted(taught.values()) != sorted(new["teachers"].values()):
        were, are = (", ".join(teachers) or "none" for teachers in (taught, new["teachers"]))
        changed = "others than they were" if were == are else f"now {are}"
        found.append(f"teachers were {were}, are {changed}")
    return found + (["the lesions, labels, splits or image files differ"] if old["data"] != new["data"] else [])


def _folder_hash(name: str) -> str:
    """Of a model's config.json, which has the hash of its weights."""
    return hashlib.sha256((resolve(name).folder / CONFIG_FILE).read_bytes()).hexdigest()


def _file(path: Path) -> list[Any]:
    try:
        return [path.name, os.stat(path).st_size]  # not the folder: a run may move to another machine
    except OSError:
        return [path.name, None]
