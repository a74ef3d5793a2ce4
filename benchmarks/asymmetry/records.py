"""What a study leaves in its folder, and whether two runs may be compared.

study.json, split.csv                        the plan, the data, the split
cost.json                                    speeds, where they were measured
runs/<family>/<row>/seed-<n>/run.json        what the run was made of, and its figures once it has ended
runs/<family>/<row>/seed-<n>/validation.csv  its prediction of every validation lesion
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from amfzoo.data.records import LesionSet
from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases
from amfzoo.training.checkpoint import write_whole
from amfzoo.training.config import HOW_IT_IS_RUN, TrainConfig
from amfzoo.training.run import CASES_FILE

from .plan import Row, Study

RUN_FILE, STUDY_FILE, SPLIT_FILE, COST_FILE, RUNS = "run.json", "study.json", "split.csv", "cost.json", "runs"


def run_folder(out: Path, row: Row, seed: int) -> Path:
    return out / RUNS / row.family / row.name / f"seed-{seed}"


def identity(row: Row, seed: int, weights: Mapping[str, str], data: str) -> dict[str, Any]:
    """What makes a run what it is: plain data.

    Args:
        weights: backbone name -> sha256 of its weights, "timm" or "random".
        data: of `digest`.
    """
    recipe = _recipe(row.config(seed).to_dict())
    network = row.described().to_dict()
    described = {key: network[key] for key in ("architecture", "network", "preprocessing")}
    start = {name: weights[name] for name in row.backbones if name in weights}
    everything = {"row": row.id, "seed": seed, "recipe": recipe, **described, "weights": start, "data": data}
    return json.loads(json.dumps(everything))  # as it will be read back


def _recipe(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of training that make a run what it is, also of runs that an earlier version recorded."""
    settings = TrainConfig.completed(settings)
    # left open, it is 0 here: rows begin with untrained heads (`amfzoo.training.prepare.with_start_share`)
    settings["start_share"] = settings["start_share"] or 0.0
    return {name: value for name, value in settings.items() if name not in HOW_IT_IS_RUN}


