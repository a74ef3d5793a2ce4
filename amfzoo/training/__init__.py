"""Training and fine-tuning on pairs of images. Needs ``pip install 'amfzoo[train]'``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names as _lazy_names

# loaded on first use: the command line reads the recipes' names, which needs no torch
_PUBLIC = {
    "FinetuneResult": ".api",
    "finetune": ".api",
    "FoldsResult": ".folds",
    "train_folds": ".folds",
    "TrainConfig": ".config",
    "load_config": ".config",
    "TrainingError": ".errors",
    "TrainingStopped": ".errors",
    "RECIPES": ".recipes",
}
__all__ = [*_PUBLIC]

if TYPE_CHECKING:  # `as` makes a name public to type checkers
    from .api import FinetuneResult as FinetuneResult
    from .api import finetune as finetune
    from .config import TrainConfig as TrainConfig
    from .config import load_config as load_config
    from .errors import TrainingError as TrainingError
    from .errors import TrainingStopped as TrainingStopped
    from .folds import FoldsResult as FoldsResult
    from .folds import train_folds as train_folds
    from .recipes import RECIPES as RECIPES
else:
    __getattr__, __dir__ = _lazy_names(__name__, _PUBLIC)
