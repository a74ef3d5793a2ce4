"""Which models and weights exist, by name. Imports no torch and no timm."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, UnknownModelError
from .manifest import load_manifest, matches
from .models.zoo import ZOO, settings

if TYPE_CHECKING:
    from .models.network import PairNetwork


@dataclass(frozen=True)
class ModelEntry:
    """A registered model: `build(**config)` gives the network with random weights."""

    name: str
    build: Callable[..., PairNetwork]
    role: str = ""
    hidden: bool = False


def _build_row(name: str, **overrides: Any) -> PairNetwork:
    from .models.config import NetworkConfig
    from .models.network import PairNetwork

    return PairNetwork(NetworkConfig.create(**settings(name, overrides)))


_MODELS: dict[str, ModelEntry] = {
    name: ModelEntry(name, partial(_build_row, name), row.role, row.hidden) for name, row in ZOO.items()
}


def register_model(fn: Callable[..., PairNetwork]) -> Callable[..., PairNetwork]:
    """Add a model of your own, under the function's name; use as a decorator.

    Args:
        fn: takes settings as keywords and returns a `PairNetwork`; the first line
            of its docstring tells what the model is for. `finetune` and `save_pretrained` take only what a
            `PairNetwork` of the returned network's config is: backbones, fusion and heads of your choice, but no
            parts or methods of your own.

    Raises:
        ConfigError: the name is taken, or holds a dot (which separates the tag).
    """
    name = fn.__name__
    if name in _MODELS:
        raise ConfigError(f"a model named {name!r} is registered already: rename the function")
    if not name.isidentifier():
        raise ConfigError(f"{name!r} cannot name a model: use a plain function with a name of its own")
    _MODELS[name] = ModelEntry(name, fn, (fn.__doc__ or "").strip().partition("\n")[0])
    return fn


def model_entry(name: str) -> ModelEntry:
    """The registered model of that name, hidden ones included.

    Raises:
        UnknownModelError: no such model; the message names near ones.
    """
    if name in _MODELS:
        return _MODELS[name]
    near = difflib.get_close_matches(name, list_models(), n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(list_models())}"
    raise UnknownModelError(f"there is no model named {name!r}; {hint}")


def list_models(filter: str = "", pretrained: bool = False) -> list[str]:
    """Names of the public models, sorted.

    Args:
        filter: a shell pattern (``"amf_*"``) or a part of the name.
        pretrained: only models for which weights exist.
    """
    with_weights = {record.architecture for record in load_manifest().weights.values()} if pretrained else _MODELS
    names = (name for name, entry in _MODELS.items() if not entry.hidden and name in with_weights)
    return sorted(name for name in names if matches(name, filter))


def list_pretrained(filter: str = "") -> list[str]:
    """Names of all weights, ``model.tag``, sorted; `filter` as in `list_models`."""
    return load_manifest().names(filter)


def model_info(name: str) -> dict[str, Any]:
    """What is known of a model (``"amf_small"``) or of weights (``"amf_small.milk10k"``).

    Returns:
        For a model: name, role, settings and the names of its weights, the default
        first. For weights: the manifest's record, as plain data, under "weights" too.

    Raises:
        UnknownModelError: neither a model nor weights of that name.
    """
    architecture, _, tag = name.partition(".")
    entry = model_entry(architecture)
    manifest = load_manifest()
    default = manifest.default_tags.get(architecture)
    tags = sorted(manifest.tags(architecture), key=lambda listed: listed != default)  # stable: the rest stay sorted
    info: dict[str, Any] = {
        "name": name,
        "role": entry.role,
        "settings": dict(ZOO[architecture].settings) if architecture in ZOO else {},
        "pretrained": [f"{architecture}.{tag}" for tag in tags],
    }
    if tag:
        info["weights"] = dataclasses.asdict(manifest.entry(name))
    return info
