"""Putting a state dict into a network: strict, except where the caller said otherwise."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from ..checks import untrained_tasks
from ..errors import ConfigError, WeightsError
from ..folder import read_folder
from ..hub import HUB_PREFIX, Resolved
from ..labels import same_classes
from ..manifest import load_manifest
from .config import FITTED, NetworkConfig
from .origin import origin_of, settle_info
from .parts import copy_rows

logger = logging.getLogger("amfzoo")
Net = TypeVar("Net", bound=nn.Module)


_INITIALISERS = ("uniform_", "normal_", "trunc_normal_", "kaiming_uniform_", "kaiming_normal_")
_building = threading.local()
_installing = threading.Lock()
_threads_building = 0
_installed: dict[str, tuple[Callable[..., torch.Tensor], Callable[..., torch.Tensor]]] = {}


@contextlib.contextmanager
def without_random_values() -> Iterator[None]:
    """In its scope this thread's calls of `torch.nn.init` leave new parameters as they are.

    For networks whose every parameter is loaded right afterwards: drawing random values
    costs more than half of building a small one. The functions are replaced while a
    thread is in the scope, and are the usual ones for every other thread. (A
    TorchFunctionMode would do without replacing them, but costs as much as it saves.)
    """
    global _threads_building
    with _installing:
        if not _threads_building:
            for name in _INITIALISERS:
                _install(name)
        _threads_building += 1
    _building.depth = getattr(_building, "depth", 0) + 1
    try:
        yield
    finally:
        _building.depth -= 1
        with _installing:
            _threads_building -= 1
            if not _threads_building:
                for name, (wrapper, initialise) in _installed.items():
                    # another library that loads a model in another thread may have put its own there, or the first one back
                    if getattr(nn.init, name) is wrapper:
                        setattr(nn.init, name, initialise)


def _install(name: str) -> None:
    initialise = getattr(nn.init, name)

    @functools.wraps(initialise)
    def wrapper(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        return tensor if getattr(_building, "depth", 0) else initialise(tensor, *args, **kwargs)

    _installed[name] = wrapper, initialise
    setattr(nn.init, name, wrapper)


def as_source(source: str | os.PathLike[str]) -> str | Path:
    """What `from_pretrained` takes, in the form `hub.resolve` takes: a bare folder or "org/repo" too.

    A listed name means the listed weights, whatever folders of that name lie about.
    """
    text = os.fspath(source)
    if isinstance(source, os.PathLike):
        return Path(source)
    if Path(text).is_dir() and load_manifest().find(text) is None:
        return Path(text)
    is_repo = text.count("/") == 1 and ":" not in text and not text.startswith((".", "~", "/"))
    return HUB_PREFIX + text if is_repo else text


@torch.inference_mode(False)  # what is made in it could be neither explained nor trained later
def build_loaded(
    build: Callable[[NetworkConfig], Net],
    found: Resolved,
    changes: Mapping[str, Any],
    tasks: dict[str, tuple[str, ...]] | None = None,
) -> Net:
    """The network of a verified model folder, in evaluation mode.

    One thread does it all: reading the file on a second one while the network is built takes longer than both one after
    the other, since Python's lock passes between them every few milliseconds.

    Args:
        build: from config to network.
        changes: config fields to change; new auxiliary heads start untrained. Of what was fitted (`FITTED`) that of the
            tasks that are named replaces the weights' own and `{}` takes all away, as `{task: {}}` does with an operating
            point. With another temperature a task loses the prediction sets and the operating point of the one before,
            with other preprocessing the network loses the weights' name and figures, see `settle_info`.
        tasks: see `change_heads`.

    Raises:
        WeightsError, ConfigError: see `read_folder`, `NetworkConfig` and `load_weights`.
    """
    fresh_auxiliary = "auxiliary_heads" in changes
    fitted = {name: value for name, value in changes.items() if name in FITTED}  # of the tasks that there will be
    changes = {name: value for name, value in changes.items() if name not in FITTED}
    loaded = read_folder(found.folder, expect=found.expect)
    try:
        config = NetworkConfig.from_dict(loaded.config)
    except ConfigError as error:
        raise ConfigError(f"{found.description}: {error}") from error
    # where the tensors of the file are, whatever `torch.set_default_device` says
    with contextlib.nullcontext() if fresh_auxiliary else without_random_values(), torch.device("cpu"):
        model = build(config.replace(**changes))
    if torch.get_default_dtype() != torch.float32:  # it would round the weights, under the name and figures of others
        model.float()
    load_weights(model, loaded.state, found.description, fresh_auxiliary=fresh_auxiliary)
    model.mark_untrained(untrained_tasks(config.info))
    model.origin = origin_of(model, config, found.description)
    if tasks is not None:
        change_heads(model, tasks, found.description)
    if changes:
        settle_info(model)  # first: what is given stays, also where it is what the weights had
    if fitted:
        model.config = model.config.replace(**_merged(model, fitted))
        settle_info(model)
    return model.eval()


def _merged(model: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was fitted to weights, and what a user sets; what is wrong is left to the check of the config."""
    found = {
        name: {**getattr(model.config, name), **new} if isinstance(new, Mapping) and new else new
        for name, new in given.items()
    }
    points = found.get("operating_points")
    if isinstance(points, Mapping):
        found["operating_points"] = {t: point for t, point in points.items() if point != {} or t not in model.tasks}
    before, after = model.config.temperatures, found.get("temperatures")
    if isinstance(after, Mapping):
        moved = {task for task in model.tasks if after.get(task, 1) != before.get(task, 1)}
        for name in ("conformal", "operating_points"):
            own, mine = getattr(model.config, name), given.get(name, {})
            if name in given and not (isinstance(mine, Mapping) and mine):  # all goes, or the config refuses it
                continue
            lost = moved & (set(own) - set(mine))
            if lost:
                found[name] = {t: value for t, value in found.get(name, own).items() if t not in lost}
                words = ", ".join(sorted(lost))
                logger.warning(
                    "the %s of %s held for another temperature and are dropped", name.replace("_", " "), words
                )
    return found


