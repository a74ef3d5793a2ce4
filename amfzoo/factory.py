"""`create_model`: from a name to a network, with verified weights if wanted."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from . import hub
from .device import META, check_device, check_numbers
from .errors import ConfigError, UnknownModelError
from .hub import HUB_PREFIX, LOCAL_PREFIX
from .labels import Schema, as_tasks
from .models.config import NetworkConfig
from .models.loading import build_loaded
from .models.network import PairNetwork
from .registry import model_entry


def create_model(
    name: str | os.PathLike[str],
    pretrained: bool | None = None,
    *,
    tasks: Schema | Mapping[str, Iterable[str]] | str | None = None,
    device: str | torch.device | None = None,
    local_files_only: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    **config: Any,
) -> PairNetwork:
    """Build a network by name; the one entry point for every kind of weights.

    Args:
        name: ``"amf_small"``, ``"amf_small.<tag>"``, ``"hf-hub:org/repo[@revision]"``
            or ``"local-dir:/folder"``.
        pretrained: load weights. By default true for a name that names weights (all
            but the first form). False never touches the network.
        tasks: task -> classes, a schema, or a schema's name. With weights: heads of
            the same task and classes, in whatever order, are kept, the others are fresh but for the classes that the
            weights know, and this is logged.
        device: where to put the network; default CPU.
        local_files_only: use only what is on this machine already.
        cache_dir: folder of the Hub's cache, instead of the usual one.
        token: for private repositories of the Hub; default HF_TOKEN, or that of `hf auth login`.
        **config: any field of `NetworkConfig`, e.g. ``dermoscopy="convnext_tiny"``,
            ``fusion="none"``, ``clinical=None``. With weights, ``temperatures``, ``conformal`` and ``operating_points``
            replace those of the tasks that they name (``{}`` takes all away, an operating point of ``{}`` one);
            ``clinical_preprocess`` and ``dermoscopy_preprocess`` may name some keys, such as ``{"size": (192, 192)}``,
            and leave the others as the weights or the backbone have them; every other field is set as a whole.

    Returns:
        The network, in evaluation mode if it has weights, else in training mode.

    Raises:
        UnknownModelError: no such model, or no weights for it.
        ConfigError: a setting or the tasks make no network, or the device is not there.
        WeightsError: the weights cannot be had, fail verification, or do not fit.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise ConfigError(f"a model is named by a string, such as 'amf_small', not by {name!r:.200}")
    if isinstance(pretrained, str):
        raise ConfigError(f"pretrained is True or False; weights have a name of their own: '{name}.{pretrained}'")
    is_location = isinstance(name, os.PathLike) or name.startswith((HUB_PREFIX, LOCAL_PREFIX))
    if not is_location and ("/" in name or os.sep in name):
        raise UnknownModelError(f"there is no model named {name!r}; {hub.how_written(name)}")
    names_weights = is_location or "." in name
    if pretrained is None:
        pretrained = names_weights
    if pretrained:
        if not is_location:
            model_entry(name.partition(".")[0])  # a wrong model name gets its own message
        NetworkConfig.check_names(config)  # before anything is fetched
        # not from_pretrained, which takes bare folders: a name here is never a folder that happens to be there
        found = hub.resolve(name, local_files_only=local_files_only, cache_dir=cache_dir, token=token)
        model = build_loaded(PairNetwork, found, config, None if tasks is None else as_tasks(tasks))
    elif names_weights:
        raise ConfigError(
            f"{name!r} names weights, so pretrained=False has nothing to build: "
            "name the model alone, e.g. 'amf_small', for a network without weights"
        )
    else:
        with torch.inference_mode(False):  # as `build_loaded`
            model = model_entry(name).build(**({} if tasks is None else {"tasks": tasks}), **config)
    return moved(model, device)


def moved(model: PairNetwork, device: str | torch.device | None) -> PairNetwork:
    """The network on a device, None for where it is.

    Raises:
        ConfigError: there is no such device here.
    """
    if device is None:
        return model
    if str(device) != META:
        check_device(device)
    return model.to(device)


def copied_or_created(model: str | os.PathLike[str] | PairNetwork, **where: Any) -> PairNetwork:
    """A copy of a network, named as what it is now (`settle_info`), or what `create_model` makes of a name, with weights; `where`: of its arguments.

    Raises:
        ConfigError: it is another module, or has no numbers; or as `create_model`.
        UnknownModelError, WeightsError: as `create_model`.
    """
    if isinstance(model, PairNetwork):
        check_numbers(model)
        copied = copy.deepcopy(model)
        copied.settle_info()  # what was just created is what it says
        return copied
    if isinstance(model, torch.nn.Module):
        raise ConfigError(
            f"a {type(model).__name__} is no network of amfzoo: give the PairNetwork itself, which wrappers hold "
            "(torch.compile as `_orig_mod`, DataParallel as `module`)"
        )
    return create_model(model, True, **where)
