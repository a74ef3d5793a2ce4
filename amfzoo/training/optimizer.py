"""The optimiser and its schedule, from timm, and how far a run is."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2

from ..errors import ConfigError
from ..models.network import PairNetwork
from .config import TrainConfig

_FUSED = ("adam", "adamw")  # of those that timm takes from torch


@dataclass
class Progress:
    """How far a run is; goes into the checkpoint as it is.

    Attributes:
        epoch: that is under way; done: its finished steps.
        step: finished optimiser steps of the whole run.
        loss_sum: of the finished steps of the epoch.
        history: one row per finished epoch.
        best: of the chosen metric; since_best: epochs after it.
    """

    epoch: int = 0
    done: int = 0
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    since_best: int = 0


def make_optimizer(network: PairNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of the parts that are not frozen.

    Raises:
        ConfigError: everything is frozen, or timm has no such optimiser.
    """
    groups = network.param_groups(config.lr, config.weight_decay, config.layer_decay, config.fusion_lr)
    if not any(p.requires_grad for name, p in network.named_parameters() if not name.startswith("auxiliary.")):
        raise ConfigError("training setting freeze: nothing is left to train")
    # one kernel per parameter instead of a dozen: a sixth of a step of a small network on a CPU
    fused = {"fused": True} if config.optimizer in _FUSED else {}
    try:
        return create_optimizer_v2(
            groups, opt=config.optimizer, lr=config.lr, weight_decay=config.weight_decay, **fused
        )
    except (ValueError, AssertionError, AttributeError, KeyError, TypeError, RuntimeError) as error:
        raise ConfigError(f"training setting optimizer: timm has no usable {config.optimizer!r}: {error}") from error


class Schedule:
    """timm's schedule of `lr`, of which each group of the optimiser has its share (`layer_decay`, `fusion_lr`) all along.

    timm's own knows one `min_lr` for all groups, up to which the rates of those below it would rise.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, config: TrainConfig, steps: int) -> None:
        warmup = min(round(config.warmup * steps), steps - 1)
        # of wsd, timm wants three steps besides the warm-up to decay over
        name = "constant" if config.schedule == "wsd" and steps + 1 - warmup < 3 else config.schedule
        self._whole = torch.optim.SGD([torch.zeros(())], lr=config.lr)
        # one more than there are steps, so that the last has a rate above the end's
        self._schedule, _ = create_scheduler_v2(
            self._whole, name, num_epochs=steps + 1 - warmup, warmup_epochs=warmup, warmup_prefix=True, warmup_lr=0.0,
            min_lr=config.min_lr, decay_rate=1.0, step_on_epochs=False, updates_per_epoch=1,
        )  # fmt: skip
        self._optimizer = optimizer
        self._shares = [group["lr"] / config.lr if config.lr else 0.0 for group in optimizer.param_groups]

    def step_update(self, step: int) -> None:
        """Set the rates of a step: 1 before the first, up to `steps`."""
        self._schedule.step_update(step)
        for group, share in zip(self._optimizer.param_groups, self._shares):
            group["lr"] = share * self._whole.param_groups[0]["lr"]