def check_same(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Raise ConfigError if the folder holds a run of another identity."""
    before = read_json(folder / RUN_FILE)
    kinds = [{**made, "recipe": _recipe(made["recipe"])} for made in (before, wanted)] if before else []
    other = list(_differing(*kinds)) if kinds else []
    if other:
        raise ConfigError(
            f"{folder} holds a run that was made otherwise ({'; '.join(other[:5])}): rows can be compared only if all "
            "are made alike. Name another folder with --out, or remove that one"
        )


def check_alike(out: Path, weights: Mapping[str, str], data: str) -> None:
    """Raise ConfigError if a folder holds runs of any row that a run of these weights and data cannot be compared with.

    Args:
        weights, data: as for `identity`.
    """
    for file in sorted(out.glob(f"{RUNS}/*/*/seed-*/{RUN_FILE}")):
        before = read_json(file) or {}
        if before["data"] != data:
            raise ConfigError(
                f"{file.parent} was trained with other lesions, labels, split or image files: rows can be compared only on "
                f"the same. Give those (--splits {out / SPLIT_FILE}), or name another folder with --out"
            )
        other = [name for name, value in weights.items() if before["weights"].get(name, value) != value]
        if other:
            raise ConfigError(
                f"{file.parent} began with other weights of {other[0]}: rows can be compared only from the same. Give "
                "those, or name another folder with --out"
            )


def finished(folder: Path) -> bool:
    """Whether the run in a folder has ended and its predictions are there."""
    record = read_json(folder / RUN_FILE)
    return bool(record and record.get("finished")) and (folder / CASES_FILE).exists()


def finished_cases(out: Path, study: Study) -> dict[str, dict[int, Cases]]:
    """{row id: {seed: validation predictions}} of the runs that have ended; rows without any are left out.

    Raises:
        ConfigError: there is none, or they were made by another recipe than the study's, on other data or from other
            weights of one backbone.
    """
    found: dict[str, dict[int, Cases]] = {}
    shared: dict[str, str] = {}
    for row, seed in ((row, seed) for row in study.rows for seed in study.seeds):
        folder = run_folder(out, row, seed)
        if not finished(folder):
            continue
        record = read_json(folder / RUN_FILE) or {}
        check_same(folder, identity(row, seed, record["weights"], record["data"]))
        for name, value in {"its lesions or split": record["data"], **record["weights"]}.items():
            if shared.setdefault(name, value) != value:
                raise ConfigError(f"{folder} cannot be compared with the runs before it: {name} differ")
        found.setdefault(row.id, {})[seed] = Cases.read(folder / CASES_FILE)
    if not found:
        raise ConfigError(f"{out} holds no finished run of these rows; train some first, with `run`")
    return found


def read_study(out: Path) -> dict[str, Any]:
    """study.json of a folder: plan, data, tasks, lesions, weights.

    Raises:
        ConfigError: the folder has no study.
    """
    found = read_json(out / STUDY_FILE)
    if found is None:
        raise ConfigError(f"{out} holds no study ({STUDY_FILE} is missing): train it first, with `run`")
    return found


def write_study(out: Path, about: Mapping[str, Any]) -> None:
    """Write study.json; of one that is there the rows, families, seeds and weights are kept beside the new ones, so that no
    finished run drops out of the report."""
    before = read_json(out / STUDY_FILE) or {}
    plan, old = dict(about["plan"]), before.get("plan", {})
    plan["seeds"] = sorted({*plan["seeds"], *old.get("seeds", [])})
    for part in ("families", "variants", "ablations"):
        if plan.get(part) or old.get(part):
            plan[part] = {**(old.get(part) or {}), **(plan.get(part) or {})}
    # a row that changed places stays where it is now
    for part, other in (("variants", "ablations"), ("ablations", "variants")):
        gone = set(about["plan"].get(other) or {}) - set(about["plan"].get(part) or {})
        plan[part] = {name: spec for name, spec in (plan.get(part) or {}).items() if name not in gone}
    weights = {**before.get("weights", {}), **about["weights"]}
    write_json(out / STUDY_FILE, {**about, "plan": plan, "weights": weights})


def copy_finished(out: Path, study: Study, to: Path) -> None:
    """Copy what a report is made of, less models and pictures, into another folder, which may hold other runs.

    Raises:
        ConfigError: the folder holds a run that was made otherwise; nothing was copied then.
        OSError: it cannot be written.
    """
    about = read_study(out)
    folders = [(run_folder(out, row, seed), run_folder(to, row, seed)) for row in study.rows for seed in study.seeds]
    folders = [(source, target) for source, target in folders if finished(source)]
    for source, target in folders:
        made = read_json(source / RUN_FILE) or {}
        check_same(target, {name: value for name, value in made.items() if name != "finished"})
    for data in {(read_json(source / RUN_FILE) or {})["data"] for source, _ in folders}:
        check_alike(to, about["weights"], data)
    for source, target in folders:
        _copy(source, target, (CASES_FILE, RUN_FILE))
    _copy(out, to, (SPLIT_FILE, COST_FILE))
    write_study(to, about)


def _copy(source: Path, target: Path, names: Iterable[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for content, name in [((source / name).read_bytes(), name) for name in names if (source / name).exists()]:
        write_whole(target / name, lambda file, content=content: file.write(content))


def digest(lesions: LesionSet) -> str:
    """A hash of ids, splits, labels and names of the image files; not of where they lie."""
    records = [
        [
            lesion.id,
            lesion.split,
            {task: lesion.candidates(task) for task in lesion.labels},
            [[branch, path.name] for branch, path in lesion.images.items()],
        ]
        for lesion in lesions
    ]
    return hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest()


def read_json(path: Path) -> dict[str, Any] | None:
    """None if there is no such file.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write((json.dumps(content, indent=1) + "\n").encode()))


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key, value in now.items():
        old = before.get(key)
        if key == "data" and old != value:
            yield "other lesions, labels, split or image files"
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            names = sorted(name for name in {*old, *value} if old.get(name) != value.get(name))
            yield from (f"{key}: {name} was {old.get(name)!r}, is {value.get(name)!r}" for name in names)
        elif old != value:
            yield f"{key} was {old!r}, is {value!r}"
