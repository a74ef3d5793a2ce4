"""Training and fine-tuning on pairs of images. Needs ``pip install 'amfzoo[train]'``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names

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

__getattr__, __dir__ = _lazy_names(__name__, _PUBLIC)
