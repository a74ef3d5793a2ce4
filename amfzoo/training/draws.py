"""Random numbers of training, each a function of (seed, epoch, step) alone.

So a resumed run draws what an unbroken one would, the number of decoding threads does not
matter, and several processes can each take their part of the same draw.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.config import BRANCHES
from .augment import Augmentation
from .config import TrainConfig
from .recompress import Recompression


def seed_of(*what: object) -> int:
    """A 63-bit seed from any printable values."""
    return int.from_bytes(hashlib.sha256("\0".join(map(str, what)).encode()).digest()[:8], "big") >> 1


def generator(*what: object) -> torch.Generator:
    """A CPU generator seeded by any printable values."""
    return torch.Generator().manual_seed(seed_of(*what))


def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """(count,) int64: the order of the training lesions in an epoch."""
    return torch.randperm(count, generator=generator("order", seed, epoch))


@dataclass(frozen=True)
class StepDraw:
    """What is random in one optimiser step, for all of its B lesions.

    Attributes:
        rows: (B,) int64 indices of training lesions.
        hide: (B, 2) bool: images to hide; see `hidden`.
        augmentations: branch -> its draw.
        recompressions: branch -> its draw; empty where nothing is stored again.
        partners: (B,) positions in `rows` of the lesions to mix with, and `share`: (B,) of
            the lesion itself; None without mixup.
    """

    rows: Tensor
    hide: Tensor
    augmentations: dict[str, Augmentation]
    recompressions: dict[str, Recompression]
    partners: Tensor | None = None
    share: Tensor | None = None

    @classmethod
    def make(cls, config: TrainConfig, branches: tuple[str, ...], order: Tensor, epoch: int, step: int) -> StepDraw:
        """The draw of step `step` of the epoch with this `order`."""
        size = min(config.batch_size, len(order))
        rows = order[step * size : (step + 1) * size]
        random = generator("step", config.seed, epoch, step)
        uniform = torch.rand(len(rows), generator=random)
        p = config.modality_dropout
        hide = torch.stack([uniform < p, (uniform >= p) & (uniform < 2 * p)], 1)
        augmentations = {
            branch: Augmentation.draw(config, len(rows), generator("pixels", config.seed, epoch, step, branch))
            for branch in branches
        }
        recompressions = {
            branch: Recompression.draw(
                config.recompress, len(rows), generator("recompress", config.seed, epoch, step, branch)
            )
            for branch in branches
            if config.recompress
        }
        if not config.mixup:
            return cls(rows, hide, augmentations, recompressions)
        # timm's Mixup draws from numpy's global state and mixes class indices within one process's batch,
        # neither of which fits sets of candidates and draws that do not depend on the number of processes
        beta = np.random.Generator(np.random.Philox(seed_of("mixup", config.seed, epoch, step))).beta
        share = torch.from_numpy(beta(config.mixup, config.mixup, len(rows))).float()
        return cls(rows, hide, augmentations, recompressions, torch.arange(len(rows)).roll(1), share)


def shown(has: Tensor, hide: Tensor) -> Tensor:
    """Which images the network is given: those that there are and that are not hidden.

    Args:
        has, hide: (B, 2) bool.

    Returns:
        (B, 2) bool; a lesion never loses its only image.
    """
    kept = has & ~hide
    return torch.where(kept.any(1, keepdim=True), kept, has)


def label_shares(draw: StepDraw, present: Tensor, branches: Iterable[str]) -> dict[str, Tensor]:
    """`label_share` of the pair under "", and of each branch alone, whose image may be the one that is not mixed."""
    branches = tuple(branches)
    return {
        "": label_share(draw, present, branches),
        **{branch: label_share(draw, present, (branch,)) for branch in branches},
    }


def label_share(draw: StepDraw, present: Tensor, branches: Iterable[str]) -> Tensor:
    """(B,) share of each lesion's own label where pairs are mixed: 1 where no image of it is, the partner having none of its.

    Args:
        present: (B, 2) bool, the images that are shown.
        branches: those that the network reads.
    """
    return torch.where(mixed(draw, present, branches), draw.share, 1.0)


def mixed(draw: StepDraw, present: Tensor, branches: Iterable[str]) -> Tensor:
    """(B,) bool: lesions of which a shown image is mixed with the partner's; arguments as for `label_share`."""
    columns = [BRANCHES.index(branch) for branch in branches]
    return (present & present[draw.partners])[:, columns].any(1)
