"""The network that a run keeps: averages of weights, over the steps and with those that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor

from ..models.network import PairNetwork
from .config import TrainConfig


class Kept:
    """The moving average of the trained weights (`TrainConfig.ema`), and its mean with those that training began with
    (`start_share`): Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022).

    Args:
        network: the one that is trained, with the weights that it begins with.
    """

    def __init__(self, network: PairNetwork, config: TrainConfig) -> None:
        self._trained = network
        self.ema = ModelEmaV3(network, decay=config.ema, use_warmup=True) if config.ema else None
        self._share = config.start_share or 0.0
        state = network.state_dict() if self._share else {}
        self._start = {name: value.detach().clone() for name, value in state.items() if value.is_floating_point()}

    def update(self, step: int) -> None:
        """After an optimiser step, the first of which is 1."""
        if self.ema is not None:
            self.ema.update(self._trained, step=step)

    @property
    def averaged(self) -> PairNetwork:
        """The moving average as it is now, in evaluation mode; not a copy. What an epoch is judged by."""
        return self._trained.eval() if self.ema is None else self.ema.module

    @torch.no_grad()
    def state(self) -> dict[str, Tensor]:
        """What is kept of the epoch: the moving average with the share of the start."""
        state = self.averaged.state_dict()
        return {
            name: torch.lerp(value, self._start[name].to(value), self._share) if name in self._start else value
            for name, value in state.items()
        }

    def state_dict(self) -> dict[str, Any] | None:
        """Of the moving average; the start is that of the run, whose weights do not change."""
        return None if self.ema is None else self.ema.module.state_dict()

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        if self.ema is not None and state is not None:
            self.ema.module.load_state_dict(state)
