"""The mean of networks that were trained from one another, or from one start."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..errors import ConfigError
from .config import joined_licences
from .network import PairNetwork


@torch.no_grad()
def averaged(networks: Sequence[PairNetwork], shares: Sequence[float] | None = None) -> PairNetwork:
    """A network like the first, on the CPU and in evaluation mode, whose weights are the mean of those of all.

    Networks that learned from one start often lie in one basin, and their mean then knows what each of them does (Wortsman et al.,
    "Model soups", ICML 2022); others do not, and their mean knows nothing: judge it. Tensors that all have in the same shape are
    averaged, normalisation statistics too; the others, and heads of other classes or another order of them, are the first one's. What was fitted to
    lesions stays behind, and so do name and figures; of where the networks come from the licences stay.

    Args:
        networks: not changed.
        shares: one per network; default all the same.

    Raises:
        ConfigError: no network, networks of several architectures, or shares that are not one per network and do not sum to 1.
    """
    if not networks:
        raise ConfigError("there are no networks to average")
    shares = [1 / len(networks)] * len(networks) if shares is None else list(shares)
    if len(shares) != len(networks) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ConfigError(f"the shares must be {len(networks)} numbers that sum to 1, got {shares}")
    config = networks[0].config
    for number, network in enumerate(networks[1:], start=2):
        if _body(network) != _body(networks[0]):
            raise ConfigError(
                f"network {number} ({network.config.architecture}) is built otherwise than the first ({config.architecture}), so "
                "their weights have no mean: average networks with the same backbones and fusion"
            )
    shared = {
        task for task in config.tasks if all(network.tasks.get(task) == config.tasks[task] for network in networks)
    }
    first, *others = (network.state_dict() for network in networks)
    state = {}
    for name, values in first.items():
        task = _task(name)
        alike = others if task is None or task in shared else []
        same = [other[name] for other in alike if name in other and other[name].shape == values.shape]
        whole = values.is_floating_point() and len(same) == len(others)
        state[name] = sum(share * one.cpu() for share, one in zip(shares, [values, *same])) if whole else values
    mean = PairNetwork(config.unfitted(info=joined_licences(network.config.info for network in networks)))
    mean.load_state_dict(state)
    mean.mark_untrained(
        task
        for task in config.tasks
        if all(task in one.untrained for one in (networks if task in shared else networks[:1]))
    )
    return mean.eval()


def _body(network: PairNetwork) -> object:
    """What must be the same for a mean to be one: where attention has as many heads, and all tensors behind which the heads are."""
    shapes = {n: v.shape for n, v in network.state_dict().items() if n.startswith(("branches.", "fusion."))}
    return network.config.fusion, network.config.attention_heads, shapes


def _task(name: str) -> str | None:
    """The task of a tensor of a head, by the tensor's name; None of any other."""
    _, heads, task = name.partition("heads.")
    return task.partition(".")[0] if heads and name.startswith(("heads.", "auxiliary.")) else None
