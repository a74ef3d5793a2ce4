"""Occlusion maps: how far the evidence for a class falls where a square of the picture is covered (Zeiler & Fergus,
"Visualizing and understanding convolutional networks", ECCV 2014, arXiv 1311.2901).

The network is asked anew for every square and no gradient is used, so that what speaks against a class, and what the network
reads beyond the pixels of a cell, is counted as it works. Only the other image's feature maps, which stay the same, are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice

import numpy as np
from torch import Tensor

from ..inference.batch import Inputs, Logits, stack
from ..inference.torch_logits import Forward, start_logits, without_autocast
from ..models.network import PairNetwork

CELLS = 8  # of a map, down and across
SPAN = 2  # cells that a square covers, down and across; each cell lies in SPAN x SPAN squares
BATCH = 16
NEGLIGIBLE = 1e-4  # of log-odds: rounding, which would else be all of a map where the answer depends on nothing


def covered_logits(model: PairNetwork, inputs: Inputs, branch: str, maps: Mapping[str, Sequence[Tensor]]) -> Logits:
    """Logits of the pair as it is, then with each square of one image covered, row by row from the upper left.

    Args:
        inputs: branch -> (3, H, W) network input, None where the image is missing.
        branch: whose image is covered.
        maps: branch -> (1, C, h, w) per stride of this pair, of which those of the other branch are taken as they are. A
            network that computes otherwise than `PairNetwork` is asked for all of it.

    Returns:
        task -> (1 + (CELLS + SPAN - 1) ** 2, classes) float32.
    """
    usual = type(model)._forward_features is PairNetwork._forward_features
    forward = _with_maps(model, branch, maps) if usual else None
    rows = chain([inputs], _covered(inputs, branch))
    found: list[Logits] = []
    with without_autocast(model):
        while batch := list(islice(rows, BATCH)):
            found.append(start_logits(model, stack(batch, model.preprocess), forward=forward).logits())
    return {task: np.concatenate([part[task] for part in found]) for task in found[0]}


def occlusion(logits: np.ndarray, label: int) -> np.ndarray:
    """Evidence for a class by place, from `covered_logits` of its task.

    Returns:
        (CELLS, CELLS) float32: how far the log-odds of the class against the others fall, the mean over the squares
        that cover the cell; 0 where they rise.
    """
    others = np.delete(logits, label, axis=1).astype(np.float64)
    peak = others.max(1)
    odds = logits[:, label] - (peak + np.log(np.exp(others - peak[:, None]).sum(1)))
    side = CELLS + SPAN - 1
    falls = (odds[0] - odds[1:]).reshape(side, side)
    cells = np.lib.stride_tricks.sliding_window_view(falls, (SPAN, SPAN)).mean((2, 3))
    return np.where(cells > NEGLIGIBLE, cells, 0).astype(np.float32)


def _with_maps(model: PairNetwork, branch: str, maps: Mapping[str, Sequence[Tensor]]) -> Forward:
    """The network, but for the branch whose image stays the same."""

    def forward(clinical: Tensor | None, dermoscopy: Tensor | None, present: Tensor) -> dict[str, Tensor]:
        pixels = {"clinical": clinical, "dermoscopy": dermoscopy}[branch]
        raw: dict[str, list[Tensor]] = {branch: model.branches[branch](pixels)}
        for name in maps.keys() - raw:  # they may have been computed within autocast
            raw[name] = [one.to(raw[branch][0].dtype).expand(len(present), -1, -1, -1) for one in maps[name]]
        return model.forward_head(model.fused(raw, present))

    return forward


def _covered(inputs: Inputs, branch: str) -> Iterator[Inputs]:
    pixels = inputs[branch]
    assert pixels is not None
    height, width = pixels.shape[1:]
    rows, columns = (np.linspace(0, length, CELLS + 1).round().astype(int) for length in (height, width))
    colour = edge_colour(pixels)
    for top in range(1 - SPAN, CELLS):
        for left in range(1 - SPAN, CELLS):
            changed = pixels.copy()
            down = slice(rows[max(top, 0)], rows[min(top + SPAN, CELLS)])
            across = slice(columns[max(left, 0)], columns[min(left + SPAN, CELLS)])
            changed[:, down, across] = colour[:, None, None]
            yield {**inputs, branch: changed}


def edge_colour(pixels: np.ndarray) -> np.ndarray:
    """(3,): median of the outermost sixteenth of (3, H, W); mostly skin, where the mean would keep some lesion."""
    height, width = pixels.shape[1:]
    edge = np.ones((height, width), bool)
    edge[height // 16 : -(height // 16), width // 16 : -(width // 16)] = False
    return np.median(pixels[:, edge], axis=1)
