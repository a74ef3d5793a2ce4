"""Bulk prediction as one would write it with torch alone: the yardstick of `bulk`."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from ..inference.batch import BRANCHES
from ..models.network import PairNetwork
from .pictures import Files


class PairFiles(Dataset):
    """Pairs of JPEG files as normalised tensors, the usual torchvision way.

    Args:
        files: clinical and dermoscopy.
        network: whose sizes, means and standard deviations are taken.
    """

    def __init__(self, files: Files, network: PairNetwork) -> None:
        self.files = files
        self.transforms = {
            branch: transforms.Compose(
                [
                    transforms.Resize(prepared.size, transforms.InterpolationMode.BICUBIC),
                    transforms.ToTensor(),
                    transforms.Normalize(prepared.mean, prepared.std),
                ]
            )
            for branch, prepared in network.preprocess.items()
        }

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        paths: dict[str, Path] = dict(zip(BRANCHES, self.files[index]))
        return {
            branch: transform(Image.open(paths[branch]).convert("RGB")) for branch, transform in self.transforms.items()
        }


class OrdinaryScript:
    """A DataLoader with a worker per core, and the network in eager fp32 torch.

    The workers stay between two calls, so that their start is not counted.
    """

    def __init__(self, files: Files, network: PairNetwork, *, batch_size: int, device: str) -> None:
        self.network, self.device = network, device
        self.loader = DataLoader(
            PairFiles(files, network),
            batch_size=batch_size,
            num_workers=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            persistent_workers=True,
            pin_memory=device.startswith("cuda"),
        )

    def __call__(self) -> int:
        """Predict all files once; returns the number of pairs."""
        count = 0
        with torch.no_grad():
            for images in self.loader:
                tensors = [images[name].to(self.device) if name in images else None for name in BRANCHES]
                logits = self.network(*tensors)
                found = {task: values.softmax(1).cpu() for task, values in logits.items()}
                count += len(next(iter(found.values())))
        return count
