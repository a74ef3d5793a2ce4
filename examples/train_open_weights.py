"""Train the `.open` weights: eleven diagnoses of MILK10k and six checklist criteria, in one network.

    python examples/train_open_weights.py --milk10k MILK10k --criteria criteria --backbones backbones --out runs/open

Two stages by `amfzoo.finetune`, from ImageNet values: small pictures, then larger ones. Sources:

- MILK10k: pairs, the diagnosis. For training only, and only of its training lesions, two kinds of
  further labels: the full diagnosis of its supplement, and whether the published MONET score of a
  concept is in the upper or the lower third. Both teach the features; their heads are dropped.
- `criteria`: dermoscopy alone, with dermaknet.csv and isic2018_task2.csv; a criterion is absent or
  present. Where the two label sets disagree on an image, its label is left unknown.

A stopped run goes on with the same command. `open.yaml` and `open_fine.yaml` hold the settings.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from amfzoo import PairNetwork, finetune
from amfzoo.data.checking.check import check
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split import make_split, read_split, write_split
from amfzoo.labels import CHECKLIST, DIAGNOSIS

RECIPES = Path(__file__).parent / "recipes"
FULL_DIAGNOSIS, RARE = "full_diagnosis", 20  # classes of fewer lesions are left unknown
CONCEPT = "monet_"
SIDES = {"clinical: close-up": "clinical", "dermoscopic": "dermoscopy"}
# of ImageNet values: files in --backbones, by timm's name
BACKBONE_FILES = {
    "mobilenetv2_035": "mobilenetv2_035*.safetensors",
    "mobilenetv2_100": "mobilenetv2_100*.safetensors",
    "resnetv2_50": "resnetv2_50_cut16*.safetensors",
}
# What the diagnosis is worth beside six criteria and the two kinds of labels that only train.
DIAGNOSIS_WEIGHT, CRITERION_WEIGHT, FULL_WEIGHT, CONCEPT_WEIGHT = 1.0, 0.12, 0.3, 0.03


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milk10k", type=Path, required=True, metavar="DIR")
    parser.add_argument("--criteria", type=Path, required=True, metavar="DIR")
    parser.add_argument("--backbones", type=Path, required=True, metavar="DIR", help="safetensors of ImageNet values")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--model", default="amf_small", help="default: %(default)s")
    parser.add_argument("--split", type=Path, help="split.csv of an earlier run (default: a new one)")
    parser.add_argument("--stage", type=int, nargs="+", default=[1, 2], choices=(1, 2))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a training setting")
    parser.add_argument("--start", help="of stage 2: a model folder (default: stage 1 of this run)")
    parser.add_argument("--device")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    from amfzoo.training.config import parse_setting

    settings = dict(map(parse_setting, args.set))
    args.out.mkdir(parents=True, exist_ok=True)
    lesions = with_training_labels(split(open_lesions(args.milk10k, args.criteria), args), args.milk10k)
    common = {
        "device": args.device,
        "task_weights": {task: weight(task) for task in lesions.tasks},
        "cache_dir": args.out / "cache",
        **settings,
    }
    if 1 in args.stage:
        weights = {branch: backbone_file(args, branch) for branch in ("clinical", "dermoscopy")}
        first = RECIPES / "open.yaml"
        finetune(args.model, lesions, out=args.out / "first", config=first, backbone_weights=weights, **common)
    if 2 in args.stage:
        start = args.start or f"local-dir:{args.out / 'first' / 'model'}"
        fine = RECIPES / "open_fine.yaml"
        result = finetune(start, lesions, out=args.out / "fine", config=fine, **common)
        keep_released_heads(result.model, args.out / "model")


def open_lesions(milk10k: Path, criteria: Path) -> LesionSet:
    """MILK10k, and every image of the criteria once."""
    pairs = load_source(f"milk10k:{milk10k}")
    sets = [load_source(f"{name}:{criteria}") for name in ("dermaknet", "isic2018-task2")]
    tasks = {**sets[0].tasks}
    images: dict[str, list[Lesion]] = {}
    for source in sets:
        for lesion in source:
            images.setdefault(lesion.id, []).append(lesion)
    both = tuple(replace(found[0], labels=agreed(found), metadata={}) for found in images.values())
    return LesionSet("open", (*pairs.lesions, *both), {**pairs.tasks, **tasks})


def agreed(lesions: Iterable[Lesion]) -> dict[str, str]:
    """Labels of all records of one image, without those on which they differ."""
    given: dict[str, set[str]] = {}
    for lesion in lesions:
        for task in lesion.labels:
            given.setdefault(task, set()).update(lesion.candidates(task))
    return {task: labels.pop() for task, labels in given.items() if len(labels) == 1}


def split(lesions: LesionSet, args: argparse.Namespace) -> LesionSet:
    """A fifth held out of each source; near copies of an image stay together."""
    file = args.out / "split.csv"
    if args.split or file.exists():
        return read_split(lesions, args.split or file)
    together = check(lesions).copies
    parts = [
        make_split(lesions.select(chosen), valid=0.2, seed=0, stratify=task, together=together)
        for task, chosen in (
            (DIAGNOSIS, lambda lesion: DIAGNOSIS in lesion.labels),
            ("streaks", lambda lesion: DIAGNOSIS not in lesion.labels),
        )
    ]
    found = replace(lesions, lesions=(*parts[0].lesions, *parts[1].lesions))
    write_split(found, file)
    return found


def with_training_labels(lesions: LesionSet, milk10k: Path) -> LesionSet:
    """The full diagnosis and MONET's concepts, of the training lesions."""
    full = full_diagnoses(milk10k)
    concepts = concept_labels(milk10k, {lesion.id for lesion in lesions.split("train")})
    counts = Counter(full[lesion.id] for lesion in lesions.split("train") if lesion.id in full)
    classes = tuple(sorted(name for name, n in counts.items() if n >= RARE))
    found = []
    for lesion in lesions:
        more = dict(concepts.get(lesion.id, {})) if lesion.split == "train" else {}
        if lesion.split == "train" and full.get(lesion.id) in classes:
            more[FULL_DIAGNOSIS] = full[lesion.id]
        found.append(replace(lesion, labels={**lesion.labels, **more}))
    names = dict.fromkeys(task for more in concepts.values() for task in more)
    tasks = {**lesions.tasks, FULL_DIAGNOSIS: classes, **dict.fromkeys(names, ("low", "high"))}
    return replace(lesions, lesions=tuple(found), tasks=tasks)


