"""Augmentation by a lossy encoder: a picture is stored once more, as JPEG or WebP, before a network sees it.

Apps and archives may store pictures anew, and a network that saw those of one data set alone can answer these less well
(`benchmarks/recompression.py` measures by how much).
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

WORST, BEST = 40, 95  # quality, of 100


@dataclass(frozen=True)
class Recompression:
    """One draw for B images of one branch.

    Attributes:
        quality: (B,) int64, of the encoder, in 1..100; 0 leaves the picture as it is.
        webp: (B,) bool: WebP, else JPEG.
    """

    quality: Tensor
    webp: Tensor

    @classmethod
    def draw(cls, share: float, count: int, random: torch.Generator) -> Recompression:
        """`share` of the pictures, as either kind, with a quality of `WORST` to `BEST`."""
        chosen, kind = torch.rand(2, count, generator=random)
        quality = torch.randint(WORST, BEST + 1, (count,), generator=random)
        return cls(torch.where(chosen < share, quality, 0), kind < 0.5)

    def rows(self, rows: Tensor) -> Recompression:
        """The draw for some of the images."""
        return Recompression(self.quality[rows], self.webp[rows])

    def apply(self, pixels: Tensor, workers: int = 1) -> Tensor:
        """The pictures, in the same place in memory.

        Args:
            pixels: (B, H, W, 3) uint8 on the CPU.
            workers: threads; encoders release the interpreter lock.
        """
        array = pixels.numpy()

        def store(row: int) -> None:
            kind = "WEBP" if self.webp[row] else "JPEG"
            array[row] = stored_again(array[row], kind, int(self.quality[row]))

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(store, self.quality.nonzero().flatten().tolist()))
        return pixels


def stored_again(picture: np.ndarray, kind: str, quality: int) -> np.ndarray:
    """(H, W, 3) uint8 as Pillow's encoder `kind` ("JPEG", "WEBP") gives it back, its other settings as they are."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))
