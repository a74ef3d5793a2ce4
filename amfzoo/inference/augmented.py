"""Test-time augmentation: a network that looks at each pair from several sides."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from ..models.network import PairNetwork


class Augmented(nn.Module):
    """Wraps a network so that its probabilities are the mean over mirrored and turned images.

    Both images of a pair are turned alike: by right angles and mirrored, eight views, or
    four (without the quarter turns) where an image is not square. Takes the network's
    place in `predict_stream`.

    Args:
        model: the network; its weights are shared, not copied.

    Attributes:
        views: what is done to (B, 3, H, W) of either image; the first leaves it as it is.
    """

    def __init__(self, model: PairNetwork) -> None:
        super().__init__()
        self.model = model
        square = all(p.size[0] == p.size[1] for p in model.preprocess.values())
        turns = (0, 1, 2, 3) if square else (0, 2)
        self.views = [partial(_view, turn=turn, mirror=mirror) for turn in turns for mirror in (False, True)]
        self.config, self.tasks, self.preprocess = model.config, model.tasks, model.preprocess

    def forward(
        self, clinical: Tensor | None, dermoscopy: Tensor | None, present: Tensor | None = None
    ) -> dict[str, Tensor]:
        """As the network's; logits whose softmax, after the temperature, is the mean of the views' probabilities."""
        sums: dict[str, Tensor] = {}
        for view in self.views:
            seen = (None if image is None else view(image) for image in (clinical, dermoscopy))
            for task, logits in self.model(*seen, present).items():
                # mps has no double precision
                logits = logits.float().cpu() if logits.device.type == "mps" else logits
                p = (logits.double() / self._temperature(task)).softmax(1)
                sums[task] = sums.get(task, 0) + p
        least = torch.finfo(torch.float64).tiny
        return {
            task: (p / len(self.views)).clamp(min=least).log() * self._temperature(task) for task, p in sums.items()
        }

    def _temperature(self, task: str) -> float:
        return self.config.temperatures.get(task, 1.0)


def _view(image: Tensor, turn: int, mirror: bool) -> Tensor:
    """(B, 3, H, W) turned by `turn` right angles, then mirrored."""
    image = torch.rot90(image, turn, (2, 3))
    return image.flip(3) if mirror else image
