"""The attention of the fusion block: which region of one picture each region of the other drew on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import PredictionError
from .placement import Placement
from .region_map import RegionMap

if TYPE_CHECKING:
    from ..models.fusion import CrossAttention


@torch.no_grad()
def attention_weights(block: CrossAttention, query_map: Tensor, context_map: Tensor) -> np.ndarray:
    """The softmax inside a block, computed again from its inputs: the block itself never forms it.

    Args:
        query_map, context_map: (1, C, h, w) and (1, D, k, l), as the block was given them.

    Returns:
        (heads, h, w, k, l) float32, sums to 1 over the last two axes.
    """

    def heads(feature_map: Tensor, norm: torch.nn.Module, project: torch.nn.Module) -> Tensor:
        tokens = project(norm(feature_map[0].flatten(1).T))  # (h w, dim)
        return tokens.float().unflatten(1, (block.heads, -1)).transpose(0, 1)  # (heads, h w, dim / heads)

    query = heads(query_map, block.norm_query, block.to_query)
    key = heads(context_map, block.norm_context, block.to_key)
    weights = (query @ key.transpose(1, 2) / query.shape[2] ** 0.5).softmax(2)
    return weights.unflatten(2, context_map.shape[2:]).unflatten(1, query_map.shape[2:]).float().cpu().numpy()


@dataclass(frozen=True, eq=False)  # arrays have no single truth value
class FusionAttention:
    """What the regions of one picture (`reader`) drew on in the other (`source`), at one stride.

    Attention says where features were fetched from, not how much they changed the answer;
    `modality_contribution` measures that.

    Attributes:
        reader, source: "dermoscopy" and "clinical"; in a symmetric network also the reverse.
        stride: of the reader's map.
        weights: (heads, h, w, k, l) float32: for each head and cell of the reader's input, the share
            of each cell of the source's input.
        pictures, placements: by branch.
    """

    reader: str
    source: str
    stride: int
    weights: np.ndarray
    pictures: dict[str, Image.Image] = field(repr=False)
    placements: dict[str, Placement] = field(repr=False)

    def drawn_from(self, x: float, y: float) -> RegionMap:
        """What the point (x, y), pixels of the reader's picture, drew on; mean over the heads.

        Raises:
            PredictionError: the point lies outside what the network saw.
        """
        cell = self.placements[self.reader].cell(x, y, self.weights.shape[1:3])
        if cell is None:
            raise PredictionError(
                f"({x}, {y}) lies outside the part of the {self.reader} picture that the network saw: "
                f"left, top, right, bottom {self.placements[self.reader].source}"
            )
        title = f"what the {self.reader} region at ({x:.0f}, {y:.0f}) drew on"
        return self._map(self.weights[:, cell[0], cell[1]].mean(0), title)

    def overall(self) -> RegionMap:
        """What the whole picture drew on: mean over its cells and the heads."""
        return self._map(self.weights.mean((0, 1, 2)), f"what the {self.reader} branch read here")

    def _map(self, cells: np.ndarray, title: str) -> RegionMap:
        return RegionMap(cells, title, self.pictures[self.source], self.placements[self.source])
