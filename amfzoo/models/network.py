"""`PairNetwork`: two backbones, a fusion block and one head per task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import ConfigError
from ..images import Preprocess
from ..inference.predicting import Predicting
from ..labels import Schema, as_tasks
from .backbone import Backbone
from .config import BRANCHES, NetworkConfig, licence_of
from .freezable import PARTS, STATISTICS
from .fusion import AsymmetricFusion, Maps, MutualFusion, NoFusion
from .groups import parameter_groups
from .origin import Origin, head_sum
from .parts import Absent, PooledNorm, checked_present, make_heads, replace_absent
from .pretrained import Pretrained

_FUSIONS = {"asymmetric": AsymmetricFusion, "mutual": MutualFusion, "none": NoFusion}


class PairNetwork(Pretrained, Predicting, nn.Module):
    """A classifier of (clinical photograph, dermoscopy image) pairs with several tasks.

    Args:
        config: everything that defines the network.

    Attributes:
        config: as given; `tasks` follow `reset_heads`.
        tasks: task -> class names, in the order of the logits.
        num_features: width of `forward_features`.
        drop_fusion: in training, the probability that a lesion's maps pass the fusion block as if the other image
            were absent; drawn for each of its two images.
        origin: what it was loaded as, where that says more of the weights than their licence.
    """

    drop_fusion = 0.0
    origin: Origin | None = None

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.branches = nn.ModuleDict(
            {n: Backbone(*(getattr(config, n + end) for end in ("", "_strides", "_args"))) for n in config.branches}
        )
        channels = {name: branch.channels for name, branch in self.branches.items()}
        attention = {"dim": config.attention_dim, "heads": config.attention_heads}
        self.fusion = (
            NoFusion()
            if config.fusion == "none"
            else _FUSIONS[config.fusion](channels["clinical"], channels["dermoscopy"], **attention)
        )
        # what an absent image's maps are replaced with, where something else reads them
        self.absent = nn.ModuleDict(
            {name: Absent(channels[name]) for name in config.branches if name in self._pooled_branches()}
        )
        self.norms = nn.ModuleDict({name: PooledNorm(channels[name]) for name in self._pooled_branches()})
        self.num_features = sum(sum(channels[name]) for name in self._pooled_branches())
        self.dropout = nn.Dropout(config.dropout)
        self.heads = make_heads(self.num_features, config.tasks)
        self.mark_untrained(config.tasks)
        self.auxiliary = nn.ModuleDict(
            {
                name: nn.ModuleDict(
                    {"norm": PooledNorm(channels[name]), "heads": make_heads(sum(channels[name]), config.tasks)}
                )
                for name in (config.branches if config.auxiliary_heads else ())
            }
        )
        self._frozen: set[str] = set()

    def _pooled_branches(self) -> tuple[str, ...]:
        return tuple(name for name in self.config.branches if name == "dermoscopy" or self.config.pool_clinical)

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        """Task -> class names, in the order of the logits; a copy (`reset_heads` changes them)."""
        return dict(self.config.tasks)

    @property
    def untrained(self) -> tuple[str, ...]:
        """The tasks whose heads still have the random values that they were made with: their answers mean nothing."""
        return tuple(task for task, made in self._made.items() if made and made == head_sum(self.heads[task]))

    def _apply(self, fn: Any, recurse: bool = True) -> PairNetwork:
        untrained = self.untrained  # another device or precision teaches nothing
        with torch.inference_mode(False):  # what is made in it could be neither explained nor trained later
            super()._apply(fn, recurse)
        self.mark_untrained(untrained)
        return self

    def mark_untrained(self, tasks: Iterable[str]) -> None:
        """Say that the values that the heads of `tasks` have now were not learned, and those of all others were."""
        self._made = {task: head_sum(self.heads[task]) for task in tasks if task in self.heads}

    # ---------------------------------------------------------------- forward

    def forward_features(
        self, clinical: Tensor | None, dermoscopy: Tensor | None, present: Tensor | None = None
    ) -> Tensor:
        """Pooled, fused features.

        Args:
            clinical, dermoscopy: (B, 3, H, W), normalised; None only for a branch
                that the network does not have.
            present: (B, 2) bool, or 0 and 1, columns clinical and dermoscopy; default all true.
                Pixels of an absent image have no effect.

        Returns:
            (B, num_features).

        Raises:
            ConfigError: an image is missing that the network has a branch for, or the shapes do not belong together.
        """
        return self._forward_features(clinical, dermoscopy, present)[0]

    def _forward_features(
        self, clinical: Tensor | None, dermoscopy: Tensor | None, present: Tensor | None
    ) -> tuple[Tensor, dict[str, Maps]]:
        images = {"clinical": clinical, "dermoscopy": dermoscopy}
        present = checked_present(images, present)
        raw: dict[str, Maps] = {}
        for name, branch in self.branches.items():
            if images[name] is None:
                raise ConfigError(f"this network has a {name} branch: pass an image, and mark it absent in `present`")
            raw[name] = branch(
                replace_absent(images[name], present[:, BRANCHES.index(name)], in_training=self.training)
            )
        return self.fused(raw, present), raw

    def fused(self, raw: Mapping[str, Maps], present: Tensor) -> Tensor:
        """What `forward_features` makes of the maps of its branches.

        Args:
            raw: branch -> (B, C, h, w) per stride, as the branch gives them.
            present: as there, bool.
        """
        maps = dict(raw)
        for name, absent in self.absent.items():
            maps[name] = absent(maps[name], present[:, BRANCHES.index(name)])
        if len(maps) == 2:
            maps["clinical"], maps["dermoscopy"] = self.fusion(
                maps["clinical"], maps["dermoscopy"], self._read_in_fusion(present)
            )
        return torch.cat([norm(maps[name]) for name, norm in self.norms.items()], dim=1)

    def _read_in_fusion(self, present: Tensor) -> Tensor:
        """(B, 2) bool: the images whose maps the other branch may read."""
        if not (self.training and self.drop_fusion):
            return present
        return present & (torch.rand_like(present, dtype=torch.float32) >= self.drop_fusion)

    @overload
    def forward_head(self, features: Tensor, pre_logits: Literal[False] = False) -> dict[str, Tensor]: ...
    @overload
    def forward_head(self, features: Tensor, pre_logits: Literal[True]) -> Tensor: ...
    @overload
    def forward_head(self, features: Tensor, pre_logits: bool) -> dict[str, Tensor] | Tensor: ...
    def forward_head(self, features: Tensor, pre_logits: bool = False) -> dict[str, Tensor] | Tensor:
        """(B, num_features) -> {task: (B, classes)} logits; with `pre_logits` the heads' (B, num_features) input."""
        features = self.dropout(features)
        return features if pre_logits else {task: head(features) for task, head in self.heads.items()}

    def forward(
        self,
        clinical: Tensor | None,
        dermoscopy: Tensor | None,
        present: Tensor | None = None,
        *,
        auxiliary: bool = False,
    ) -> dict[str, Tensor]:
        """Logits of every task; arguments as in `forward_features`.

        Args:
            auxiliary: add the logits of the per-branch heads (needs
                ``auxiliary_heads=True``), which see one image each.

        Returns:
            {task: (B, classes)}; auxiliary ones under "branch/task".
        """
        features, raw = self._forward_features(clinical, dermoscopy, present)
        logits = self.forward_head(features)
        if auxiliary:
            if not self.auxiliary:
                raise ConfigError("this network has no auxiliary heads: create it with auxiliary_heads=True")
            for name, parts in self.auxiliary.items():
                pooled = self.dropout(parts["norm"](raw[name]))
                logits.update({f"{name}/{task}": head(pooled) for task, head in parts["heads"].items()})
        return logits

    # ------------------------------------------------------------ fine-tuning

    def get_classifier(self) -> nn.ModuleDict:
        """The heads, {task: nn.Linear}."""
        return self.heads

    def reset_heads(self, tasks: Schema | Mapping[str, Iterable[str]] | str) -> None:
        """Replace all heads by fresh ones for other tasks. Temperatures, prediction sets and operating points are dropped, and of
        `config.info` the name, the figures and all that is not of the weights' licence. The part "heads" is no longer frozen.

        Raises:
            ConfigError: `tasks` is not a schema.
        """
        tasks = as_tasks(tasks)
        where = next(self.heads.parameters())
        # as `_apply`, and whatever `torch.set_default_device` says
        with torch.inference_mode(False), torch.device("cpu"):
            self.heads = make_heads(self.num_features, tasks).to(where)
            for name, parts in self.auxiliary.items():
                parts["heads"] = make_heads(sum(self.branches[name].channels), tasks).to(where)
        if "heads" in self._frozen:  # fresh ones are there to be trained, with the norms before them
            self._frozen.remove("heads")
            for module in self._parts()["heads"]:
                module.requires_grad_(True)
        self.mark_untrained(tasks)
        self.config = self.config.unfitted(tasks=tasks, info=licence_of(self.config.info))

    def remove_auxiliary_heads(self) -> None:
        """Drop the per-branch heads, which only training needs."""
        self.auxiliary = nn.ModuleDict()
        self.config = self.config.replace(auxiliary_heads=False)

    def freeze(self, *parts: str) -> None:
        """Stop training of "clinical", "dermoscopy", "fusion", "heads" or "statistics"; no argument unfreezes all.

        A frozen part also keeps its normalisation statistics. "statistics" are those of batch normalisation everywhere: its
        weights learn on, but training batches are normalised as in evaluation, whatever their size.

        Raises:
            ConfigError: unknown part, or a branch that the network has not.
        """
        modules = self._parts()
        unknown = sorted(str(part) for part in parts if part not in tuple(modules))  # lists too, which have no hash
        if unknown:
            raise ConfigError(f"cannot freeze {', '.join(unknown)}; this network has {', '.join(modules)}")
        self._frozen = set(parts)
        for name, group in modules.items():
            for module in group:
                module.requires_grad_(name not in self._frozen)
        self.train(self.training)

    def _parts(self) -> dict[str, list[nn.Module]]:
        heads = [self.heads, self.norms, self.absent, self.auxiliary]
        parts = {**{name: [branch] for name, branch in self.branches.items()}, "fusion": [self.fusion], "heads": heads}
        parts[STATISTICS] = []
        return {name: parts[name] for name in PARTS if name in parts}

    def train(self, mode: bool = True) -> PairNetwork:
        """As `nn.Module.train`, but frozen parts stay in evaluation mode."""
        super().train(mode)
        for name in self._frozen:
            for module in self._parts()[name]:
                module.eval()
        if STATISTICS in self._frozen:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def set_grad_checkpointing(self, on: bool = True) -> None:
        """Trade time for memory in training: recompute the backbones' activations."""
        for branch in self.branches.values():
            branch.set_grad_checkpointing(on)

    def param_groups(
        self, lr: float, weight_decay: float = 0.05, layer_decay: float = 1.0, fusion_lr: float = 1.0
    ) -> list[dict[str, Any]]:
        """Optimiser groups: no decay of biases and norms, smaller steps for early backbone layers.

        Args:
            lr: learning rate of heads, fusion and the deepest backbone layers.
            layer_decay: factor of the rate per layer group towards the input.
            fusion_lr: factor of the rate of the fusion block.

        Returns:
            Groups with "params", "lr" and "weight_decay"; each trainable parameter once.
        """
        return parameter_groups(self, lr, weight_decay, layer_decay, fusion_lr)

    # ---------------------------------------------------- predicting, keeping

    @property
    def preprocess(self) -> dict[str, Preprocess]:
        """From file to network input, for each branch that exists."""
        return self.config.preprocess