def metadata(milk10k: Path) -> list[dict[str, str]]:
    with open(milk10k / "MILK10k_Training_Metadata.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def full_diagnoses(milk10k: Path) -> dict[str, str]:
    lesion_of = {row["isic_id"]: row["lesion_id"] for row in metadata(milk10k)}
    with open(milk10k / "MILK10k_Training_Supplement.csv", encoding="utf-8", newline="") as file:
        return {
            lesion_of[row["isic_id"]]: row["diagnosis_full"]
            for row in csv.DictReader(file)
            if row["isic_id"] in lesion_of
        }


def concept_labels(milk10k: Path, train: set[str]) -> dict[str, dict[str, str]]:
    """Lesion -> {monet_<concept>_<image>: low or high}; the middle third is unknown."""
    scores: dict[str, dict[str, float]] = {}
    for row in metadata(milk10k):
        for column, text in row.items():
            if column.startswith("MONET_") and text:
                concept = column.removeprefix("MONET_").split("_")[0]
                scores.setdefault(f"{CONCEPT}{concept}_{SIDES[row['image_type']]}", {})[row["lesion_id"]] = float(text)
    found: dict[str, dict[str, str]] = {}
    for task, of in scores.items():
        low, high = np.quantile([score for lesion, score in of.items() if lesion in train], (1 / 3, 2 / 3))
        for lesion, score in of.items():
            if score <= low or score >= high:
                found.setdefault(lesion, {})[task] = "high" if score >= high else "low"
    return found


def weight(task: str) -> float:
    if task == DIAGNOSIS:
        return DIAGNOSIS_WEIGHT
    if task == FULL_DIAGNOSIS:
        return FULL_WEIGHT
    return CONCEPT_WEIGHT if task.startswith(CONCEPT) else CRITERION_WEIGHT


def backbone_file(args: argparse.Namespace, branch: str) -> Path:
    from amfzoo.models.zoo import ZOO

    name = str(ZOO[args.model].settings[branch])
    return next(iter(sorted(args.backbones.glob(BACKBONE_FILES.get(name, f"{name}*.safetensors")))))


def keep_released_heads(model: PairNetwork, folder: Path) -> Path:
    """The diagnosis and the criteria; the other heads were for training."""
    from amfzoo.models.loading import change_heads

    released = (DIAGNOSIS, *CHECKLIST)
    change_heads(model, {task: model.tasks[task] for task in released if task in model.tasks}, "training")
    return model.save_pretrained(folder, overwrite=True)


if __name__ == "__main__":
    main()
