"""Checks of values read from JSON files; a value at fault is named in a ConfigError."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

from .errors import ConfigError

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = r"(?=[^/]{1,96}(?:/|$))[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_REPO = re.compile(f"{_PART}/{_PART}")


def is_plain_name(name: object) -> bool:
    """Whether `name` names a file or folder in its own folder, and nothing else.

    Separators, `..`, leading dots, drive letters and absolute paths are all refused.
    """
    return isinstance(name, str) and bool(_PLAIN_NAME.fullmatch(name)) and ".." not in name


def is_commit(revision: object) -> bool:
    """Whether `revision` is a full 40-hex commit, which can never move."""
    return isinstance(revision, str) and bool(_COMMIT.fullmatch(revision))


def is_repo_id(repo: object) -> bool:
    """Whether `repo` reads `organisation/name` as the Hub allows it."""
    return (
        isinstance(repo, str)
        and bool(_REPO.fullmatch(repo))
        and not any(part in repo for part in ("..", "--"))
        and not repo.endswith(".git")
    )


def is_sha256(value: object) -> bool:
    """Whether `value` is 64 hex digits in lower case."""
    return isinstance(value, str) and bool(_SHA256.fullmatch(value))


def keys(data: Any, where: str, *, required: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Require an object with all `required` keys and none beside them but `optional` ones."""
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be an object, got {data!r}")
    required = list(required)
    unknown = sorted(set(data) - set(required) - set(optional))
    missing = sorted(set(required) - set(data))
    if unknown:
        raise ConfigError(f"{where} has unknown keys: {', '.join(unknown)}")
    if missing:
        raise ConfigError(f"{where} lacks keys: {', '.join(missing)}")


def check(holds: bool, where: str, rule: str, value: object) -> None:
    """Require `holds`; the error reads "<where> <rule>, got <value>"."""
    if not holds:
        raise ConfigError(f"{where} {rule}, got {value!r}")


def match(pattern: re.Pattern[str], value: object, where: str, rule: str) -> None:
    """Require a text that fits `pattern`, which `rule` says in words."""
    check(isinstance(value, str) and bool(pattern.fullmatch(value)), where, f"must be {rule}", value)


def is_count(value: object) -> bool:
    """A whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_number(value: object) -> bool:
    """A finite int or float."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_text(value: object) -> bool:
    """A text with more than blanks in it."""
    return isinstance(value, str) and bool(value.strip())


UNTRAINED = "untrained"  # key of `NetworkConfig.info`


def untrained_tasks(info: Mapping[str, Any]) -> list[str]:
    """The tasks whose heads a model's description says were never trained, whoever wrote it."""
    names = info.get(UNTRAINED)
    return [name for name in names if isinstance(name, str)] if isinstance(names, (list, tuple)) else []


# behind an interval, and what it says
UNCERTAIN = " †"
UNCERTAIN_NOTE = (
    "† an average over classes of which some have fewer than five lesions here: the interval may be too narrow"
)


def figures(value: object) -> list[Mapping[str, Any]]:
    """Those rows of recorded metrics that can be shown, whoever wrote them: mappings, or records such as `manifest.Metric`, whose
    value, low and high are numbers or absent, task and name texts or absent."""
    rows = value if isinstance(value, (list, tuple)) else ()
    plain = (vars(row) if is_dataclass(row) else row for row in rows)
    return [
        row
        for row in plain
        if isinstance(row, Mapping)
        and all(row.get(key) is None or is_number(row[key]) for key in ("value", "low", "high"))
        and all(row.get(key) is None or isinstance(row[key], str) for key in ("task", "name"))
    ]
