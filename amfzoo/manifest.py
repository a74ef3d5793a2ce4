"""`weights_manifest.json` as records: which pretrained weights exist and where.

Pure data: no torch, no network. Every value is checked when the file is read, so
the rest of the package may trust a record; in particular no name in it can point
outside its folder.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .checks import check, is_commit, is_count, is_number, is_plain_name, is_repo_id, is_sha256, is_text, keys, match
from .errors import ConfigError, UnknownModelError

SCHEMA_VERSION = 1
ENVIRONMENT_VARIABLE = "AMFZOO_MANIFEST"
FILE_NAME = "weights_manifest.json"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"

_PACKAGE = Path(__file__).resolve().parent
_ARCHITECTURE = re.compile(r"[a-z0-9_]+")
_TAG = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class FileRecord:
    """Size in bytes and sha256 (64 hex digits, lower case) of one file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Source:
    """Where weights come from.

    `type` is "bundled" (inside the installed package) or "repository" (in `weights/`
    beside the manifest of a checkout), both with `folder`; or "hub", with `repo` and
    `revision` (a 40-hex commit).
    """

    type: str
    folder: str | None = None
    repo: str | None = None
    revision: str | None = None


@dataclass(frozen=True)
class Metric:
    """One validated number; `low` and `high` bound its 95 % interval, None if not computed. `uncertain`: it is an average over
    classes of which some have so few lesions that the interval may be too narrow."""

    task: str
    name: str
    value: float
    data: str
    low: float | None = None
    high: float | None = None
    cases: int | None = None
    uncertain: bool = False


@dataclass(frozen=True)
class WeightsRecord:
    """One released set of weights. It never changes; new weights get a new tag."""

    name: str
    architecture: str
    tag: str
    source: Source
    files: Mapping[str, FileRecord]
    parameters: int
    license: str
    attribution: str
    training_data: str
    tasks: Mapping[str, tuple[str, ...]]
    metrics: tuple[Metric, ...]
    not_validated_for: str


