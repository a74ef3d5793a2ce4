"""A torch Dataset over lesions: pixels, which images there are, and candidate classes."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..data.records import Lesion, LesionSet
from ..images import Preprocess
from ..models.config import BRANCHES
from .errors import NoLesionLeft
from .pixels import Pictures, PixelStore, Progress, fits, fits_on, open_store
from .targets import Targets, candidate_masks, informative

logger = logging.getLogger("amfzoo")


class PairDataset(Dataset):
    """Lesions as tensors, geometry by the network's own `Preprocess`.

    Lesions without an image that the network reads are left out, with a warning.

    Args:
        lesions: the records.
        preprocess: branch -> from file to network input, as `PairNetwork.preprocess`.
        tasks: task -> classes; default those of `lesions`.
        scale: side of the pictures kept, as a share of the input's.
        cache_gb: budget for decoded pictures; 0, or too little, decodes them when needed.
        cache_dir: keep them in memory-mapped files here; they are found again by a hash of
            the image files (path, time, size) and of the geometry.
        on_bad_image: "raise", or "skip" the lesion with a warning.
        workers: threads that decode; 0 is one per core.
        progress: wraps an iterable that takes long; called with it, a title and the count.

    Attributes:
        lesions: those that are in, in order.
        has: (N, 2) bool, the images that there are, of branches that the network has.
        targets: task -> (N, C) bool, see `candidate_masks`.
        workers: threads for what is done to pictures.

    Raises:
        ImageError: an image cannot be read; when decoded ahead, here, else on use.
        NoLesionLeft: none has an image that can be used.
    """

    def __init__(
        self,
        lesions: LesionSet,
        preprocess: Mapping[str, Preprocess],
        tasks: Mapping[str, tuple[str, ...]] | None = None,
        *,
        scale: float = 1.0,
        cache_gb: float = 8.0,
        cache_dir: str | os.PathLike[str] | None = None,
        on_bad_image: str = "raise",
        workers: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.preprocess = {name: _scaled(p, scale) for name, p in preprocess.items()}
        self.tasks = dict(tasks or lesions.tasks)
        self.workers = workers or os.cpu_count() or 1
        usable = [lesion for lesion in lesions if any(name in preprocess for name in lesion.images)]
        if len(usable) < len(lesions):
            logger.warning(
                "%s: %d lesions have no %s image and are left out",
                lesions.name,
                len(lesions) - len(usable),
                " or ".join(preprocess),
            )
        self._stores = self._open(usable, cache_gb, cache_dir, on_bad_image, progress)
        bad = {row: reason for store in self._stores.values() for row, reason in store.bad.items()}
        for reason in list(bad.values())[:5]:
            logger.warning("left out: %s", reason)
        if bad:
            logger.warning(
                "%s: %d lesions with an unreadable image are left out; `amfzoo data check` lists them",
                *(lesions.name, len(bad)),
            )
        self._rows = np.array([row for row in range(len(usable)) if row not in bad], dtype=np.int64)
        self.lesions: list[Lesion] = [usable[row] for row in self._rows]
        if not self.lesions:
            raise NoLesionLeft(
                f"{lesions.name}: no lesion is left to use: none of {len(lesions)} has a {' or '.join(preprocess)} image that can be "
                "read (`amfzoo data check` lists what is missing)"
            )
        self.has = torch.tensor(
            [[name in preprocess and name in lesion.images for name in BRANCHES] for lesion in self.lesions]
        )
        self.targets: Targets = candidate_masks(self.lesions, self.tasks)

    def _open(
        self,
        lesions: list[Lesion],
        cache_gb: float,
        cache_dir: Any,
        on_bad_image: str,
        progress: Progress | None,
    ) -> dict[str, PixelStore]:
        names = [lesion.id for lesion in lesions]
        pictures = [
            Pictures(branch, names, [lesion.images.get(branch) for lesion in lesions], p)
            for branch, p in self.preprocess.items()
        ]
        folder = None if cache_dir is None else Path(cache_dir).expanduser()
        needed = sum(p.bytes for p in pictures)
        cache = fits(needed, cache_gb, folder)
        if not cache and cache_gb:
            logger.warning(
                "decoded pictures need %.1f GB, more than cache_gb or what is free: decoding them anew in every epoch",
                needed / 1e9,
            )
        keep = {
            "cache": cache,
            "folder": folder,
            "workers": self.workers,
            "find_bad": on_bad_image == "skip",
            "progress": progress,
        }
        return {p.branch: open_store(p, **keep) for p in pictures}

    def __len__(self) -> int:
        return len(self.lesions)

    def move(self, device: torch.device) -> bool:
        """Keep the decoded pictures on a device, too, if they fit there; whether they are there now.

        That saves a step from gathering its pictures in memory and copying them.
        """
        stores = self._stores.values()
        there = all(store.cached for store in stores) and fits_on(device, sum(store.bytes for store in stores))
        if there:
            for store in stores:
                store.move(device)
        return there

    def pixels(self, rows: Tensor | np.ndarray) -> dict[str, Tensor]:
        """(B,) indices -> branch -> (B, H, W, 3) uint8, zeros where there is no image; where `move` put them, else on the CPU."""
        stored = self._rows[np.asarray(rows)]
        return {branch: store.tensor(stored) for branch, store in self._stores.items()}

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One lesion: "pixels" (branch -> (H, W, 3) uint8), "present" (2,) and "targets" (task -> (C,) bool)."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return {
            "pixels": {branch: pixels[0] for branch, pixels in self.pixels(np.array([index])).items()},
            "present": self.has[index],
            "targets": {task: masks[index] for task, masks in self.targets.items()},
        }

    def informative(self) -> Tensor:
        """(N,) bool: lesions with a label that says something, for any task."""
        return torch.stack([informative(masks) for masks in self.targets.values()]).any(0)


def labelled(lesions: LesionSet) -> LesionSet:
    """The lesions that a loss can be computed of."""
    keep = torch.stack([informative(masks) for masks in candidate_masks(lesions, lesions.tasks).values()]).any(0)
    return replace(lesions, lesions=tuple(lesion for lesion, kept in zip(lesions, keep.tolist()) if kept))


def _scaled(preprocess: Preprocess, scale: float) -> Preprocess:
    height, width = preprocess.size
    return replace(preprocess, size=(max(1, round(height * scale)), max(1, round(width * scale))))
