"""Write the figures of released weights anew, from their saved predictions: after a change of what is measured, or how.

    python examples/describe_again.py amf_small.open amf_base.open

Takes results/NAME/validation_MODE.csv, and of the weights which figures there are, of which lesions; writes config.json and
README.md of the model folder and the entry of weights_manifest.json. The tensors stay. Figures that were there must come out as
they were, else nothing is written. `--facts` takes what the weights were not validated for from such a file as
examples/release_weights.py was given.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from manifest_file import changing, entry_of
from release_weights import IMAGES, ROOT, metric_rows, subgroup_rows

from amfzoo.card import render_card
from amfzoo.evaluation import Cases
from amfzoo.files import replacing
from amfzoo.folder import check_folder
from amfzoo.manifest import CONFIG_FILE, load_manifest, manifest_path

LIMITS = "not_validated_for"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME", help="listed weights, architecture.tag")
    parser.add_argument("--facts", type=Path, help="JSON: not_validated_for; of one NAME alone")
    args = parser.parse_args()
    if args.facts and len(args.names) > 1:
        parser.error("--facts is of one NAME alone")
    facts = json.loads(args.facts.read_text(encoding="utf-8")) if args.facts else {}
    for name in args.names:
        describe(name, facts.get(LIMITS))


def describe(name: str, limits: str | None = None) -> None:
    record = load_manifest().entry(name)
    folder = load_manifest().folder_of(record)
    config = check_folder(folder)
    cases = {mode: Cases.read(ROOT / "results" / name / f"validation_{mode}.csv") for mode in IMAGES}
    before = config["info"]["metrics"]
    metrics = [
        row
        for task, where in dict.fromkeys((row["task"], row["data"]) for row in before)
        for row in metric_rows(cases[mode_of(task, where, before)], task, where)
    ]
    check_same(name, before, metrics)
    main_task = config["info"]["subgroups"][0]["task"]
    config["info"] |= {"metrics": metrics, "subgroups": subgroup_rows(cases["both"], main_task)}
    config["info"][LIMITS] = limits or config["info"][LIMITS]
    card = render_card(config, {"parameters": record.parameters, **config["info"]})
    for file, text in (
        (CONFIG_FILE, json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n"),
        ("README.md", card),
    ):
        with replacing(folder / file) as partial:
            partial.write_text(text, encoding="utf-8")
    with changing(manifest_path()) as manifest:
        entry = manifest["weights"][name]
        entry |= {"metrics": metrics, LIMITS: config["info"][LIMITS]}
        entry["files"][CONFIG_FILE] = entry_of(folder / CONFIG_FILE)


def mode_of(task: str, where: str, rows: list[dict[str, Any]]) -> str:
    """Which table the figures of a task on some lesions come from: without pairs all modes show the same images."""
    own = {row["data"] for row in rows if row["task"] == task}
    return "both" if len(own) == 1 else next(mode for mode, words in IMAGES.items() if where.endswith(words))


def check_same(name: str, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Raise SystemExit if a figure or a bound is another one, or gone."""
    key = ("task", "name", "data")
    found = {tuple(row[k] for k in key): row for row in after}
    for row in before:
        new = found.get(tuple(row[k] for k in key), {})
        for bound in ("value", "low", "high", "cases"):
            a, b = row.get(bound), new.get(bound)
            if a is None or b is None or not math.isclose(a, b, abs_tol=2e-6):
                if a is not b:
                    raise SystemExit(f"{name}: {[row[k] for k in key]} {bound} was {a}, the saved predictions give {b}")


if __name__ == "__main__":
    main()