@dataclass(frozen=True)
class Manifest:
    """All listed weights by `architecture.tag`, and the default tag of each architecture."""

    weights: Mapping[str, WeightsRecord] = field(default_factory=dict)
    default_tags: Mapping[str, str] = field(default_factory=dict)
    path: Path | None = None

    def find(self, name: str) -> WeightsRecord | None:
        """Record of "architecture" (its default tag) or "architecture.tag"; None if not listed."""
        if name in self.default_tags:
            name = f"{name}.{self.default_tags[name]}"
        return self.weights.get(name)

    def entry(self, name: str) -> WeightsRecord:
        """As `find`, but raises UnknownModelError, with near names, if `name` is not listed."""
        record = self.find(name)
        if record is None:
            raise UnknownModelError(self._unknown(name))
        return record

    def find_hub(self, repo: str, revision: str) -> WeightsRecord | None:
        """The record whose weights lie in `repo` at commit `revision`, if one is listed."""
        for record in self.weights.values():
            if (record.source.repo, record.source.revision) == (repo, revision):
                return record
        return None

    def names(self, filter: str = "") -> list[str]:
        """Sorted names of the listed weights; `filter` is a glob, or a part of the name."""
        return sorted(name for name in self.weights if matches(name, filter))

    def tags(self, architecture: str) -> list[str]:
        """Sorted tags listed for `architecture`; empty if it has no weights."""
        return sorted(r.tag for r in self.weights.values() if r.architecture == architecture)

    def folder_of(self, record: WeightsRecord) -> Path | None:
        """Folder of bundled or repository weights (it may not exist here); None for Hub weights."""
        if record.source.folder is None:
            return None
        if record.source.type == "bundled":
            return _PACKAGE / "weights" / record.source.folder
        # The packaged manifest lies inside the package, but weights/ of a checkout lies beside it.
        beside = self.path is None or self.path.parent == _PACKAGE
        root = _PACKAGE.parent if beside else self.path.parent
        return root / "weights" / record.source.folder

    def _unknown(self, name: str) -> str:
        if not self.weights:
            return f"No weights named {name!r}: the manifest lists none. pretrained=False builds an untrained network."
        architecture = name.partition(".")[0]
        tags = self.tags(architecture)
        if tags:
            return (
                f"{architecture!r} has no weights with tag {name.partition('.')[2]!r}; its tags are: {', '.join(tags)}."
            )
        from .models.zoo import ZOO

        if name in ZOO:
            listed = ", ".join(sorted(self.weights))
            return f"the model {name!r} has no weights; pretrained=False builds it untrained. Listed: {listed}."
        near = difflib.get_close_matches(name, [*self.weights, *self.default_tags], n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        return (
            f"No pretrained weights named {name!r}.{hint} Listed: {', '.join(sorted(self.weights))}. "
            "A folder is written 'local-dir:/folder', a Hub repository 'hf-hub:organisation/name'."
        )


def matches(name: str, filter: str) -> bool:
    """Whether `filter` is a part of the name, or a glob for it."""
    return filter in name or fnmatch.fnmatchcase(name, filter)


def manifest_path() -> Path:
    """The manifest in use: $AMFZOO_MANIFEST, else the packaged one, else the checkout's.

    Raises ConfigError when none of them exists.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser().resolve()
    for candidate in (_PACKAGE / FILE_NAME, _PACKAGE.parent / FILE_NAME):
        if candidate.is_file():
            return candidate
    raise ConfigError(f"{FILE_NAME} is missing from this installation of amfzoo; install it again.")


def load_manifest(path: str | os.PathLike[str] | None = None) -> Manifest:
    """Read and check a manifest; `path` None means `manifest_path()`.

    Raises ConfigError naming the entry and key at fault.
    """
    file = manifest_path() if path is None else Path(path).expanduser().resolve()
    try:
        data = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
    except (OSError, RecursionError) as error:
        raise ConfigError(f"Cannot read the weights manifest {file}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error
    except ValueError as error:  # no UTF-8, no JSON, or a number of thousands of digits
        raise ConfigError(f"Cannot read the weights manifest {file}: {error}") from error
    try:
        return _manifest(data, file)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ConfigError(f"repeated keys among {', '.join(result)}")
    return result


def _manifest(data: Any, path: Path) -> Manifest:
    version = data.get("schema_version") if isinstance(data, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ConfigError(f"schema_version is {version}, this amfzoo reads {SCHEMA_VERSION}: upgrade amfzoo.")
    keys(data, "manifest", required=("schema_version", "default_tags", "weights"))
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ConfigError(f"schema_version must be {SCHEMA_VERSION}, got {version!r}")
    check(isinstance(data["weights"], dict), "weights", "must be an object", data["weights"])
    weights = {name: _record(name, value) for name, value in data["weights"].items()}
    defaults = data["default_tags"]
    check(isinstance(defaults, dict), "default_tags", "must be an object", defaults)
    for architecture, tag in defaults.items():
        check(f"{architecture}.{tag}" in weights, f"default_tags[{architecture!r}]", "names no listed weights", tag)
    return Manifest(weights=weights, default_tags=defaults, path=path)


def _record(name: str, data: Any) -> WeightsRecord:
    keys(data, name, required=[key for key in WeightsRecord.__dataclass_fields__ if key != "name"])
    for key in ("license", "attribution", "training_data", "not_validated_for"):
        check(is_text(data[key]), f"{name}.{key}", "must be a non-empty text", data[key])
    match(_ARCHITECTURE, data["architecture"], f"{name}.architecture", "letters a-z, digits and _")
    match(_TAG, data["tag"], f"{name}.tag", "letters, digits, - and _")
    expected = f"{data['architecture']}.{data['tag']}"
    check(name == expected, name, f"must be named {expected!r} after its architecture and tag", name)
    check(is_count(data["parameters"]), f"{name}.parameters", "must be a positive whole number", data["parameters"])
    check(isinstance(data["metrics"], list), f"{name}.metrics", "must be a list", data["metrics"])
    changed = {
        "source": _source(data["source"], f"{name}.source"),
        "files": _files(data["files"], f"{name}.files"),
        "tasks": _tasks(data["tasks"], f"{name}.tasks"),
        "metrics": tuple(_metric(m, f"{name}.metrics[{i}]") for i, m in enumerate(data["metrics"])),
    }
    return WeightsRecord(name=name, **{**data, **changed})


def _source(data: Any, where: str) -> Source:
    kind = data.get("type") if isinstance(data, dict) else None
    if kind in ("bundled", "repository"):
        keys(data, where, required=("type", "folder"))
        check(is_plain_name(data["folder"]), f"{where}.folder", "must be a plain folder name", data["folder"])
    elif kind == "hub":
        keys(data, where, required=("type", "repo", "revision"))
        check(is_repo_id(data["repo"]), f"{where}.repo", "must read organisation/name", data["repo"])
        check(
            is_commit(data["revision"]), f"{where}.revision", "must be a 40-hex commit, not a branch", data["revision"]
        )
    else:
        raise ConfigError(f"{where}.type must be 'bundled', 'repository' or 'hub', got {kind!r}")
    return Source(**data)


def _files(data: Any, where: str) -> dict[str, FileRecord]:
    check(isinstance(data, dict), where, "must be an object", data)
    for required in (CONFIG_FILE, WEIGHTS_FILE):
        check(required in data, where, f"must list {required}", sorted(data))
    for name, value in data.items():
        check(is_plain_name(name), where, "must hold plain file names", name)
        keys(value, f"{where}[{name!r}]", required=("sha256", "bytes"))
        check(
            is_sha256(value["sha256"]),
            f"{where}[{name!r}].sha256",
            "must be 64 hex digits in lower case",
            value["sha256"],
        )
        check(is_count(value["bytes"]), f"{where}[{name!r}].bytes", "must be a positive whole number", value["bytes"])
    return {name: FileRecord(**value) for name, value in data.items()}


def _tasks(data: Any, where: str) -> dict[str, tuple[str, ...]]:
    check(isinstance(data, dict) and bool(data), where, "must be an object with at least one task", data)
    for task, classes in data.items():
        listed = isinstance(classes, list) and all(isinstance(c, str) and c for c in classes)
        check(
            listed and len(set(classes)) == len(classes) > 1,
            f"{where}[{task!r}]",
            "must list two or more different classes",
            classes,
        )
    return {task: tuple(classes) for task, classes in data.items()}


def _metric(data: Any, where: str) -> Metric:
    keys(data, where, required=("task", "name", "value", "data"), optional=("low", "high", "cases", "uncertain"))
    for key in ("task", "name", "data"):
        check(is_text(data[key]), f"{where}.{key}", "must be a non-empty text", data[key])
    metric = Metric(**data)
    check(is_number(metric.value), f"{where}.value", "must be a number", metric.value)
    check((metric.low is None) == (metric.high is None), where, "needs both of low and high, or neither", data)
    if metric.low is not None:
        ordered = is_number(metric.low) and is_number(metric.high) and metric.low <= metric.value <= metric.high
        check(ordered, where, "must have low <= value <= high", data)
    check(
        metric.cases is None or is_count(metric.cases),
        f"{where}.cases",
        "must be a positive whole number",
        metric.cases,
    )
    check(isinstance(metric.uncertain, bool), f"{where}.uncertain", "must be true or false", metric.uncertain)
    return metric
