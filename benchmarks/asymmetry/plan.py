"""What a study trains: the rows of its table, from a YAML file.

Rows differ by keywords of `create_model` and, for some ablations, by a training setting.
Where a branch is "light" or "heavy" it takes all that belongs to the clinical or to the
dermoscopy branch of the family's named model: backbone, its keywords, strides, preprocessing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amfzoo.errors import ConfigError
from amfzoo.models.config import BRANCHES, NetworkConfig
from amfzoo.models.zoo import ZOO, settings
from amfzoo.training.config import TrainConfig, load_config

DEFAULT_FILE = Path(__file__).with_name("study.yaml")
SIDES = {"light": "clinical", "heavy": "dermoscopy"}  # -> the branch of the named model that has it
_BRANCH_FIELDS = ("", "_args", "_strides", "_preprocess")
_PARTS = {"recipe", "seeds", "families", "control", "variants", "ablated", "ablations"}
_ROW_PARTS = {"title", "network", "recipe"}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        family, name: together they are unique; the folder of its runs.
        title: for people.
        model: name of the family's zoo row.
        network: keywords of `create_model`, complete for both branches.
        recipe: training settings, over the default recipe; all but the seed.
        control: name of the row of its family that it is compared with; its own for that one.
        ablation: whether it is one; these are not plotted.
    """

    family: str
    name: str
    title: str
    model: str
    network: Mapping[str, Any]
    recipe: Mapping[str, Any]
    control: str
    ablation: bool

    @property
    def id(self) -> str:
        return f"{self.family}/{self.name}"

    @property
    def control_id(self) -> str:
        return f"{self.family}/{self.control}"

    @property
    def backbones(self) -> tuple[str, ...]:
        """Names of its backbones, each once."""
        described = self.described()
        return tuple(dict.fromkeys(getattr(described, branch) for branch in described.branches))

    def config(self, seed: int) -> TrainConfig:
        """The settings of one run."""
        return load_config(**{**self.recipe, "seed": seed})

    def described(self) -> NetworkConfig:
        """What is built, with the classes of no data set in particular."""
        return NetworkConfig.create(**settings(self.model, self.network))


@dataclass(frozen=True)
class Study:
    """All rows, and the seeds that each is trained with."""

    rows: tuple[Row, ...]
    seeds: tuple[int, ...]

    def select(self, families: Sequence[str] = (), names: Sequence[str] = ()) -> Study:
        """Those of some families, or of some names.

        Raises:
            ConfigError: a family or name that no row has.
        """
        for kind, wanted, known in (
            ("family", families, [row.family for row in self.rows]),
            ("row", names, [row.name for row in self.rows]),
        ):
            unknown = [name for name in wanted if name not in known]
            if unknown:
                raise ConfigError(f"the study has no {kind} {unknown[0]!r}; it has {', '.join(dict.fromkeys(known))}")
        rows = (r for r in self.rows if (not families or r.family in families) and (not names or r.name in names))
        return Study(tuple(rows), self.seeds)

    def against(self, control: str) -> Study:
        """The same rows, all compared with another one of their family.

        Raises:
            ConfigError: no row of that name.
        """
        self.select(names=[control])
        return Study(tuple(replace(row, control=control) for row in self.rows), self.seeds)


def read_plan(path: str | Path) -> dict[str, Any]:
    """The content of a study's YAML file.

    Raises:
        ConfigError: it cannot be read, or is not a mapping.
    """
    import yaml

    try:
        plan = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"the study {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(plan, dict):
        raise ConfigError(f"{path} must hold a mapping; see {DEFAULT_FILE.name} of this benchmark")
    return plan


