"""Released weights on a data set of another kind than they were trained on.

    python -m benchmarks.external amf_small.open amf_base.open --data ham10000:HAM10000 --trained-on milk10k:MILK10k

For each of the weights: figures of the task over all lesions of the data, none of which may be a copy of one of
`--trained-on` (by their pictures; those that are, are left out); how many answers are classes that the data do not have;
and what the guards say of images that are nearly all good. Where the data have one modality, one image at a time is also
given in the wrong place, to see how many the guards find. 95 % percentile bootstraps over patients or lesions.
`--json` writes all figures to a file as well.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from amfzoo import create_predictor
from amfzoo.data.checking.check import check
from amfzoo.data.records import LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.spelling import spelled_as
from amfzoo.evaluation import Cases, evaluate
from amfzoo.evaluation.report import score_text
from amfzoo.files import replacing
from amfzoo.inference import predict_stream
from amfzoo.text_tables import table

FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss", "ece")
WRONG_KIND = "wrong_kind"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME", help="as `create_predictor` takes them")
    parser.add_argument("--data", required=True, metavar="SOURCE", help="as for `amfzoo evaluate`")
    parser.add_argument("--trained-on", action="append", default=[], metavar="SOURCE", help="repeat it for several")
    parser.add_argument("--task", default="diagnosis")
    parser.add_argument("--runtime", default="auto", help="as `create_predictor` takes it; always in fp32")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    lesions = load_source(args.data)
    lesions = lesions.select(lambda lesion: lesion.images and isinstance(lesion.labels.get(args.task), str))
    known = without_copies(lesions, [load_source(source) for source in args.trained_on])
    print(f"{len(known)} lesions of {known.name}; {len(lesions) - len(known)} left out as copies of training lesions\n")
    found = {name: figures_of(name, known, args.task, args.runtime) for name in args.models}
    if args.json:
        with replacing(args.json) as partial:
            partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n\n".join(tables(found)))


def without_copies(lesions: LesionSet, others: Sequence[LesionSet]) -> LesionSet:
    """Those whose pictures are no copies, or near copies, of another set's."""
    copies: set[str] = set()
    for other in others:
        plain = (replace(lesion, labels={}, split=None) for lesion in (*other, *lesions))
        theirs = {lesion.id for lesion in other}
        for group in check(LesionSet("both", tuple(plain), {})).copies:
            if theirs.intersection(group):
                copies.update(group)
    return lesions.select(lambda lesion: lesion.id not in copies)


def figures_of(name: str, lesions: LesionSet, task: str, runtime: str) -> dict[str, Any]:
    """{"model", "lesions", "counts", "scores", "answers_beyond", "warnings", "misplaced"}."""
    predictor = create_predictor(name, runtime, precision="fp32")
    lesions = spelled_as(lesions, predictor.tasks)
    answers = list(predict_stream(predictor, [(lesion.clinical, lesion.dermoscopy) for lesion in lesions]))
    cases = Cases.from_predictions(lesions, answers, {task: predictor.tasks[task]}, mode="both")
    part = evaluate(cases, subgroups=())["modes"]["both"]["tasks"][task]
    counts = {label: n for label, n in part["counts"].items() if n}
    top = np.array(cases.tasks[task])[cases.probabilities[task].argmax(1)]
    found = {
        "model": answers[0].model,
        "lesions": len(lesions),
        "counts": counts,
        "scores": part["scores"],
        "answers_beyond": float(np.mean(~np.isin(top, list(counts)))),
        "warnings": warned(answers),
    }
    if len({tuple(lesion.images) for lesion in lesions}) == 1 and len(lesions.lesions[0].images) == 1:
        swapped = [(lesion.dermoscopy, lesion.clinical) for lesion in lesions]
        found["misplaced"] = warned(list(predict_stream(predictor, swapped))).get(WRONG_KIND, 0.0)
    return found


def warned(answers: Sequence[Any]) -> dict[str, float]:
    """Kind of warning -> share of the answers that have one, the most frequent first; "any" of all kinds."""
    kinds = Counter(kind for answer in answers for kind in {warning.code for warning in answer.warnings})
    kinds["any"] = sum(bool(answer.warnings) for answer in answers)
    return {kind: n / len(answers) for kind, n in kinds.most_common()}


def tables(found: dict[str, dict[str, Any]]) -> list[str]:
    rows = [(name, *(score_text(f["scores"].get(figure)) for figure in FIGURES)) for name, f in found.items()]
    labels = list(dict.fromkeys(label for f in found.values() for label in f["counts"]))
    counts = next(iter(found.values()))["counts"]
    aurocs = [(name, *(score_text(f["scores"].get(f"auroc:{label}")) for label in labels)) for name, f in found.items()]
    rest = [
        (
            name,
            f"{f['answers_beyond']:.3f}",
            ", ".join(f"{kind} {share:.4f}" for kind, share in f["warnings"].items()),
            f"{f['misplaced']:.3f}" if "misplaced" in f else "",
        )
        for name, f in found.items()
    ]
    return [
        table(("weights", *(figure.replace("_", " ") for figure in FIGURES)), rows),
        table(("AUROC of", *(f"{label} ({counts.get(label, 0)})" for label in labels)), aurocs),
        table(("weights", "answers of other classes", "warnings of images in place", "found in the wrong place"), rest),
    ]


if __name__ == "__main__":
    main()
