"""Attention between the feature maps of the two branches.

`AsymmetricFusion` is this project's reading of the asymmetric attention module
of Tang & Lasser (arXiv 2407.09999): clinical features enhance the dermoscopy
features and are never changed themselves. The exact equations of the paper were
not available; layer norms, width, heads and the zero-initialised output
projection are our choices.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Maps = list[Tensor]  # one (B, C, H, W) map per stride


class CrossAttention(nn.Module):
    """Multi-head scaled dot-product attention from one feature map to another.

    The result is added to the query map. The output projection starts at zero,
    so an untrained block is the identity. Maps may differ in size and width.
    No position is encoded: the two photographs are not aligned.

    Args:
        query_channels, context_channels: widths of the two maps.
        dim: width of the attention, divisible by `heads`.
    """

    def __init__(self, query_channels: int, context_channels: int, *, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_query = nn.LayerNorm(query_channels)
        self.norm_context = nn.LayerNorm(context_channels)
        self.to_query = nn.Linear(query_channels, dim, bias=False)
        self.to_key = nn.Linear(context_channels, dim, bias=False)
        self.to_value = nn.Linear(context_channels, dim, bias=False)
        self.to_out = nn.Linear(dim, query_channels)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, query_map: Tensor, context_map: Tensor, context_present: Tensor) -> Tensor:
        """(B, C, H, W), (B, D, h, w), (B,) bool -> (B, C, H, W); rows without context pass unchanged."""
        query = self._split(self.to_query(self.norm_query(_tokens(query_map))))  # (B, heads, HW, dim / heads)
        context = self.norm_context(_tokens(context_map))  # (B, hw, D)
        update = F.scaled_dot_product_attention(
            query, self._split(self.to_key(context)), self._split(self.to_value(context))
        )
        update = self.to_out(update.transpose(1, 2).flatten(2))  # (B, HW, C)
        update = torch.where(context_present[:, None, None], update, torch.zeros_like(update))
        return query_map + update.transpose(1, 2).unflatten(2, query_map.shape[2:])

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, N, dim) -> (B, heads, N, dim / heads)


def _tokens(feature_map: Tensor) -> Tensor:
    return feature_map.flatten(2).transpose(1, 2)  # (B, C, H, W) -> (B, HW, C)


class AsymmetricFusion(nn.Module):
    """Dermoscopy maps attend to clinical maps, stride by stride; clinical maps pass through.

    Args:
        clinical, dermoscopy: channel widths, one per stride, paired in order.
    """

    def __init__(self, clinical: Sequence[int], dermoscopy: Sequence[int], *, dim: int, heads: int) -> None:
        super().__init__()
        self.enhance = nn.ModuleList(
            CrossAttention(own, other, dim=dim, heads=heads) for own, other in zip(dermoscopy, clinical, strict=True)
        )

    def forward(self, clinical: Maps, dermoscopy: Maps, present: Tensor) -> tuple[Maps, Maps]:
        """Maps of both branches and the (B, 2) mask -> (clinical, enhanced dermoscopy)."""
        enhanced = [block(own, other, present[:, 0]) for block, own, other in zip(self.enhance, dermoscopy, clinical)]
        return clinical, enhanced


class MutualFusion(nn.Module):
    """Both branches attend to each other at once: the symmetric control."""

    def __init__(self, clinical: Sequence[int], dermoscopy: Sequence[int], *, dim: int, heads: int) -> None:
        super().__init__()
        self.to_dermoscopy = AsymmetricFusion(clinical, dermoscopy, dim=dim, heads=heads)
        self.to_clinical = AsymmetricFusion(dermoscopy, clinical, dim=dim, heads=heads)

    def forward(self, clinical: Maps, dermoscopy: Maps, present: Tensor) -> tuple[Maps, Maps]:
        """Maps of both branches and the (B, 2) mask -> (enhanced clinical, enhanced dermoscopy)."""
        _, enhanced_dermoscopy = self.to_dermoscopy(clinical, dermoscopy, present)
        _, enhanced_clinical = self.to_clinical(dermoscopy, clinical, present.flip(1))
        return enhanced_clinical, enhanced_dermoscopy


class NoFusion(nn.Module):
    """The branches meet only in the heads."""

    def forward(self, clinical: Maps, dermoscopy: Maps, present: Tensor) -> tuple[Maps, Maps]:
        """Both lists unchanged."""
        return clinical, dermoscopy
