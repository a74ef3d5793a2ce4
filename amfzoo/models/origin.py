"""What a network was loaded as: the name and the figures of some weights are not those of others."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..checks import UNTRAINED, untrained_tasks
from .config import licence_of
from .refitted import refitted_info, without_refit

if TYPE_CHECKING:
    from .config import NetworkConfig
    from .network import PairNetwork

logger = logging.getLogger("amfzoo")
# fields of a config that say how often its network is right, or calls
_CLAIMS = ("conformal", "operating_points")
_TRAINING_ONLY = ("dropout", "auxiliary_heads")
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True)
class Origin:
    """Of a loaded network.

    Attributes:
        source: where from, in words.
        config: as its folder has it.
        checksum: see `checksum`.
    """

    source: str
    config: NetworkConfig
    checksum: int


def origin_of(network: PairNetwork, config: NetworkConfig, source: str) -> Origin | None:
    """Of a network as it is now; None if its folder says nothing of the weights but their licence.

    Args:
        config: as the folder has it, before any changes.
    """
    says_more = len(config.info) > len(licence_of(config.info)) or any(getattr(config, name) for name in _CLAIMS)
    return Origin(source, config, checksum(network)) if says_more else None


def checksum(network: PairNetwork) -> int:
    """A number that changes with the weights, in a few hundredths of the time that loading them takes.

    The sum of their bits as whole numbers: whatever order they are added in, and wherever, it is the same. In double
    precision they are the same weights, of which single precision is what is kept.
    """
    return _bits(tensor for name, tensor in network.state_dict().items() if not name.startswith("auxiliary."))


def head_sum(head: nn.Module) -> int:
    """As `checksum`, of one head; 0 where it has no values."""
    tensors = list(head.state_dict().values())
    return 0 if any(tensor.is_meta for tensor in tensors) else _bits(tensors)


def _bits(tensors: Iterable[Tensor]) -> int:
    small: dict[torch.dtype, list[Tensor]] = {}
    found: list[Tensor] = []
    for tensor in map(Tensor.detach, tensors):
        tensor = tensor.float() if tensor.dtype == torch.float64 else tensor
        if tensor.ndim < 2:  # hundreds, which take less time together
            small.setdefault(tensor.dtype, []).append(tensor.reshape(-1))
        else:
            found.append(tensor)
    total = 0
    for place, tensor in enumerate([*found, *map(torch.cat, small.values())], start=1):
        width = tensor.element_size()
        # modulo 2**32: a third of the time of 64 bits
        total += place * int(tensor.view(_INTEGERS[width]).sum(dtype=_INTEGERS[max(4, width)]))
    return total


def settle_info(network: PairNetwork) -> None:
    """See `PairNetwork.settle_info`.

    Other preprocessing, or other settings of the layers, count as other weights. What was added since is kept.
    """
    _note_untrained(network)
    origin = network.origin
    if origin is None or any(parameter.is_meta for parameter in network.parameters()):
        return
    if _computes(network.config) == _computes(origin.config) and checksum(network) == origin.checksum:
        info = refitted_info(network.config, origin.config)
        if info != network.config.info:
            network.config = network.config.replace(info=info)
        return
    info, licence = without_refit(network.config.info, origin.config), licence_of(network.config.info)
    loaded = origin.config
    kept = {k: value for k, value in info.items() if k in (*licence, UNTRAINED) or loaded.info.get(k) != value}
    fitted = {
        name: {
            task: own for task, own in getattr(network.config, name).items() if getattr(loaded, name).get(task) != own
        }
        for name in _CLAIMS
    }
    network.origin = None
    changed = network.config.replace(info=kept, **fitted)
    if changed != network.config:
        network.config = changed
        logger.warning(
            "the network is no longer that of %s, so its name, figures, prediction sets and operating points are left out; "
            "its licence is kept",
            origin.source,
        )


def _note_untrained(network: PairNetwork) -> None:
    """`info["untrained"]`: the tasks whose heads still are as they were made."""
    info, untrained = network.config.info, list(network.untrained)
    if untrained_tasks(info) != untrained:
        rest = {key: value for key, value in info.items() if key != UNTRAINED}
        network.config = network.config.replace(info={**rest, UNTRAINED: untrained} if untrained else rest)


def _computes(config: NetworkConfig) -> dict[str, Any]:
    """What decides, beside the weights, which logits a network has."""
    settings = config.to_dict()
    network = {key: value for key, value in settings["network"].items() if key not in _TRAINING_ONLY}
    return {"network": network, "preprocessing": settings["preprocessing"]}
