"""Released weights on a data set of another kind than they were trained on.

    python -m benchmarks.external amf_small.open amf_base.open --data ham10000:HAM10000 --trained-on milk10k:MILK10k

For each of the weights: figures of the task over all lesions of the data, none of which may be a copy of one of
`--trained-on` (by their pictures; those that are, are left out), and how many answers are classes that the data do not
have. "ECE, refitted" is of the lesions that are left when `--refitted` of them, drawn at random, have given the temperature
anew, as `recalibrate` does (mean of 20 draws). Then what the guards, which are the same for all weights, say of images
that are nearly all good; and, where the data have one modality, how many they find when each image is given in the
other's place. 95 % percentile bootstraps over patients or lesions. `--json` writes all figures to a file as well.
`--stored "WEBP 80"` stores each image once more, by Pillow's encoder at that quality, before anything is measured.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from amfzoo import create_predictor
from amfzoo.data.checking.check import check
from amfzoo.data.records import LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.spelling import spelled_as
from amfzoo.evaluation import Cases, apply_temperatures, evaluate, fit_temperatures
from amfzoo.evaluation.metrics import expected_calibration_error
from amfzoo.evaluation.report import score_text
from amfzoo.files import replacing
from amfzoo.inference import predict_stream
from amfzoo.text_tables import table

from .recompression import stored_again

FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss", "ece")
DRAWS = 20
WRONG_KIND, MISPLACED = "wrong_kind", "found in the other's place"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="NAME", help="as `create_predictor` takes them")
    parser.add_argument("--data", required=True, metavar="SOURCE", help="as for `amfzoo evaluate`")
    parser.add_argument("--trained-on", action="append", default=[], metavar="SOURCE", help="repeat it for several")
    parser.add_argument("--task", default="diagnosis")
    parser.add_argument("--runtime", default="auto", help="as `create_predictor` takes it; always in fp32")
    parser.add_argument(
        "--refitted", type=int, default=200, metavar="N", help="lesions for a new temperature (default: 200)"
    )
    parser.add_argument("--stored", metavar='"KIND QUALITY"', help="store the images once more (default: as they are)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    known = unseen(args.data, args.trained_on, args.task)
    print()
    with TemporaryDirectory(prefix="amfzoo-stored-") as folder:
        if args.stored:
            known = stored_again(known, args.stored, Path(folder))
        found = {name: figures_of(name, known, args.task, args.runtime, args.refitted) for name in args.models}
        guards = of_guards(args.models[0], known, args.runtime)
    if args.json:
        with replacing(args.json) as partial:
            text = json.dumps({"weights": found, "guards": guards}, indent=1)
            partial.write_text(text + "\n", encoding="utf-8")
    print("\n\n".join(tables(found)))
    print("\nguards, share of the lesions: " + ", ".join(f"{kind} {share:.4f}" for kind, share in guards.items()))


def unseen(data: str, trained_on: Sequence[str], task: str) -> LesionSet:
    """The lesions of a source with an image and a label of the task, but copies of training lesions, and says how many."""
    lesions = load_source(data)
    lesions = lesions.select(lambda lesion: lesion.images and isinstance(lesion.labels.get(task), str))
    known = without_copies(lesions, [load_source(source) for source in trained_on])
    print(f"{len(known)} lesions of {known.name}; {len(lesions) - len(known)} left out as copies of training lesions")
    return known


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


def answers_of(name: str, lesions: LesionSet, task: str, runtime: str) -> Cases:
    """What a network answers in fp32, with the lesions' classes spelled as it has them."""
    predictor = create_predictor(name, runtime, precision="fp32")
    lesions = spelled_as(lesions, predictor.tasks)
    pairs = [(lesion.clinical, lesion.dermoscopy) for lesion in lesions]
    answers = list(predict_stream(predictor, pairs, guards=False))
    return Cases.from_predictions(lesions, answers, {task: predictor.tasks[task]}, mode="both")


def figures_of(name: str, lesions: LesionSet, task: str, runtime: str, refitted: int) -> dict[str, Any]:
    """{"lesions", "counts", "scores", "answers_beyond", "ece_refitted"}."""
    cases = answers_of(name, lesions, task, runtime)
    if unknown := len(cases) - int(cases.known(task).sum()):
        print(f"{name}: {unknown} lesions are of classes that it does not have, and are left out\n")
        cases = cases.select(cases.known(task))
    part = evaluate(cases, subgroups=())["modes"]["both"]["tasks"][task]
    counts = {label: n for label, n in part["counts"].items() if n}
    top = np.array(cases.tasks[task])[cases.probabilities[task].argmax(1)]
    beyond = float(np.mean(~np.isin(top, list(counts))))
    found = {"lesions": len(cases), "counts": counts, "scores": part["scores"], "answers_beyond": beyond}
    return {**found, "ece_refitted": ece_refitted(cases, task, refitted)}


def ece_refitted(cases: Cases, task: str, count: int) -> float:
    """Calibration error of the cases but some, drawn at random, that the temperature is fitted on; mean of the draws."""
    errors, random = [], np.random.default_rng(0)
    for _ in range(DRAWS):
        order = random.permutation(len(cases))
        rest = apply_temperatures(cases.select(order[count:]), fit_temperatures(cases.select(order[:count])))
        errors.append(expected_calibration_error(rest.labels[task], rest.probabilities[task]))
    return float(np.mean(errors))


def of_guards(name: str, lesions: LesionSet, runtime: str) -> dict[str, float]:
    """Kind of warning -> share of the lesions, the most frequent first; "any" of all kinds; and "found in the other's place"."""
    predictor = create_predictor(name, runtime, precision="fp32")
    pairs = [(lesion.clinical, lesion.dermoscopy) for lesion in lesions]

    def warned(pairs: Sequence[tuple[Path | None, Path | None]]) -> dict[str, float]:
        answers = list(predict_stream(predictor, pairs))
        kinds = Counter(kind for answer in answers for kind in {warning.code for warning in answer.warnings})
        kinds["any"] = sum(bool(answer.warnings) for answer in answers)
        return {kind: n / len(answers) for kind, n in kinds.most_common()}

    found = warned(pairs)
    if len({tuple(lesion.images) for lesion in lesions}) == 1 and len(lesions.lesions[0].images) == 1:
        found[MISPLACED] = warned([pair[::-1] for pair in pairs]).get(WRONG_KIND, 0.0)
    return found


def tables(found: dict[str, dict[str, Any]]) -> list[str]:
    rows = [
        (
            name,
            *(score_text(f["scores"].get(figure)) for figure in FIGURES),
            f"{f['ece_refitted']:.3f}",
            f"{f['answers_beyond']:.3f}",
        )
        for name, f in found.items()
    ]
    labels = list(dict.fromkeys(label for f in found.values() for label in f["counts"]))
    counts = next(iter(found.values()))["counts"]
    aurocs = [(name, *(score_text(f["scores"].get(f"auroc:{label}")) for label in labels)) for name, f in found.items()]
    return [
        table(
            ("weights", *(figure.replace("_", " ") for figure in FIGURES), "ECE, refitted", "answers of other classes"),
            rows,
        ),
        table(("AUROC of", *(f"{label} ({counts.get(label, 0)})" for label in labels)), aurocs),
    ]


if __name__ == "__main__":
    main()
