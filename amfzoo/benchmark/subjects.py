"""The networks to compare: named models, and what one could use in their place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import timm
import torch
from torch import Tensor, nn

from ..factory import create_model
from ..inference.batch import BRANCHES
from ..manifest import load_manifest
from ..models.network import PairNetwork
from ..models.zoo import BACKBONES

BASELINE = "symmetric_baseline"
RESNET = "resnet50"


class ConcatenatedBackbones(nn.Module):
    """Two timm networks whose pooled features are put side by side before one linear layer.

    What one would write without this package; with ResNet-50 twice, the shape of the
    image part of FusionM4Net (Tang et al., Medical Image Analysis 2022).

    Args:
        clinical, dermoscopy: names of timm models.
        classes: of the one task.
    """

    branches = BRANCHES

    def __init__(self, clinical: str, dermoscopy: str, classes: int) -> None:
        super().__init__()
        self.clinical, self.dermoscopy = _bare(clinical), _bare(dermoscopy)
        self.head = nn.Linear(self.clinical.num_features + self.dermoscopy.num_features, classes)

    def forward(self, clinical: Tensor, dermoscopy: Tensor) -> dict[str, Tensor]:
        """(B, 3, H, W) twice -> {"diagnosis": (B, classes)}."""
        features = torch.cat([self.clinical(clinical), self.dermoscopy(dermoscopy)], dim=1)
        return {"diagnosis": self.head(features)}


@dataclass(frozen=True)
class Subject:
    """One network, as plain data that another process can build it from.

    Attributes:
        label: for people, and unique.
        kind: "model"; "control": the named model with its heavy network twice; "timm":
            `ConcatenatedBackbones`.
        names: of the model; or of the two backbones.
        pretrained: with weights; else random values, which cost the same.
    """

    label: str
    kind: str
    names: tuple[str, ...]
    pretrained: bool = False

    def build(self, **options: Any) -> nn.Module:
        """The network in evaluation mode.

        Args:
            options: of `create_model`, for a named model.

        Raises:
            UnknownModelError, WeightsError, ConfigError: as `create_model`.
        """
        if self.kind == "timm":
            network: nn.Module = ConcatenatedBackbones(*self.names, classes=11)
        elif self.kind == "control":
            architecture, heavy = self.names
            network = create_model(architecture, False, clinical=heavy, fusion="mutual")
        else:
            network = create_model(self.names[0], self.pretrained, **options)
        if isinstance(network, PairNetwork):
            network.remove_auxiliary_heads()
        return network.eval()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def named_model(name: str) -> Subject:
    """A model with its weights, where there are any."""
    plain = not any(mark in name for mark in (".", ":"))
    has_weights = not plain or name in load_manifest().default_tags
    return Subject(name, "model", (name,), has_weights)


def peers_of(model: Subject, network: PairNetwork) -> list[Subject]:
    """What a model is compared with: controls, and its backbones or ResNet-50 twice without this package."""
    config = network.config
    if len(config.branches) < len(BRANCHES):  # it has no pair to compare
        return []
    found = []
    if config.fusion != "mutual" or config.clinical != config.dermoscopy:
        control = (config.architecture, config.dermoscopy)
        found.append(Subject(f"symmetric control of {model.label}", "control", control))
    found.append(named_model(BASELINE))
    backbones = (config.clinical, config.dermoscopy)
    found.append(Subject(f"timm {' + '.join(backbones)}, concatenated", "timm", backbones))
    found.append(Subject(f"timm {RESNET} twice, concatenated", "timm", (RESNET, RESNET)))
    return found


def unique(subjects: Iterable[Subject]) -> list[Subject]:
    """Each once; a control that is a named model already there counts as that."""
    found: dict[tuple[str, ...], Subject] = {}
    for subject in subjects:
        found.setdefault((subject.kind, *subject.names), subject)
    return list(found.values())


def _bare(name: str) -> nn.Module:
    return timm.create_model(name, pretrained=False, num_classes=0, **BACKBONES.get(name, {}).get("args", {}))