def make_study(plan: Mapping[str, Any]) -> Study:
    """Every row of a plan; networks and settings are checked here, before anything is trained.

    Raises:
        ConfigError: a part is missing, unknown or wrong; the message names the row.
    """
    unknown, missing = sorted(set(plan) - _PARTS), sorted(_PARTS - {"ablations", "ablated"} - set(plan))
    if unknown or missing:
        raise ConfigError(
            f"a study has the parts {', '.join(sorted(_PARTS))}; "
            + (f"unknown: {', '.join(unknown)}" if unknown else f"missing: {', '.join(missing)}")
        )
    seeds = plan["seeds"]
    if not (isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds)) or len(
        set(seeds)
    ) < len(seeds):
        raise ConfigError(f"the study's seeds must be whole numbers of at least 0, each once, got {seeds!r}")
    variants, ablations = _mapping(plan, "variants"), _mapping(plan, "ablations")
    for part, name in (("control", plan["control"]), ("ablated", plan.get("ablated", plan["control"]))):
        if name not in variants:
            raise ConfigError(f"the study's {part} {name!r} is none of its variants: {', '.join(variants)}")
    both = sorted(set(variants) & set(ablations))
    if both:
        raise ConfigError(f"the study has {both[0]!r} among its variants and among its ablations")
    rows = []
    for family, about in _mapping(plan, "families").items():
        base = _family(family, about)
        for name, spec in variants.items():
            rows.append(_row(base, name, spec, plan, plan["control"], False))
        for name, spec in ablations.items():
            rows.append(_row(base, name, spec, plan, plan.get("ablated", plan["control"]), True))
    return Study(tuple(rows), tuple(seeds))


def _family(name: str, about: Any) -> dict[str, Any]:
    if not isinstance(about, Mapping) or about.get("model") not in ZOO or set(about) - {"model", "network", "recipe"}:
        raise ConfigError(f"family {name!r}: give the name of a model, and perhaps network and recipe, got {about!r}")
    return {"family": str(name), "network": {}, "recipe": {}, **about}


def _row(base: Mapping[str, Any], name: str, spec: Any, plan: Mapping[str, Any], control: str, ablation: bool) -> Row:
    place = f"row {name!r} of the family {base['family']!r}"
    spec = {} if spec is None else spec
    if not isinstance(spec, Mapping) or set(spec) - _ROW_PARTS:
        raise ConfigError(f"{place}: a row has the parts {', '.join(sorted(_ROW_PARTS))}, got {spec!r}")
    if not isinstance(name, str) or not name.replace("-", "").replace("_", "").isalnum():
        raise ConfigError(f"{place}: its name must be letters, digits, - and _, since it names a folder")
    row = Row(
        family=base["family"],
        name=name,
        title=str(spec.get("title", name)),
        model=base["model"],
        network=_keywords(base, {} if spec.get("network") is None else spec["network"], place),
        recipe={**(plan["recipe"] or {}), **base["recipe"], **(spec.get("recipe") or {})},
        control=control,
        ablation=ablation,
    )
    try:
        row.config(0)
        row.described()
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None
    return row


def _keywords(base: Mapping[str, Any], own: Any, place: str) -> dict[str, Any]:
    """Keywords of `create_model`: the family's, with the row's over them and its "light" and "heavy" filled in."""
    if not isinstance(own, Mapping):
        raise ConfigError(f"{place}: network must be a mapping of keywords, got {own!r}")
    named = settings(base["model"], base["network"])
    keywords = dict(base["network"])
    for branch in BRANCHES:
        side = own.get(branch, "light" if branch == "clinical" else "heavy")
        if side in SIDES:
            filled = {
                f"{branch}{f}": named[f"{SIDES[side]}{f}"] for f in _BRANCH_FIELDS if f"{SIDES[side]}{f}" in named
            }
            keywords.update(filled)
    chosen = {key: value for key, value in own.items() if not (key in BRANCHES and value in SIDES)}
    return {**keywords, **chosen}


def _mapping(plan: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    value = plan.get(part) or {}
    if not isinstance(value, Mapping) or (not value and part != "ablations"):
        raise ConfigError(f"the study's {part} must be a mapping of name to content, got {value!r}")
    return value
