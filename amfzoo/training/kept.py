"""The network that a run evaluates and keeps: averages of weights, over the steps and with those that it began with."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor

from ..models.network import PairNetwork
from .config import TrainConfig


class Kept:
    """The moving average of the trained weights (`TrainConfig.ema`), mixed with those that training began with (`start_share`).

    Wortsman et al., "Robust fine-tuning of zero-shot models" (CVPR 2022).

    Args:
        network: the one that is trained, with the weights that it begins with.
    """

    def __init__(self, network: PairNetwork, config: TrainConfig) -> None:
        self._trained = network
        self._ema = ModelEmaV3(network, decay=config.ema, use_warmup=True) if config.ema else None
        self._share = config.start_share or 0.0
        self._start: dict[str, Tensor] = {}
        self._mixed: PairNetwork | None = None
        if self._share:
            self._start = {
                name: value.detach().clone()
                for name, value in network.state_dict().items()
                if value.is_floating_point() and not name.startswith("auxiliary.")
            }
            self._mixed = deepcopy(network).requires_grad_(False)

    def update(self, step: int) -> None:
        """After an optimiser step, the first of which is 1."""
        if self._ema is not None:
            self._ema.update(self._trained, step=step)

    @torch.no_grad()
    def network(self) -> PairNetwork:
        """As the weights are now, in evaluation mode; not a copy."""
        source = self._trained if self._ema is None else self._ema.module
        if self._mixed is None:
            return source.eval()
        state = source.state_dict()
        for name, value in self._mixed.state_dict().items():
            value.copy_(state[name])
            if name in self._start:
                value.lerp_(self._start[name], self._share)
        return self._mixed.eval()

    def state_dict(self) -> dict[str, Any] | None:
        """Of the moving average; the start is that of the run, whose weights do not change."""
        return None if self._ema is None else self._ema.module.state_dict()

    def load_state_dict(self, state: Mapping[str, Any] | None) -> None:
        if self._ema is not None and state is not None:
            self._ema.module.load_state_dict(state)
