"""Networks whose answer is known to depend on one thing: how much red there is in a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from networks import build
from PIL import Image
from torch import Tensor, nn

from amfzoo.models.parts import make_heads

SIDE = 128  # pixels of the network's input
GREY, RED = (120, 120, 120), (250, 30, 30)


class Averages(nn.Module):
    """In a backbone's place: the mean colour of each cell, so that nothing is hidden between pixels and maps."""

    strides = (16, 32)
    channels = (3, 3)

    def forward(self, image: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(image, stride) for stride in self.strides]


class Plain(nn.Module):
    """In the place of the norms: the mean of each map."""

    def forward(self, maps: list[Tensor]) -> Tensor:
        return torch.cat([feature_map.mean((2, 3)) for feature_map in maps], dim=1)


def red_network(reads: str = "dermoscopy", **config: Any):
    """Tasks red (no, yes) and blue (no, yes), told by the mean colours of the `reads` picture alone."""
    values = {"size": (SIDE, SIDE), "mean": (0, 0, 0), "std": (1, 1, 1), **config.pop("preprocess", {})}
    preprocess = {f"{name}_preprocess": values for name in ("clinical", "dermoscopy")}
    network = build(tasks={"red": ("no", "yes"), "blue": ("no", "yes")}, fusion="none", **preprocess, **config)
    for name in network.branches:
        network.branches[name] = Averages()
        network.absent[name].tokens = nn.ParameterList(nn.Parameter(torch.zeros(3)) for _ in range(2))
        network.norms[name] = Plain()
    network.num_features = 6 * len(network.norms)
    network.heads = make_heads(network.num_features, network.tasks)
    first = 6 * list(network.norms).index(reads)
    with torch.no_grad():
        for task, channel in (("red", 0), ("blue", 2)):
            head = network.heads[task]
            head.weight.zero_()
            for column in (first, first + 3):
                # red, but not grey: the channel less the mean of the others
                head.weight[1, column : column + 3] = -10.0
                head.weight[1, column + channel] = 20.0
    return network.eval()


def with_square(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A grey picture of `size` (width, height) with a red (left, top, right, bottom)."""
    picture = Image.new("RGB", size, GREY)
    picture.paste(RED, box)
    return picture


def share_inside(heat: np.ndarray, box: tuple[int, int, int, int]) -> float:
    """How much of a map lies within (left, top, right, bottom)."""
    left, top, right, bottom = box
    return float(heat[top:bottom, left:right].sum() / heat.sum())
