"""Write the table that the `.open` weights are trained on: MILK10k and the criteria images, one row per lesion.

    python examples/open_data.py --milk10k MILK10k --criteria criteria --out open_joint.csv

`--criteria` holds dermaknet.csv, isic2018_task2.csv and their images. A fifth of the lesions of each source is
held out; near copies of an image stay together. Labels: of MILK10k the diagnosis; of the others six criteria as
absent or present, left unknown where the two label sets disagree on an image; and, for training images alone, the
three diagnoses of ISIC 2017 that isic2018_task2.csv has, which only teach the features; with --shared-diagnosis
they are labels of MILK10k's eleven as well (melanoma MEL, nevus NV, seborrheic keratosis BKL). What is held out,
and what it is judged by, is the same either way.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from amfzoo.data.checking.check import check
from amfzoo.data.export import write_csv
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split import groups, make_split
from amfzoo.labels import DIAGNOSIS

SOURCE = "source"  # metadata column
TEACHING, GIVEN = "isic2017_diagnosis", "diagnosis_task3_2017"  # task and column of the table
CLASSES = {"melanoma": "MEL", "nevus": "NV", "seborrheic_keratosis": "BKL"}  # and what MILK10k calls them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--milk10k", type=Path, required=True, metavar="DIR")
    parser.add_argument("--criteria", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--shared-diagnosis", action="store_true", help="ISIC 2017's diagnoses among the eleven, too")
    args = parser.parse_args()
    pairs, criteria = load_source(f"milk10k:{args.milk10k}"), criteria_images(args.criteria)
    together = check(LesionSet("open", (*pairs, *criteria), {**pairs.tasks, **criteria.tasks})).copies
    pairs = make_split(pairs, valid=0.2, stratify=DIAGNOSIS, together=together)
    criteria = make_split(criteria, valid=0.2, stratify="streaks", together=together)
    pairs, criteria = copies_held_out(pairs, criteria, together)
    criteria = with_diagnosis(criteria, pairs.tasks[DIAGNOSIS] if args.shared_diagnosis else ())
    lesions = (*_from("milk10k", pairs), *_from("criteria", criteria))
    write_csv(LesionSet("open", lesions, {**pairs.tasks, **criteria.tasks}), args.out)


def copies_held_out(
    pairs: LesionSet, criteria: LesionSet, together: Iterable[Iterable[str]]
) -> tuple[LesionSet, LesionSet]:
    """Both with what is a copy of a held-out image of the other held out as well, in a chain if need be."""
    split = {lesion.id: lesion.split for lesion in (*pairs, *criteria)}
    out = {
        name
        for group in groups((*pairs, *criteria), together)
        if any(split[member] == "valid" for member in group.members)
        for name in group.members
    }
    first, second = (
        replace(one, lesions=tuple(replace(lesion, split="valid") if lesion.id in out else lesion for lesion in one))
        for one in (pairs, criteria)
    )
    return first, second


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
        tuple(replace(found[0], labels=_agreed(found), metadata=_given(found)) for found in images.values()),
        sets[0].tasks,
    )


def _given(lesions: list[Lesion]) -> dict[str, str]:
    return {GIVEN: lesion.metadata[GIVEN] for lesion in lesions if lesion.metadata.get(GIVEN)}


def with_diagnosis(criteria: LesionSet, eleven: tuple[str, ...] = ()) -> LesionSet:
    """The diagnosis as a task of the training images, and where classes are given as one of these; the column itself goes."""
    found = []
    for lesion in criteria:
        name = lesion.metadata.get(GIVEN)
        more = {}
        if lesion.split == "train" and name in CLASSES:
            more = {TEACHING: name, **({DIAGNOSIS: CLASSES[name]} if eleven else {})}
        found.append(replace(lesion, labels={**lesion.labels, **more}, metadata={}))
    tasks = {**criteria.tasks, TEACHING: tuple(CLASSES), **({DIAGNOSIS: eleven} if eleven else {})}
    return replace(criteria, lesions=tuple(found), tasks=tasks)


def _agreed(lesions: list[Lesion]) -> dict[str, str]:
    given: dict[str, set[str]] = {}
    for lesion in lesions:
        for task in lesion.labels:
            given.setdefault(task, set()).update(lesion.candidates(task))
    return {task: labels.pop() for task, labels in given.items() if len(labels) == 1}


if __name__ == "__main__":
    main()
