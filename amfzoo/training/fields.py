"""Fields of `TrainConfig`: their defaults, and the checks of their values, which raise ConfigError."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any

from ..errors import ConfigError
from ..models.freezable import PARTS


def number(default: float, low: float, high: float = math.inf, *, whole: bool = False, none: bool = False) -> Any:
    def check(value: Any) -> Any:
        if value is None and none:
            return None
        value = _of_yaml(value)
        kind = "a whole number" if whole else "a number"
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
            or (whole and value != int(value))
        ):
            raise ConfigError(f"{value!r} is not {kind}{' or null' if none else ''}")
        if not low <= value <= high:
            raise ConfigError(f"{value!r} must be {f'at least {low}' if high == math.inf else f'from {low} to {high}'}")
        return int(value) if whole else float(value)

    return field(default=default, metadata={"check": check})


def _of_yaml(value: Any) -> Any:
    """A number that YAML 1.1 reads as text, such as 1e-3; all else as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def choice(default: str, known: tuple[str, ...], other_names: Mapping[str, str] = MappingProxyType({})) -> Any:
    def check(value: Any) -> str:
        value = "no" if value is False else value  # YAML 1.1 reads a bare no as false
        value = other_names.get(value, value) if isinstance(value, str) else value
        if value not in known:
            raise ConfigError(f"{value!r} is not one of {', '.join(known)}")
        return value

    return field(default=default, metadata={"check": check})


def flag(default: bool) -> Any:
    def check(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ConfigError(f"{value!r} is not true or false")
        return value

    return field(default=default, metadata={"check": check})


def text(default: str | None) -> Any:
    def check(value: Any) -> str | None:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if value is not None and not (isinstance(value, str) and value):
            raise ConfigError(f"{value!r} is not text")
        return value

    return field(default=default, metadata={"check": check})


def any_value(default: Any, check: Callable[[Any], Any]) -> Any:
    return field(default_factory=lambda: default, metadata={"check": check})


def parts(value: Any) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else tuple(value or ())
    wrong = [part for part in found if part not in PARTS]
    if wrong:
        raise ConfigError(f"{wrong[0]!r} is not one of {', '.join(PARTS)}")
    return found


def names(value: Any) -> tuple[str, ...]:
    found = (value,) if isinstance(value, str) else tuple(value or ())
    for name in found:
        if not (isinstance(name, str) and name):
            raise ConfigError(f"{name!r} is not the name of a model")
    return found


def weights_of_tasks(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{value!r} is not a mapping of task to weight")
    return {str(task): _positive(weight) for task, weight in value.items()}


def shares_of_tasks(value: Any) -> dict[str, float]:
    shares = weights_of_tasks(value)
    wrong = [share for share in shares.values() if share > 1]
    if wrong:
        raise ConfigError(f"the share {wrong[0]!r} is above 1")
    return shares


def class_weights(value: Any) -> Any:
    value = "none" if value is None else value
    if value in ("none", "inverse_sqrt"):
        return value
    if not isinstance(value, Mapping) or not all(isinstance(weights, Mapping) for weights in value.values()):
        raise ConfigError(f"{value!r} is not none, inverse_sqrt, or a mapping of task to class to weight")
    return {str(task): {str(name): _positive(w) for name, w in weights.items()} for task, weights in value.items()}


def _positive(value: Any) -> float:
    value = _of_yaml(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value >= 0):
        raise ConfigError(f"the weight {value!r} is not a number of at least 0")
    return float(value)
