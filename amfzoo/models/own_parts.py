"""Whether a network is what its config says: only then is what is saved of it what is loaded again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..errors import ConfigError
from .loading import without_random_values

if TYPE_CHECKING:
    from .network import PairNetwork

_COMPUTES = ("forward", "_forward", "_pooled_branches", "_read_in_fusion")  # how such methods' names begin


def refuse_own_parts(network: PairNetwork) -> None:
    """A model folder holds a config and tensors, no code, so a network is loaded, and every epoch of a run kept, as a
    `PairNetwork` of its config.

    Raises:
        ConfigError: that would be another network: a class of its own computes otherwise, or a part was replaced.
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
            usual = {name: type(part) for name, part in PairNetwork(network.config).named_modules() if name}
        found = {name: type(part) for name, part in network.named_modules() if name}
        own = [name for name in {**usual, **found} if usual.get(name) is not found.get(name)]
    if own:
        raise ConfigError(
            f"the config of this network does not tell all of it: {', '.join(own[:3])}{', ...' if len(own) > 3 else ''} "
            f"{'is' if len(own) == 1 else 'are'} not what a PairNetwork of that config has, so it would be loaded as another "
            "network. Train it in a loop of your own and keep its state_dict(), or make it from what NetworkConfig offers"
        )
