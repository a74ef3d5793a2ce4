"""Weights with other temperatures, prediction sets or operating points than they came with: another name, fewer figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from .config import FITTED, NetworkConfig

REFITTED = "refitted_from"  # key of `NetworkConfig.info`: the name of the weights with what they came with
# how the names of figures begin that hold for what was fitted -> for which of it
_OF_THE_FIT = {"log_loss": ("temperatures",), "ece": ("temperatures",), "called_": ("temperatures", "operating_points")}
_MARK = ", refitted "


def refitted_info(config: NetworkConfig, loaded: NetworkConfig) -> dict[str, Any]:
    """`info` of the weights of `loaded`, of which what was fitted may be other now.

    They answer otherwise then, so they are not to be taken for the ones they were: by their name, which tables and
    comparisons tell weights apart by (one that somebody gave is kept), by how to load them, and by their figures.
    """
    info = dict(config.info)
    now, before = _fitted(config), _fitted(loaded)
    own = loaded.info.get("name", loaded.architecture)
    first = loaded.info.get(REFITTED, own)
    name = info.get("name", own)
    automatic = name == own or str(name).startswith(f"{first}{_MARK}")
    changed = {
        part: {task for task in config.tasks if now[part].get(task) != before[part].get(task)} for part in FITTED
    }
    if not any(changed.values()):  # or changed back
        if automatic and name != own:
            info = {k: v for k, v in info.items() if k not in ("name", REFITTED)} | _only(
                loaded.info, ("name", REFITTED)
            )
        return info
    info = {key: value for key, value in info.items() if key not in ("load_as", "calibration_plot")}
    if isinstance(info.get("metrics"), list):
        info["metrics"] = [
            row for row in info["metrics"] if not (_stale(row, changed) and row in loaded.info.get("metrics", ()))
        ]
    info[REFITTED] = first
    if automatic:
        digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()[:8]
        info["name"] = f"{first}{_MARK}{digest}"
    return info


def without_refit(info: Mapping[str, Any], loaded: NetworkConfig) -> dict[str, Any]:
    """`info` as if `refitted_info` had changed nothing in it."""
    if REFITTED not in info:
        return dict(info)
    given = not str(info.get("name")).startswith(f"{info[REFITTED]}{_MARK}")
    rest = {key: value for key, value in info.items() if key != REFITTED and (given or key != "name")}
    before = loaded.info.get("metrics", ())
    if isinstance(rest.get("metrics"), list) and all(row in before for row in rest["metrics"]):
        rest["metrics"] = before
    return rest


def _fitted(config: NetworkConfig) -> dict[str, Any]:
    return _only(config.to_dict(), FITTED)


def _only(data: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    return {key: data[key] for key in keys if key in data}


def _stale(row: Any, changed: Mapping[str, Collection[str]]) -> bool:
    """Whether a figure was of what has changed for its task."""
    return isinstance(row, Mapping) and any(
        row.get("task") in changed[part]
        for name, parts in _OF_THE_FIT.items()
        if str(row.get("name")).startswith(name)
        for part in parts
    )
