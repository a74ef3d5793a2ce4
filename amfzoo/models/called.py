"""What a network is called where people read of it."""

from __future__ import annotations

from typing import Any

from .config import NetworkConfig
from .zoo import ZOO, settings

_SHOWN = (
    *("clinical", "dermoscopy", "clinical_strides", "dermoscopy_strides"),
    *("fusion", "attention_dim", "attention_heads", "pool_clinical"),
)


def called(config: NetworkConfig) -> str:
    """The architecture's name and what differs from it, e.g. "amf_small with fusion=none": a control or another backbone must
    not pass for the named model."""
    if config.architecture not in ZOO:
        return config.architecture
    row = NetworkConfig(**settings(config.architecture, {}))
    changed = [name for name in _SHOWN if getattr(config, name) != getattr(row, name)]
    changed += [
        f"{branch}_args"
        for branch in ("clinical", "dermoscopy")
        if branch not in changed and getattr(config, f"{branch}_args") != getattr(row, f"{branch}_args")
    ]
    if None in (config.clinical, config.dermoscopy):  # of one branch alone the rest follows
        changed = [name for name in changed if name in ("clinical", "dermoscopy")]
    if not changed:
        return config.architecture
    return f"{config.architecture} with " + ", ".join(f"{name}={_text(getattr(config, name))}" for name in changed)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
