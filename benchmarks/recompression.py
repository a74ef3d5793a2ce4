"""What storing the pictures once more, as JPEG, WebP, AVIF or HEIC (extra `heic`), costs a network: same lesions, same size in pixels.

    python -m benchmarks.recompression amf_small.open --data open_joint.csv --splits split.csv

Both images of each validation lesion, read as for prediction and stored again by Pillow's encoders or pillow-heif's. Macro-F1, AUROC and
accuracy of one task, how each way changes macro-F1, paired (95 % percentile bootstraps over patients or lesions), and the
share of the lesions whose most probable class is another than for the pictures as they are.
`--json` writes the figures to a file as well.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from amfzoo import create_predictor
from amfzoo.data.records import LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.evaluation import Cases, evaluate_model, paired_difference
from amfzoo.files import replacing
from amfzoo.images import read_image
from amfzoo.text_tables import table

WAYS = ("JPEG 90", "JPEG 75", "JPEG 50", "WEBP 90", "WEBP 80", "WEBP 60")  # encoder and quality


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME", help="as `create_predictor` takes them")
    parser.add_argument("--data", required=True, metavar="SOURCE", help="as for `amfzoo train`")
    parser.add_argument("--splits", type=Path, metavar="FILE", help="default: the data's own")
    parser.add_argument("--task", default="diagnosis")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), metavar='"KIND QUALITY"')
    parser.add_argument("--runtime", default="torch", help="as `create_predictor` takes it (default: torch, in fp32)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    lesions = load_source(args.data)
    valid = (read_split(lesions, args.splits) if args.splits else lesions).split("valid")
    valid = replace(valid, lesions=tuple(lesion for lesion in valid if lesion.labels.get(args.task)))
    predictors = {name: create_predictor(name, args.runtime) for name in args.models}
    found = {name: {"as it is": cases_of(predictor, valid)} for name, predictor in predictors.items()}
    for way in args.ways:
        with TemporaryDirectory(prefix="amfzoo-stored-") as folder:
            stored = stored_again(valid, way, Path(folder))
            for name, predictor in predictors.items():
                found[name][way] = cases_of(predictor, stored)
    figures = {name: figures_of(cases, args.task) for name, cases in found.items()}
    if args.json:
        with replacing(args.json) as partial:
            partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(f"{len(valid)} validation lesions of {lesions.name}, task {args.task}\n")
    rows = [
        (
            *(name, way, *(f"{f[score]:.3f}" for score in ("macro_f1", "auroc", "accuracy"))),
            *(_change(f["change"]), "" if f["change"] is None else f"{f['answers_changed']:.3f}"),
        )
        for name, ways in figures.items()
        for way, f in ways.items()
    ]
    headers = ("weights", "stored as", "macro-F1", "AUROC", "accuracy", "change of macro-F1", "answers changed")
    print(table(headers, rows))


def stored_again(lesions: LesionSet, way: str, folder: Path) -> LesionSet:
    """The lesions with their images stored as `way` says, "KIND QUALITY", in `folder`."""
    kind, quality = way.split()
    if kind == "HEIC":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    moved = []
    for number, lesion in enumerate(lesions):
        paths = {}
        for branch, path in lesion.images.items():
            paths[branch] = folder / f"{number}_{branch}.{kind.lower()}"
            read_image(path).save(paths[branch], {"HEIC": "HEIF"}.get(kind, kind), quality=int(quality))
        moved.append(replace(lesion, **paths))
    return replace(lesions, lesions=tuple(moved))


def cases_of(predictor, lesions: LesionSet) -> Cases:
    """The answers to both images."""
    return evaluate_model(predictor, lesions, modes=["both"])["both"]


def figures_of(cases: dict[str, Cases], task: str) -> dict[str, dict]:
    """Way -> its scores, the paired change of macro-F1 from the first way, and the share of answers that are not the first way's."""
    first = next(iter(cases.values()))
    answers = {way: found.probabilities[task].argmax(1) for way, found in cases.items()}
    before = next(iter(answers.values()))
    figures = {}
    for way, found in cases.items():
        apart = paired_difference(first, found, task)[task]
        figures[way] = {name: apart[name].second for name in ("macro_f1", "auroc", "accuracy")}
        change = apart["macro_f1"]
        figures[way]["answers_changed"] = float((answers[way] != before).mean())
        figures[way]["change"] = None if found is first else [change.value, change.low, change.high]
    return figures


def _change(change: list[float] | None) -> str:
    return "" if change is None else f"{change[0]:+.3f} [{change[1]:+.3f}, {change[2]:+.3f}]"


if __name__ == "__main__":
    main()
