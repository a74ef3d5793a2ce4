"""Small modules of `PairNetwork`: pooling, stand-ins for absent images, heads; and how many parameters it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..errors import ConfigError
from ..labels import same_classes
from .fusion import Maps


class PooledNorm(nn.Module):
    """Global average of each map, layer-normalised map by map, then joined.

    Maps of different depth differ much in scale; one norm over all would let the
    largest drown the others. The norms start small: an optimiser such as Adam moves every
    weight of a head by about the learning rate, so that with thousands of features of
    unit size a single step would move a logit by more than one.
    """

    START = 0.2  # of the norms' weights

    def __init__(self, channels: Iterable[int]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in channels)
        for norm in self.norms:
            nn.init.constant_(norm.weight, self.START)

    def forward(self, maps: Maps) -> Tensor:
        """One (B, C, H, W) per stride -> (B, sum of C)."""
        return torch.cat([norm(feature_map.mean((2, 3))) for norm, feature_map in zip(self.norms, maps)], dim=1)


class Absent(nn.Module):
    """Learned stand-in for the maps of an absent image, one vector per stride."""

    def __init__(self, channels: Iterable[int]) -> None:
        super().__init__()
        self.tokens = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in channels)

    def forward(self, maps: Maps, present: Tensor) -> Maps:
        """One (B, C, H, W) per stride and (B,) bool -> the same, rows without image replaced."""
        keep = present[:, None, None, None]
        return [torch.where(keep, feature_map, token[:, None, None]) for feature_map, token in zip(maps, self.tokens)]


def make_heads(width: int, tasks: Mapping[str, tuple[str, ...]]) -> nn.ModuleDict:
    """One linear classifier per task, ready to train.

    Raises:
        ConfigError: a task's name is one of torch's own (`type`, `keys`, ...).
    """
    heads = nn.ModuleDict()
    for task, classes in tasks.items():
        if hasattr(heads, task):
            raise ConfigError(f"a task cannot be called {task!r}, which torch reserves: name it e.g. 'lesion_{task}'")
        heads[task] = nn.Linear(width, len(classes))
    for head in heads.values():
        nn.init.trunc_normal_(head.weight, std=0.02)
        nn.init.zeros_(head.bias)
    return heads


def parameters(network: nn.Module) -> int:
    """How many the network that predicts has, without what only training needs."""
    return sum(p.numel() for name, p in network.named_parameters() if not name.startswith("auxiliary."))


@torch.no_grad()
def copy_rows(source: nn.Linear, known: Sequence[str], target: nn.Linear, classes: Sequence[str]) -> None:
    """Give the classes of one head the values that another head has for them."""
    same = same_classes(classes, known)
    own = [i for i, name in enumerate(classes) if name in same]
    theirs = [known.index(same[classes[i]]) for i in own]
    for name in ("weight", "bias"):
        getattr(target, name)[own] = getattr(source, name)[theirs].to(getattr(target, name))


def checked_present(images: Mapping[str, Tensor | None], present: Tensor | None) -> Tensor:
    """(B, 2) bool: which images are there, by default all.

    Args:
        images: "clinical" and "dermoscopy" -> (B, 3, H, W), None for a branch that the network does not have.

    Raises:
        ConfigError: there is no image, or shapes do not belong together: broadcast, one image would be taken for many lesions.
    """
    given = {name: image for name, image in images.items() if image is not None}
    if not given:
        raise ConfigError("there is no image: pass (B, 3, H, W) for each branch, and mark absent ones in `present`")
    first = next(iter(given.values()))
    if present is None:
        # not len(first), which would fix the batch size of a trace or an export
        present = torch.ones(first.shape[0], len(images), dtype=torch.bool, device=first.device)
    if not isinstance(present, Tensor):
        present = torch.as_tensor(present, device=first.device)
    if not torch.jit.is_tracing() and (
        any(image.ndim != 4 or image.shape[0] != first.shape[0] for image in given.values())
        or tuple(present.shape) != (first.shape[0], len(images))
    ):
        shapes = ", ".join(f"{name} {tuple(image.shape)}" for name, image in given.items())
        raise ConfigError(
            f"images must be (B, 3, H, W) and present (B, {len(images)}), with the same B; got {shapes}, present "
            f"{tuple(present.shape)}. For one pair add an axis, image[None]"
        )
    return present if present.dtype == torch.bool else present.bool()


def replace_absent(image: Tensor, present: Tensor, *, in_training: bool) -> Tensor:
    """Pixels of absent images replaced, so that they can reach nothing.

    In training a present image of the batch takes the place, since a blank one would
    enter the statistics of batch normalisation. If a batch has none for a branch, a
    blank one does enter: freeze a branch that a data set has no images for (`finetune` does, and keeps blank ones out).

    Args:
        image: (B, 3, H, W). present: (B,) bool.
    """
    if in_training:
        rows = torch.arange(len(present), device=present.device)
        donor = torch.where(present, rows, -1).cummax(0).values  # last present row so far
        donor = torch.where(donor < 0, donor[-1], donor).clamp(min=0)
        image = image[donor]
        present = present[donor]
    return torch.where(present[:, None, None, None], image, torch.zeros_like(image))
