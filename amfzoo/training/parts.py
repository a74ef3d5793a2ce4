"""Pictures of a training step: what one forward pass needs, and what its teachers see."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .dataset import PairDataset
from .draws import StepDraw


@dataclass(frozen=True)
class Part:
    """What one forward pass needs of a step.

    Attributes:
        positions: (b,) int64, in the step's lesions.
        pixels: branch -> (b, H, W, 3) uint8.
        partner_pixels: of mixup's partners; None without.
        taught: what the teachers see where that is not the same.
    """

    positions: Tensor
    pixels: dict[str, Tensor]
    partner_pixels: dict[str, Tensor] | None
    taught: Part | None = None


def load_part(data: PairDataset, draw: StepDraw, positions: Tensor) -> Part:
    """Pixels of some of the step's lesions, those that are drawn for it stored once more; teachers see them as they are."""
    partners = None if draw.partners is None else data.pixels(draw.rows[draw.partners[positions]])
    part = Part(positions, data.pixels(draw.rows[positions]), partners)
    return _stored_again(part, draw, data.workers) if draw.recompressions else part


def _stored_again(part: Part, draw: StepDraw, workers: int) -> Part:
    def stored(pixels: dict[str, Tensor], positions: Tensor) -> dict[str, Tensor]:
        return {
            branch: draw.recompressions[branch].rows(positions).apply(found.clone(), workers)
            for branch, found in pixels.items()
        }

    partners = part.partner_pixels
    if partners is not None and draw.partners is not None:
        partners = stored(partners, draw.partners[part.positions])
    return Part(part.positions, stored(part.pixels, part.positions), partners, taught=part)
