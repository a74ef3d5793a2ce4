"""Training and fine-tuning on pairs of images. Needs ``pip install 'amfzoo[train]'``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# loaded on first use: the command line reads the recipes' names, which needs no torch
_PUBLIC = {
    "FinetuneResult": ".api",
    "finetune": ".api",
    "TrainConfig": ".config",
    "load_config": ".config",
    "TrainingError": ".errors",
    "TrainingStopped": ".errors",
    "RECIPES": ".recipes",
}
__all__ = [*_PUBLIC]

if TYPE_CHECKING:
    from .api import FinetuneResult, finetune
    from .config import TrainConfig, load_config
    from .errors import TrainingError, TrainingStopped
    from .recipes import RECIPES


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name], __name__), name)
