"""Weights with other temperatures, prediction sets or operating points than they came with: another name, fewer figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from .config import FITTED, NetworkConfig

REFITTED = "refitted_from"  # key of `NetworkConfig.info`: the name of the weights with what they came with
_CHANGED = ("name", REFITTED, "load_as", "calibration_plot", "metrics", "subgroups", "precisions")
# how the names of figures begin that hold for what was fitted -> for which of it
_RANKING = "auroc"  # a temperature changes it where there are more than two classes: other lesions then rank first
_OF_THE_FIT = {
    "log_loss": ("temperatures",),
    "ece": ("temperatures",),
    _RANKING: ("temperatures",),
    "called_": ("temperatures", "operating_points"),
}
_MARK = ", refitted "


def refitted_info(config: NetworkConfig, loaded: NetworkConfig) -> dict[str, Any]:
    """`info` of the weights of `loaded`, of which what was fitted may be other now.

    They answer otherwise then, so they are not to be taken for the ones they were: by their name, which tables and
    comparisons tell weights apart by (one that somebody gave is kept), by how to load them, and by their figures.
    """
    info = dict(config.info)
    now, before = _fitted(config), _fitted(loaded)
    changed = {
        part: {task for task in config.tasks if now[part].get(task) != before[part].get(task)} for part in FITTED
    }
    own = loaded.info.get("name")
    first = loaded.info.get(REFITTED, own)
    given = info.get("name") != own and not str(info.get("name")).startswith(f"{first}{_MARK}")
    added = [row for row in _metrics(info) if row not in _metrics(loaded.info)]
    if not any(changed.values()):
        if info.get(REFITTED) == loaded.info.get(REFITTED):
            return info
        rest = {key: value for key, value in info.items() if key not in _CHANGED}  # changed back
        back = rest | {key: loaded.info[key] for key in _CHANGED if key in loaded.info}
        if given:
            back["name"] = info["name"]
        if added:
            back["metrics"] = [*_metrics(loaded.info), *added]
        return back
    info = {key: value for key, value in info.items() if key not in ("load_as", "calibration_plot")}
    if "metrics" in info:
        info["metrics"] = [*(row for row in _metrics(loaded.info) if not _stale(row, changed, config)), *added]
    if isinstance(info.get("subgroups"), list):
        ranked = {task for task in changed["temperatures"] if len(config.tasks[task]) > 2}
        info["subgroups"] = [_without_ranking(row, ranked) for row in info["subgroups"]]
    if isinstance(info.get("precisions"), Mapping):
        info["precisions"] = {name: _without_calls(record) for name, record in info["precisions"].items()}
    if first is not None:  # weights without a name get none here
        info[REFITTED] = first
        if not given:
            digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()[:8]
            info["name"] = f"{first}{_MARK}{digest}"
    return info


def without_refit(info: Mapping[str, Any], loaded: NetworkConfig) -> dict[str, Any]:
    """`info` less the name that `refitted_info` gave, and less the figures that the weights came with."""
    rest = dict(info)
    first = rest.pop(REFITTED, None)
    if first is not None and str(rest.get("name")).startswith(f"{first}{_MARK}"):
        del rest["name"]
    if isinstance(rest.get("metrics"), list):
        added = [row for row in rest["metrics"] if row not in _metrics(loaded.info)]
        rest |= {"metrics": added} if added else {"metrics": loaded.info.get("metrics")}
    for key in ("precisions", "subgroups"):
        if first is not None and key in rest:
            rest[key] = loaded.info.get(key)
    return rest


def _fitted(config: NetworkConfig) -> dict[str, Any]:
    """What was fitted as plain data, the same where it answers the same."""
    return {
        "temperatures": {task: float(config.temperatures.get(task, 1)) for task in config.tasks},
        "conformal": {task: sets.to_dict() for task, sets in config.conformal.items()},
        "operating_points": {
            task: {label: float(p) for label, p in point.items()} for task, point in config.operating_points.items()
        },
    }


def _metrics(info: Mapping[str, Any]) -> list[Any]:
    rows = info.get("metrics")
    return rows if isinstance(rows, list) else []


def _without_calls(record: Any) -> Any:
    """What was measured of a precision, less what was measured at other operating points."""
    if not isinstance(record, Mapping):
        return record
    return {key: value for key, value in record.items() if key not in ("called_changes", "same_called")}


def _without_ranking(row: Any, tasks: Collection[str]) -> Any:
    """Figures of a subgroup, less those of ranking if they are of one of the tasks."""
    if not isinstance(row, Mapping) or row.get("task") not in tasks or not isinstance(row.get("scores"), Mapping):
        return row
    rest = {**row, "scores": {name: values for name, values in row["scores"].items() if name != _RANKING}}
    if isinstance(row.get("uncertain"), list):
        rest["uncertain"] = [name for name in row["uncertain"] if name != _RANKING]
    return rest


def _stale(row: Any, changed: Mapping[str, Collection[str]], config: NetworkConfig) -> bool:
    """Whether a figure was of what has changed for its task."""
    if isinstance(row, Mapping) and row.get("name") == _RANKING and len(config.tasks.get(row.get("task"), ())) < 3:
        return False
    return isinstance(row, Mapping) and any(
        row.get("task") in changed[part]
        for name, parts in _OF_THE_FIT.items()
        if str(row.get("name")).startswith(name)
        for part in parts
    )
