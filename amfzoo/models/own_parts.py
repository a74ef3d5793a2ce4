"""Whether a network is what its config says, as far as the classes of its parts and the shapes of its tensors tell: only
then is what is saved of it what is loaded again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from timm.layers import BatchNormAct2d, SyncBatchNormAct
from torch import nn

from ..errors import ConfigError
from .loading import without_random_values

if TYPE_CHECKING:
    from .network import PairNetwork

# how the names of methods begin that decide what is computed
_COMPUTES = ("forward", "_forward", "__call__", "_call_impl", "_pooled_branches", "_read_in_fusion")
# what several processes put in the place of a normalisation, and undo
_SHARED = {nn.SyncBatchNorm: nn.BatchNorm2d, SyncBatchNormAct: BatchNormAct2d}


def refuse_own_parts(network: PairNetwork) -> None:
    """A model folder holds a config and tensors, no code, so a network is loaded, and every epoch of a run kept, as a
    `PairNetwork` of its config.

    Raises:
        ConfigError: that would be another network: a class of its own computes otherwise, or a part was replaced. Hooks,
            and settings of a part that its class and its tensors do not show, are not looked at.
    """
    from .network import PairNetwork

    own = [
        f"{kind.__name__}.{name}"
        for kind in type(network).__mro__[: type(network).__mro__.index(PairNetwork)]
        for name in vars(kind)
        if name.startswith(_COMPUTES)
    ]
    if not own:
        # a run must not end with other weights because it was saved in between
        with torch.random.fork_rng(devices=[]), without_random_values(), torch.device("cpu"):
            usual = _parts(PairNetwork(network.config))
        found = _parts(network)
        # such as a loss; deeper down it may be computed with
        hung_on = {name for name, part in network.named_children() if name not in usual and not part.state_dict()}
        own = [
            name
            for name in {**usual, **found}
            if usual.get(name) != found.get(name) and name.partition(".")[0] not in hung_on
        ]
    if own:
        raise ConfigError(
            f"the config of this network does not tell all of it: {', '.join(own[:3])}{', ...' if len(own) > 3 else ''} "
            f"{'is' if len(own) == 1 else 'are'} not what a PairNetwork of that config has, so it would be loaded as another "
            "network. Train it in a loop of your own and keep its state_dict(), or make it from what NetworkConfig offers"
        )


def _parts(network: PairNetwork) -> dict[str, Any]:
    """Name -> class of every module, shape of every tensor."""
    kinds = {name: _SHARED.get(type(part), type(part)) for name, part in network.named_modules() if name}
    return kinds | {name: tensor.shape for name, tensor in network.state_dict().items()}
