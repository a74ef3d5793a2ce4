"""A small model folder, and what tests do to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from amfzoo.folder import write_folder

CONFIG = {
    "schema_version": 1,
    "architecture": "amf_small",
    "tasks": {"diagnosis": ("NV", "MEL")},
    "info": {"note": "Übung"},
}
STATE = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3), "n": torch.tensor(7)}


def write(folder: Path, **changes) -> Path:
    return write_folder(folder, **{"config": CONFIG, "state": STATE, "card": "# card\n", **changes})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


def edit_config(model: Path, **changes) -> None:
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)
