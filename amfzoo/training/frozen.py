"""What of a network a run leaves as it is: parts that are frozen, and branches that see no image."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from torch import Tensor

from ..models.network import PairNetwork
from .dataset import BRANCHES, PairDataset

logger = logging.getLogger("amfzoo")


def freeze(network: PairNetwork, parts: Iterable[str], train: PairDataset) -> None:
    """Freeze `parts`, and what no training lesion has an image for: it could only lose what it knows, to weight decay.

    Raises:
        ConfigError: see `PairNetwork.freeze`.
    """
    unseen = [name for name in network.branches if not train.has[:, BRANCHES.index(name)].any()]
    for name in unseen:
        logger.warning("no training lesion has a %s image: that branch and the fusion stay as they are", name)
    frozen = {*parts, *unseen, *(("fusion",) if unseen else ())}
    if frozen:
        network.freeze(*frozen)
        # these are new in every run: frozen as the other heads are, they would teach the branches noise
        network.auxiliary.requires_grad_(True)


class Modes:
    """Training mode, but for a branch without an image in a part of a step: its blank inputs must not enter the statistics of
    batch normalisation.
    """

    def __init__(self, network: PairNetwork) -> None:
        self._network, self._blank = network, set[str]()

    def set(self, present: Tensor) -> None:
        """For forward and backward pass of a part; (b, 2) bool on the CPU, the images that are shown."""
        blank = {name for name in self._network.branches if not present[:, BRANCHES.index(name)].any()}
        if blank != self._blank or not self._network.training:
            self._blank = blank
            self._network.train()
            for name in blank:
                self._network.branches[name].eval()
