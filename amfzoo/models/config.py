"""Everything that defines a network, as plain data that JSON can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from ..errors import ConfigError
from ..folder import SCHEMA_VERSION
from ..images import Preprocess
from ..inference.batch import BRANCHES
from ..inference.sets import ConformalSets
from ..labels import MILK10K, as_tasks

FITTED = ("temperatures", "conformal", "operating_points")  # to lesions, after training; each by task
_TOP_LEVEL = {"schema_version", "architecture", "network", "preprocessing", "tasks", *FITTED, "info", "weights"}
_WIDEST_ATTENTION = 8192
FUSIONS = ("asymmetric", "mutual", "none")


@dataclass(frozen=True)
class NetworkConfig:
    """One network for pairs. Every field can be overridden through `create_model`.

    Attributes:
        architecture: name of the table row it came from.
        clinical, dermoscopy: timm backbone names; None leaves the branch out.
        clinical_args, dermoscopy_args: further keywords of the timm backbones.
        clinical_strides, dermoscopy_strides: strides of the maps that are fused,
            paired in order.
        fusion: "asymmetric" (dermoscopy attends to clinical), "mutual" or "none".
        attention_dim, attention_heads: width and heads of the attention.
        pool_clinical: the heads also read the pooled clinical features.
        auxiliary_heads: heads per branch, for training (see `PairNetwork.forward`).
        dropout: probability, before the heads.
        tasks: task -> class names, in the order of the logits.
        temperatures: task -> divisor of the logits, used by `predict` only.
        conformal: task -> thresholds of its prediction sets, used by `predict` only; they
            hold for the temperatures beside them.
        operating_points: task -> {class: probability from which on `Prediction.called` calls it},
            of tasks with two classes; it calls the other below. They, too, hold for the temperatures.
        clinical_preprocess, dermoscopy_preprocess: from file to network input.
        info: free descriptive fields (licence, training data, metrics) for cards.

    Raises:
        ConfigError: a value is out of range or two fields contradict each other.
    """

    architecture: str
    clinical: str | None
    dermoscopy: str | None
    clinical_args: Mapping[str, Any] = field(default_factory=dict)
    dermoscopy_args: Mapping[str, Any] = field(default_factory=dict)
    clinical_strides: tuple[int, ...] = (16, 32)
    dermoscopy_strides: tuple[int, ...] = (16, 32)
    fusion: str = "asymmetric"
    attention_dim: int = 128
    attention_heads: int = 4
    pool_clinical: bool = True
    auxiliary_heads: bool = False
    dropout: float = 0.0
    tasks: Mapping[str, tuple[str, ...]] = field(default_factory=MILK10K.classes)
    temperatures: Mapping[str, float] = field(default_factory=dict)
    conformal: Mapping[str, ConformalSets] = field(default_factory=dict)
    operating_points: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    clinical_preprocess: Preprocess = Preprocess()
    dermoscopy_preprocess: Preprocess = Preprocess()
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("tasks", as_tasks(self.tasks))
        for name in ("clinical_args", "dermoscopy_args", "temperatures", "conformal", "info"):
            if not isinstance(getattr(self, name), Mapping):
                by = "task" if name in FITTED else "name"
                raise ConfigError(f"{name} must hold values by {by}, got {getattr(self, name)!r:.200}")
        put(
            "conformal",
            {t: s if isinstance(s, ConformalSets) else ConformalSets.from_dict(s) for t, s in self.conformal.items()},
        )
        for branch in BRANCHES:
            put(f"{branch}_args", dict(getattr(self, f"{branch}_args")))
            put(f"{branch}_strides", _strides(branch, getattr(self, f"{branch}_strides")))
            preprocess = getattr(self, f"{branch}_preprocess")
            if isinstance(preprocess, Mapping):
                put(f"{branch}_preprocess", Preprocess.from_dict(preprocess))
            elif not isinstance(preprocess, Preprocess):
                raise ConfigError(f"the preprocessing of {branch} images must be a Preprocess, got {preprocess!r:.200}")
            name = getattr(self, branch)
            if name is not None and not (isinstance(name, str) and name):
                raise ConfigError(f"{branch} must be the name of a timm backbone or None, got {name!r}")
        if not self.branches:
            raise ConfigError("a network needs at least one branch: clinical and dermoscopy are both None")
        if len(self.branches) == 1:  # nothing to fuse
            put("fusion", "none")
            put("pool_clinical", self.dermoscopy is None)
        self._check()

    def _check(self) -> None:
        if self.fusion not in FUSIONS:
            raise ConfigError(f"unknown fusion {self.fusion!r}; known: {', '.join(FUSIONS)}")
        if not self.pool_clinical and self.fusion != "asymmetric" and self.clinical:
            raise ConfigError(
                f"fusion={self.fusion!r} with pool_clinical=False leaves the clinical branch without use: "
                "pass pool_clinical=True, or clinical=None for dermoscopy alone"
            )
        if self.fusion != "none" and len(self.clinical_strides) != len(self.dermoscopy_strides):
            raise ConfigError(
                "the two branches are fused stride by stride: clinical_strides "
                f"{self.clinical_strides} and dermoscopy_strides {self.dermoscopy_strides} differ in length"
            )
        for name in ("pool_clinical", "auxiliary_heads"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be true or false, got {getattr(self, name)!r:.200}")
        if any(
            isinstance(value, bool) or not isinstance(value, int)
            for value in (self.attention_dim, self.attention_heads)
        ):
            raise ConfigError(
                f"attention_dim {self.attention_dim!r}, attention_heads {self.attention_heads!r} must be whole numbers"
            )
        if self.attention_dim > _WIDEST_ATTENTION:  # a config.json from anywhere must not take all memory
            raise ConfigError(f"attention_dim {self.attention_dim} is more than {_WIDEST_ATTENTION}")
        if self.attention_heads < 1 or self.attention_dim < 1 or self.attention_dim % self.attention_heads:
            raise ConfigError(
                f"attention_dim {self.attention_dim} must be a positive multiple "
                f"of attention_heads {self.attention_heads}"
            )
        if not (isinstance(self.dropout, Real) and 0 <= self.dropout < 1):
            raise ConfigError(f"dropout must be a number in [0, 1), got {self.dropout!r:.200}")
        for task, value in self.temperatures.items():
            if task not in self.tasks:
                raise ConfigError(f"a temperature is given for task {task!r}, which the network has not")
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
                raise ConfigError(f"the temperature of task {task!r} must be a positive number, got {value!r}")
        for task, sets in self.conformal.items():
            if tuple(sets.thresholds) != self.tasks.get(task):
                raise ConfigError(
                    f"prediction sets are given for task {task!r} and the classes {', '.join(sets.thresholds)}, "
                    "which the network has not"
                )
        if not isinstance(self.operating_points, Mapping):
            raise ConfigError(
                f"operating_points must be {{task: {{class: probability}}}}, got {self.operating_points!r:.200}"
            )
        for task, points in self.operating_points.items():
            self._check_operating_point(task, points)

    def _check_operating_point(self, task: str, points: Mapping[str, float]) -> None:
        classes = self.tasks.get(task, ())
        sound = isinstance(points, Mapping) and len(points) == 1 and set(points) <= set(classes)
        if len(classes) != 2 or not sound:
            raise ConfigError(
                f"the operating point of task {task!r} must be {{class: probability}} for one of its classes, of which "
                f"there must be two; got {points!r:.200}, and the network has {', '.join(map(repr, classes)) or 'no such task'}"
            )
        (value,) = points.values()
        if isinstance(value, bool) or not (isinstance(value, (int, float)) and 0 < value < 1):
            raise ConfigError(f"the operating point of task {task!r} must lie between 0 and 1, got {value!r}")

    @property
    def branches(self) -> tuple[str, ...]:
        """The branches that exist, in the order of `BRANCHES`."""
        return tuple(branch for branch in BRANCHES if getattr(self, branch))

    @property
    def preprocess(self) -> dict[str, Preprocess]:
        """From file to network input, for each branch that exists."""
        return {branch: getattr(self, f"{branch}_preprocess") for branch in self.branches}

    def with_preprocess(self, **changes: Any) -> NetworkConfig:
        """A copy with fields of `Preprocess` changed for every branch."""
        changed = {f"{branch}_preprocess": dataclasses.replace(p, **changes) for branch, p in self.preprocess.items()}
        return self.replace(**changed)

    def unfitted(self, **changes: Any) -> NetworkConfig:
        """A copy without what was fitted to lesions after training; see also `replace`."""
        return self.replace(**dict.fromkeys(FITTED, {}), **changes)

    def replace(self, **changes: Any) -> NetworkConfig:
        """A copy with other values; of a branch's preprocessing as a mapping, with the keys that it names.

        Raises:
            ConfigError: no such field, or a bad value.
        """
        for branch, before in self.preprocess.items():
            given = changes.get(f"{branch}_preprocess")
            if isinstance(given, Mapping):
                changes[f"{branch}_preprocess"] = {**before.to_dict(), **given}
        return self.create(**{**{f.name: getattr(self, f.name) for f in dataclasses.fields(self)}, **changes})

    @classmethod
    def check_names(cls, settings: Iterable[str]) -> None:
        """Raise ConfigError if a setting has no field."""
        names = [f.name for f in dataclasses.fields(cls)]
        unknown = sorted(set(settings) - set(names))
        if unknown:
            raise ConfigError(f"unknown setting {', '.join(unknown)}; known: {', '.join(names)}")

    @classmethod
    def create(cls, **settings: Any) -> NetworkConfig:
        """As the constructor, with every mistake reported as `ConfigError`."""
        cls.check_names(settings)
        try:
            return cls(**settings)
        except ConfigError:
            raise
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ConfigError(f"bad value in {settings!r:.500}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The content of config.json, less its `weights` record."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        preprocessing = {branch: values.pop(f"{branch}_preprocess").to_dict() for branch in BRANCHES}
        top = {name: values.pop(name) for name in ("architecture", "tasks", *FITTED, "info")}
        network = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
        return {
            "schema_version": SCHEMA_VERSION,
            "architecture": top["architecture"],
            "network": network,
            "preprocessing": preprocessing,
            "tasks": {task: list(classes) for task, classes in top["tasks"].items()},
            "temperatures": dict(top["temperatures"]),
            "conformal": {task: sets.to_dict() for task, sets in top["conformal"].items()},
            "operating_points": {task: dict(points) for task, points in top["operating_points"].items()},
            "info": dict(top["info"]),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NetworkConfig:
        """Inverse of `to_dict`.

        Raises:
            ConfigError: a key is missing or unknown, or a value is bad.
        """
        unknown = sorted(set(data) - _TOP_LEVEL)
        if unknown:
            raise ConfigError(
                f"config.json has unknown keys: {', '.join(unknown)} (another version of amfzoo wrote it, or it was edited)"
            )
        try:
            preprocessing = data["preprocessing"]
            fields = {
                **data["network"],
                **{f"{branch}_preprocess": preprocessing[branch] for branch in BRANCHES},
                **{name: data[name] for name in ("architecture", "tasks", "temperatures")},
                **{name: data.get(name, {}) for name in ("conformal", "operating_points")},
                "info": data.get("info", {}),
            }
            return cls.create(**fields)
        except KeyError as error:
            raise ConfigError(f"config.json lacks the key {error}") from error
        except TypeError as error:
            raise ConfigError(f"config.json does not describe a network of this version: {error}") from error


def _strides(branch: str, values: Iterable[Any]) -> tuple[int, ...]:
    found = tuple(values) if isinstance(values, Iterable) and not isinstance(values, str) else (None,)
    if not all(isinstance(s, (int, float)) and not isinstance(s, bool) and s == int(s) for s in found):
        raise ConfigError(f"{branch}_strides must be whole numbers, such as (16, 32), got {values!r:.200}")
    return tuple(int(s) for s in found)


def licence_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """What of `NetworkConfig.info` stays with a network that is made of another: its licence, not its name and figures."""
    return {key: info[key] for key in ("license", "attribution") if key in info}


def joined_licences(infos: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`licence_of` a network that is made of several others, each of which is told once."""
    found: dict[str, list[str]] = {}
    for info in infos:
        for key, text in licence_of(info).items():
            found.setdefault(key, []).append(str(text))
    return {key: "; ".join(dict.fromkeys(texts)) for key, texts in found.items()}
