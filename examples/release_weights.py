"""Measure a finished run on its validation lesions and add it to the package as released weights.

    python examples/release_weights.py --run runs/milk10k --data milk10k:folder --name amf_small.milk10k

Takes the folder that `amfzoo train` wrote, measures the network, in half precision where that changes
nothing that matters, on the lesions that the run held out, through the same code as `amfzoo evaluate`, and writes

    amfzoo/weights/NAME/    the model folder, with golden outputs for the drawn example pair and a calibration plot
                            (with --repository: weights/NAME/, which is not part of the installed package)
    results/NAME/           per-case validation predictions; `amfzoo evaluate results/NAME/*.csv`
                            recomputes every figure
    weights_manifest.json   the entry

Heads of tasks without a label in validation, which only taught the features, are dropped.
`--facts` is a JSON file with what no run knows: license, attribution, not_validated_for, recipe, and perhaps data, a name
for the data, and held_out: task -> words for the lesions that its figures are of.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from manifest_file import changing, entry_of

from amfzoo import PairNetwork
from amfzoo.data.example import example_pair
from amfzoo.data.records import LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.evaluation import Cases, evaluate_model, recalibrate
from amfzoo.evaluation.intervals import is_uncertain
from amfzoo.evaluation.plots import calibration
from amfzoo.evaluation.recorded import recorded_metrics
from amfzoo.evaluation.subgroups import COLUMNS, all_subgroups
from amfzoo.folder import check_folder
from amfzoo.inference.golden import write_golden
from amfzoo.memory import keep_freed_memory
from amfzoo.models.loading import change_heads
from amfzoo.models.origin import origin_of

ROOT = Path(__file__).resolve().parent.parent
SUBGROUP_METRICS = ("accuracy", "balanced_accuracy", "auroc")
METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "auroc", "log_loss", "ece")
IMAGES = {"both": "both images", "clinical": "clinical image only", "dermoscopy": "dermoscopy image only"}
HALF_TOLERANCE = 1e-3  # largest change of a probability that half precision may cause
CALIBRATION_PLOT = "calibration.svg"
RECORD = ("license", "attribution", "training_data", "not_validated_for")  # fields of the manifest that info holds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder that `amfzoo train` wrote")
    parser.add_argument("--data", required=True, help="the source it was trained on")
    parser.add_argument("--name", required=True, help="architecture.tag")
    parser.add_argument(
        "--facts", type=Path, required=True, help="JSON: license, attribution, not_validated_for, recipe"
    )
    parser.add_argument(
        "--repository", action="store_true", help="into weights/ of the repository, not into the package"
    )
    parser.add_argument(
        "--half", action="store_true", help="store half precision even if that changes the probabilities"
    )
    parser.add_argument(
        "--default", action="store_true", help="what the name of the architecture alone stands for from now on"
    )
    args = parser.parse_args()

    keep_freed_memory()
    facts = json.loads(args.facts.read_text(encoding="utf-8"))
    lesions = read_split(load_source(args.data), args.run / "split.csv")
    valid = lesions.split("valid")
    name = facts.get("data", lesions.name)
    data = f"held-out part of {name}, split by lesion"
    info = {
        **{key: facts[key] for key in ("license", "attribution", "not_validated_for")},
        "name": args.name,
        "load_as": args.name,
        "training_data": f"{len(lesions.split('train'))} lesions of {name}. {len(valid)} others, the {data}, chose "
        f"the run, its epoch, the temperatures, prediction sets and operating points, so figures on them flatter a little. Recipe: {facts['recipe']}",
    }
    target = (ROOT if args.repository else ROOT / "amfzoo") / "weights" / args.name
    full = PairNetwork.from_pretrained(args.run / "model")
    tasks = {task: classes for task, classes in full.tasks.items() if sum(valid.counts(task).values())}
    change_heads(full, tasks, args.name)
    valid = only(valid, tasks)
    full.config = full.config.replace(info=info)
    half = PairNetwork.from_pretrained(full.save_pretrained(target, half=True, overwrite=True))
    some = LesionSet(
        valid.name, valid.lesions[:100], valid.tasks
    )  # enough to see a change; all of them where there is none
    change = largest_change(half, full, some)
    change = change if change > HALF_TOLERANCE or args.half else largest_change(half, full, valid)
    model = half if change <= HALF_TOLERANCE or args.half else full
    print(
        f"half precision changes probabilities by up to {change:.1e}: {'half' if model is half else 'full'} precision is kept"
    )

    if model is half:  # what was fitted was fitted to numbers that were not rounded yet
        model.config = model.config.unfitted()
        recalibrate(model, valid)
        model.config = model.config.replace(info=info)  # these fits are the weights' own, and no refit of them
        model.origin = origin_of(model, model.config, str(target))
    metrics = []
    cases = evaluate_model(model, valid)
    held_out = {task: facts.get("held_out", {}).get(task, data) for task in tasks}
    (ROOT / "results" / args.name).mkdir(parents=True, exist_ok=True)
    for mode, found in cases.items():
        found = found.select(np.any([found.known(task) for task in tasks], axis=0))
        found.write(ROOT / "results" / args.name / f"validation_{mode}.csv")
        for task in tasks:
            pairs = any(lesion.clinical for lesion in valid if lesion.labels.get(task))
            if found.known(task).any() and (
                pairs or mode == "both"
            ):  # without pairs the other modes show the same images
                where = f"{held_out[task]}, {IMAGES[mode if pairs else 'dermoscopy']}"
                metrics += metric_rows(found, task, where)
    main_task = next(iter(tasks))
    info = {
        **info,
        "metrics": metrics,
        "subgroups": subgroup_rows(cases["both"], main_task),
        "calibration_plot": CALIBRATION_PLOT,
    }
    model.config = model.config.replace(info=info)
    examples = write_golden(model, *example_pair())
    examples[CALIBRATION_PLOT] = calibration(cases["both"], main_task).encode()
    model.save_pretrained(target, half=model is half, overwrite=True, examples=examples)
    add_to_manifest(args.name, target, model, "repository" if args.repository else "bundled", args.default)


def only(lesions: LesionSet, tasks: dict[str, tuple[str, ...]]) -> LesionSet:
    """The lesions that are labelled for one of the tasks, with these labels alone."""
    kept = [
        replace(lesion, labels=labels)
        for lesion in lesions
        if (labels := {task: label for task, label in lesion.labels.items() if task in tasks})
    ]
    return LesionSet(lesions.name, tuple(kept), tasks)


def metric_rows(cases: Cases, task: str, where: str) -> list[dict[str, Any]]:
    """Entries of the manifest; a score that is not defined has none."""
    rows = recorded_metrics(cases, task, METRICS, where)
    for row in rows:
        interval = "no interval" if row["low"] is None else f"[{row['low']:.3f}, {row['high']:.3f}]"
        print(f"{where}: {task} {row['name']} {row['value']:.3f} {interval}")
    return rows


def subgroup_rows(cases: Cases, task: str) -> list[dict[str, Any]]:
    """Scores by skin tone, sex, age and site, as the card shows them."""
    return [
        {
            "task": task,
            "by": COLUMNS[column],
            "subgroup": row["subgroup"],
            "cases": row["cases"],
            "scores": {
                name: [round(value, 6) for value in (score.value, score.low, score.high)]
                for name in SUBGROUP_METRICS
                if math.isfinite((score := row["scores"][name]).low)
            }
            if row["scores"]
            else {},
            "uncertain": [name for name in SUBGROUP_METRICS if row["scores"] and is_uncertain(row["scores"][name])],
        }
        for column, rows in all_subgroups(cases, task).items()
        for row in rows
    ]


def largest_change(one: PairNetwork, other: PairNetwork, lesions: LesionSet) -> float:
    """Largest difference of a probability between two networks, with both images and with one."""
    a, b = evaluate_model(one, lesions), evaluate_model(other, lesions)
    return max(np.abs(a[m].probabilities[t] - b[m].probabilities[t]).max() for m in a for t in one.tasks)


def add_to_manifest(name: str, folder: Path, model: PairNetwork, kind: str, default: bool) -> None:
    """Write the entry of `name`, which becomes the default of its architecture if wanted, or if there is none."""
    check_folder(folder)
    architecture, tag = name.split(".")
    files = ("model.safetensors", "config.json")
    with changing(ROOT / "weights_manifest.json") as manifest:
        manifest["weights"][name] = {
            "architecture": architecture,
            "tag": tag,
            "source": {"type": kind, "folder": name},
            "files": {file: entry_of(folder / file) for file in files},
            "parameters": sum(p.numel() for p in model.parameters()),
            **{key: model.config.info[key] for key in RECORD},
            "tasks": {task: list(classes) for task, classes in model.tasks.items()},
            "metrics": model.config.info["metrics"],
        }
        if default:
            manifest["default_tags"][architecture] = tag
        manifest["default_tags"].setdefault(architecture, tag)


if __name__ == "__main__":
    main()