def load_weights(model: nn.Module, state: dict[str, torch.Tensor], source: str, *, fresh_auxiliary: bool) -> None:
    """Make the tensors of `state` those of the network; every one must fit, but `fresh_auxiliary` heads may be new.

    They are taken over, not copied, so `state` must be for this network alone.

    Raises:
        WeightsError: a tensor is missing, unknown, of another shape or of another kind of numbers.
    """
    own = model.state_dict(keep_vars=True)
    missing = [k for k in own if k not in state and not (fresh_auxiliary and k.startswith("auxiliary."))]
    extra = [k for k in state if k not in own]
    wrong = [k for k in own if k in state and own[k].shape != state[k].shape]
    if missing or extra or wrong:
        raise WeightsError(
            f"the weights of {source} do not fit the network: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(extra)} unknown {extra[:3]}, {len(wrong)} of another shape {wrong[:3]}. "
            "Load them without settings that change the architecture, or build the network with pretrained=False"
        )
    kinds = [k for k in state if state[k].is_floating_point() != own[k].is_floating_point() or state[k].is_complex()]
    if kinds:
        raise WeightsError(
            f"the weights of {source} do not fit the network: {len(kinds)} tensors hold numbers of another kind, "
            f"e.g. {kinds[0]} {state[kinds[0]].dtype} instead of {own[kinds[0]].dtype}"
        )
    state = {k: tensor.to(own[k].dtype) for k, tensor in state.items()}  # the same tensors where nothing differs
    for name, tensor in state.items():  # load_state_dict(assign=True) takes eight times as long
        own[name].data = tensor


def change_heads(model: nn.Module, tasks: dict[str, tuple[str, ...]], source: str) -> bool:
    """Fresh heads for `tasks`, except where task and classes, in whatever order, are those of the weights.

    Of a task with other classes those that the weights know, in whatever case, start from their values, which training can
    go on from.

    Returns:
        Whether every class of every task has values that were learned.
    """
    if tasks == model.tasks and list(tasks) == list(model.tasks):
        return not model.untrained
    before = {t: (model.tasks[t], model.heads[t]) for t in tasks if t in model.tasks}
    known = {t: same_classes(tasks[t], classes) for t, (classes, _) in before.items() if t not in model.untrained}
    kept = [t for t in before if sorted(tasks[t]) == sorted(before[t][0])]
    fitted = {name: {t: v for t, v in getattr(model.config, name).items() if t in kept} for name in FITTED}
    fitted["conformal"] = {t: sets.in_order(tasks[t]) for t, sets in fitted["conformal"].items()}
    if model.origin is not None:
        settle_info(model)  # gives up what changed weights do not deserve, before the heads that go change them
    dropped = [t for t in model.tasks if t not in kept]
    learned = [task for task in kept if task not in model.untrained]
    model.reset_heads(tasks)
    for task, (classes, head) in before.items():
        copy_rows(head, classes, model.heads[task], tasks[task])
    model.mark_untrained(task for task in tasks if task not in learned)
    model.config = model.config.replace(**fitted)
    if model.origin is not None:  # what is left of the weights is as it was loaded
        model.origin = origin_of(model, model.config, source)
    fresh = [t for t in tasks if t not in kept]
    started = [t for t in fresh if t in before and same_classes(tasks[t], before[t][0])]
    if fresh or dropped:
        values = (
            f" (of {', '.join(started)} the classes that the weights know start from their values)" if started else ""
        )
        parts = [f"new and untrained heads: {', '.join(fresh)}{values}"] if fresh else []
        parts += [f"heads of the weights that were dropped: {', '.join(dropped)}"] if dropped else []
        logger.warning("%s: %s", source, "; ".join(parts))
    return all(len(known.get(task, ())) == len(classes) for task, classes in tasks.items())
