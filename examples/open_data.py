"""Write the table that the `.open` weights are trained on: MILK10k and the criteria images, one row per lesion.

    python examples/open_data.py --milk10k MILK10k --criteria criteria --out open.csv

`--criteria` holds dermaknet.csv, isic2018_task2.csv and their images. A fifth of the lesions of each source is
held out; near copies of an image stay together. Labels:

- of MILK10k the diagnosis; of the others six criteria as absent or present, left unknown where the two label
  sets disagree on an image;
- for training lesions only, two kinds that teach the features and whose heads are dropped from the released
  weights: the full diagnosis of MILK10k's supplement, and whether the MONET score of a concept, published with
  MILK10k, is in the lower or the upper third.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from amfzoo.data.checking.check import check
from amfzoo.data.export import write_csv
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split import make_split
from amfzoo.labels import DIAGNOSIS

FULL_DIAGNOSIS, RARE = "full_diagnosis", 20  # classes of fewer training lesions are left unknown
CONCEPT = "monet"
IMAGES = {"clinical: close-up": "clinical", "dermoscopic": "dermoscopy"}
SOURCE = "source"  # metadata column


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milk10k", type=Path, required=True, metavar="DIR")
    parser.add_argument("--criteria", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    args = parser.parse_args()
    pairs, criteria = load_source(f"milk10k:{args.milk10k}"), criteria_images(args.criteria)
    together = check(LesionSet("open", (*pairs, *criteria), {**pairs.tasks, **criteria.tasks})).copies
    pairs = make_split(pairs, valid=0.2, stratify=DIAGNOSIS, together=together)
    criteria = make_split(criteria, valid=0.2, stratify="streaks", together=together)
    pairs = with_training_labels(pairs, args.milk10k)
    lesions = (*_from("milk10k", pairs), *_from("criteria", criteria))
    tasks = {DIAGNOSIS: pairs.tasks[DIAGNOSIS], **criteria.tasks}  # these first, those that only train after them
    write_csv(LesionSet("open", lesions, {**tasks, **pairs.tasks}), args.out)


def _from(source: str, lesions: Iterable[Lesion]) -> list[Lesion]:
    return [replace(lesion, metadata={**lesion.metadata, SOURCE: source}) for lesion in lesions]


def criteria_images(folder: Path) -> LesionSet:
    """Every image of the two label sets once, with the labels on which they do not disagree."""
    sets = [load_source(f"{name}:{folder}") for name in ("dermaknet", "isic2018-task2")]
    images: dict[str, list[Lesion]] = {}
    for lesion in (lesion for one in sets for lesion in one):
        images.setdefault(lesion.id, []).append(lesion)
    return LesionSet(
        "criteria",
        tuple(replace(found[0], labels=_agreed(found), metadata={}) for found in images.values()),
        sets[0].tasks,
    )


def _agreed(lesions: list[Lesion]) -> dict[str, str]:
    given: dict[str, set[str]] = {}
    for lesion in lesions:
        for task in lesion.labels:
            given.setdefault(task, set()).update(lesion.candidates(task))
    return {task: labels.pop() for task, labels in given.items() if len(labels) == 1}


def with_training_labels(pairs: LesionSet, folder: Path) -> LesionSet:
    """The full diagnosis and MONET's concepts, for the training lesions."""
    train = {lesion.id for lesion in pairs.split("train")}
    images = _rows(folder / "MILK10k_Training_Metadata.csv")
    lesion_of = {row["isic_id"]: row["lesion_id"] for row in images}
    full = {
        lesion_of[row["isic_id"]]: row["diagnosis_full"]
        for row in _rows(folder / "MILK10k_Training_Supplement.csv")
        if lesion_of.get(row["isic_id"]) in train
    }
    counts = Counter(full.values())
    classes = tuple(sorted(name for name, n in counts.items() if n >= RARE))
    concepts = _concepts(images, train)
    found = []
    for lesion in pairs:
        more = {task: label for task, of in concepts.items() if (label := of.get(lesion.id))}
        if full.get(lesion.id) in classes:
            more[FULL_DIAGNOSIS] = full[lesion.id]
        found.append(replace(lesion, labels={**lesion.labels, **more}))
    tasks = {**pairs.tasks, FULL_DIAGNOSIS: classes, **dict.fromkeys(concepts, ("low", "high"))}
    return replace(pairs, lesions=tuple(found), tasks=tasks)


def _concepts(images: list[dict[str, str]], train: set[str]) -> dict[str, dict[str, str]]:
    """{monet_<concept>_<image>: {lesion: low or high}}; the middle third is unknown."""
    scores: dict[str, dict[str, float]] = {}
    for row in images:
        for column, text in row.items():
            if column.startswith("MONET_") and text and row["lesion_id"] in train:
                task = f"{CONCEPT}_{column.split('_')[1]}_{IMAGES[row['image_type']]}"
                scores.setdefault(task, {})[row["lesion_id"]] = float(text)
    found = {}
    for task, of in scores.items():
        low, high = np.quantile(list(of.values()), (1 / 3, 2 / 3))
        found[task] = {name: "high" if s >= high else "low" for name, s in of.items() if s <= low or s >= high}
    return found


def _rows(file: Path) -> list[dict[str, str]]:
    with open(file, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    main()
