"""How many labelled lesions of one's own it takes, and whether starting from released weights pays.

    python -m benchmarks.fine_tuning --model amf_small.open --data ham10000:HAM10000 --trained-on open_joint.csv --out FOLDER \\
        --weights clinical=mobilenetv2_035.safetensors dermoscopy=mobilenetv2_100.safetensors

Lesions that the weights were not trained on (copies of `--trained-on` are left out) fall into a test part, the same for all,
and others, of which the first N in an order of its own for each seed play one's own labelled lesions. What can be done:

    as it is        the weights, without any lesion of one's own
    recalibrated    with a temperature from the N lesions, as `amfzoo recalibrate` fits it
    heads only      `amfzoo train` from the weights with `--set freeze=[clinical,dermoscopy,fusion] --set start_share=0`
    fine-tuned      `amfzoo train` from the weights
    trained alone   the same with `--set start_share=0`: the trained weights, not their mean with those of the start
    five folds      `amfzoo train --folds 5` from the weights, all N lesions in turn
    ImageNet        `amfzoo train` of the same network from ImageNet values of its backbones

All with the default recipe at the input size of the weights; a fifth of the N lesions chooses the epoch and calibrates, as in
any run. Probabilities of weights that know other classes besides are normalised over those of the data. Figures are of the test
part: means over the seeds with 95 % percentile bootstraps over its lesions; sd: over the seeds, each of which draws other
lesions. Given again, the command goes on where it was; figures of finished runs come from what is there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from amfzoo import create_model, finetune
from amfzoo.data.records import LesionSet
from amfzoo.evaluation import Cases, apply_temperatures, fit_temperatures, task_scores
from amfzoo.evaluation.recalibration import cases_as_trained
from amfzoo.files import replacing
from amfzoo.labels import same_classes
from amfzoo.memory import keep_freed_memory
from amfzoo.text_tables import table
from amfzoo.training import train_folds
from amfzoo.training.checkpoint import FILE as CHECKPOINT

from .asymmetry.figures import Figure, score_rows
from .external import answers_of, unseen

AS_IT_IS, RECALIBRATED, HEADS, TUNED = "as it is", "recalibrated", "heads only", "fine-tuned"
ALONE, FOLDS, IMAGENET = "trained alone", "five folds", "ImageNet"
BODY = ("clinical", "dermoscopy", "fusion")
WITH_INTERVAL, PLAIN = ("macro_f1", "auroc"), ("accuracy", "log_loss", "ece")
# key of a difference -> the row that is subtracted, and of which alone; None: of all
APART = {"minus_imagenet": (IMAGENET, None), "minus_alone": (ALONE, TUNED), "minus_tuned": (TUNED, FOLDS)}
Row = tuple[str, int]  # what was done, and with how many lesions


@dataclass(frozen=True)
class Study:
    """What is the same for all runs.

    Attributes:
        model: name of the weights. weights: branch -> file of ImageNet values.
        config: a YAML file over the default recipe, or None. runtime: of the answers. out: the runs' folder.
    """

    model: str
    task: str
    weights: Mapping[str, str]
    config: Path | None
    runtime: str
    out: Path

    def trained(self, row: str, own: LesionSet, test: LesionSet, seed: int) -> Cases:
        """Answers to the test lesions after a run, which is done unless it was."""
        folder = self.out / f"{row.replace(' ', '_')}-{len(own)}-{seed}"
        answers = folder / "test.csv"
        if not answers.is_file():
            start = create_model(self.model)
            settings: dict[str, Any] = {"seed": seed, "image_size": start.preprocess["dermoscopy"].size[0]}
            source: dict[str, Any] = {"model": self.model}
            if row == HEADS:
                settings["freeze"] = BODY
            if row in (HEADS, ALONE):
                settings["start_share"] = 0.0
            if row == IMAGENET:
                source = {"model": start.config.architecture, "pretrained": False, "backbone_weights": self.weights}
            how = {"source": own, "out": folder, "config": self.config, "progress": False, **source, **settings}
            if row == FOLDS:
                found = train_folds(**how, folds=5, resamples=0)
                if found is None or found.model is None:
                    raise SystemExit(f"{folder}: the folds' networks have no mean")
            else:
                finetune(**how)
            cases = answers_of(f"local-dir:{folder / 'model'}", test, self.task, self.runtime)
            cases = narrowed(cases, self.task, test.tasks[self.task])
            with replacing(answers) as partial:
                cases.write(partial)
            for file in folder.rglob(CHECKPOINT):  # three times the size of the network
                file.unlink()
        return Cases.read(answers)

    def untrained(self, test: LesionSet, own: Mapping[tuple[int, int], LesionSet]) -> dict[Row, dict[int, Cases]]:
        """Answers of the weights as they are, and recalibrated on each of `own`, by size and seed."""
        network = create_model(self.model)
        every = {lesion.id: lesion for part in (test, *own.values()) for lesion in part}
        file = self.out / "as_trained.csv"
        cases = Cases.read(file) if file.is_file() else None
        if cases is None or not every.keys() <= set(cases.ids):
            cases = cases_as_trained(network, replace(test, lesions=tuple(every.values())))
            self.out.mkdir(parents=True, exist_ok=True)
            with replacing(file) as partial:
                cases.write(partial)
            cases = Cases.read(file)  # rounded as the next time
        index = {name: number for number, name in enumerate(cases.ids)}

        def answers(lesions: LesionSet) -> Cases:
            return cases.select(np.array([index[lesion.id] for lesion in lesions]))

        classes = test.tasks[self.task]
        as_it_is = narrowed(apply_temperatures(answers(test), network.config.temperatures), self.task, classes)
        found: dict[Row, dict[int, Cases]] = {(AS_IT_IS, 0): {}}
        for (size, seed), lesions in own.items():
            new = apply_temperatures(answers(test), fit_temperatures(answers(lesions)))
            found.setdefault((RECALIBRATED, size), {})[seed] = narrowed(new, self.task, classes)
            found[AS_IT_IS, 0][seed] = as_it_is
        return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--model", required=True, metavar="NAME", help="released weights, as `amfzoo train` takes them")
    option("--data", required=True, metavar="SOURCE", help="as for `amfzoo train`")
    option("--trained-on", action="append", default=[], metavar="SOURCE", help="repeat it for several")
    option("--task", default="diagnosis")
    option("--weights", nargs="+", default=[], metavar="BRANCH=FILE", help="ImageNet values; without, no such row")
    option("--config", type=Path, metavar="FILE", help="YAML file of settings over the default recipe")
    option("--sizes", type=int, nargs="+", default=[100, 300, 1000], metavar="N")
    option("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N")
    option("--test", type=int, default=2000, metavar="N", help="lesions of the test part (default: 2000)")
    option("--runtime", default="auto", help="as `create_predictor` takes it; always in fp32")
    option("--out", type=Path, required=True, metavar="DIR", help="of the runs")
    option("--json", type=Path, metavar="FILE", help="write all figures there as well")
    args = parser.parse_args(argv)
    keep_freed_memory()
    known = unseen(args.data, args.trained_on, args.task)
    test, others = set_aside(of_task(known, args.task), args.test)
    if len(others) < max(args.sizes):
        parser.error(f"{len(others)} lesions are left beside the test part, fewer than {max(args.sizes)}")
    weights = dict(text.split("=", 1) for text in args.weights)
    study = Study(args.model, args.task, weights, args.config, args.runtime, args.out)
    own = {(size, seed): first(others, size, seed) for seed in args.seeds for size in args.sizes}
    found = study.untrained(test, own)
    for (size, seed), part in own.items():
        for row in (HEADS, TUNED, ALONE, FOLDS, *([IMAGENET] if args.weights else [])):
            found.setdefault((row, size), {})[seed] = study.trained(row, part, test, seed)
    figures = figures_of(found, args.task)
    if args.json:
        facts = {"model": args.model, "test": test.counts(args.task), "others": others.counts(args.task)}
        with replacing(args.json) as partial:
            text = json.dumps({**facts, "seeds": args.seeds, "rows": figures}, indent=1)
            partial.write_text(text + "\n", encoding="utf-8")
    print(f"{len(test)} test lesions, seeds {', '.join(map(str, args.seeds))}\n\n{shown(figures)}")


def of_task(lesions: LesionSet, task: str) -> LesionSet:
    """The lesions with labels of the task alone, and without classes that none has nor splits."""
    classes = tuple(name for name, n in lesions.counts(task).items() if n)
    kept = (replace(lesion, labels={task: lesion.labels[task]}, split=None) for lesion in lesions)
    return LesionSet(lesions.name, tuple(kept), {task: classes}, hints=lesions.hints)


def set_aside(lesions: LesionSet, count: int) -> tuple[LesionSet, LesionSet]:
    """Whole patients at random until they have `count` lesions, and the rest."""
    inside, chosen = 0, set()
    groups = np.array([lesion.group for lesion in lesions])
    for group in np.random.default_rng(0).permutation(np.unique(groups)):
        if inside >= count:
            break
        chosen.add(group)
        inside += int((groups == group).sum())
    return lesions.select(lambda lesion: lesion.group in chosen), lesions.select(
        lambda lesion: lesion.group not in chosen
    )


def first(lesions: LesionSet, count: int, seed: int) -> LesionSet:
    """The first `count` in an order of the seed's, so that more hold the fewer."""
    order = np.random.default_rng(seed + 1).permutation(len(lesions))[:count]
    return replace(lesions, lesions=tuple(lesions.lesions[number] for number in order))


def narrowed(cases: Cases, task: str, classes: Sequence[str]) -> Cases:
    """The cases with `classes` of the task alone, as these are spelled; probabilities sum to 1 over them."""
    own = list(cases.tasks[task])
    names = same_classes(classes, own)
    for name in classes:
        if name not in names:
            raise SystemExit(f"the network has no class {name!r}; it has {', '.join(own)}")
    columns = [own.index(names[name]) for name in classes]
    kept = cases.probabilities[task][:, columns]
    new = np.full(len(own), -1)
    new[columns] = np.arange(len(classes))
    labels = cases.labels[task]
    return replace(
        cases,
        tasks={task: tuple(classes)},
        labels={task: np.where(labels < 0, -1, new[labels])},
        probabilities={task: kept / kept.sum(1, keepdims=True)},
        called={},
        mode="both",
    )


def figures_of(found: Mapping[Row, Mapping[int, Cases]], task: str) -> list[dict[str, Any]]:
    """One dict per row: row, lesions, each figure, and the differences of `APART` from the row with as many lesions."""
    scores = score_rows(found, task)
    rows = []
    for (name, size), runs in found.items():
        one: dict[str, Any] = {"row": name, "lesions": size}
        one.update({figure: plain(scores[name, size].figure(figure)) for figure in WITH_INTERVAL})
        parts = [task_scores(cases, task) for cases in runs.values()]
        one.update({figure: float(np.mean([part[figure].value for part in parts])) for figure in PLAIN})
        for key, (row, of) in APART.items():
            control = scores.get((row, size))
            if control and name != row and of in (None, name):
                apart = {figure: scores[name, size].minus(control, figure) for figure in WITH_INTERVAL}
                one[key] = {figure: plain(value) for figure, value in apart.items() if value}
        rows.append(one)
    return sorted(rows, key=lambda one: one["lesions"])


def plain(figure: Figure) -> dict[str, float | None]:
    """For JSON, which has no NaN."""
    return {name: None if np.isnan(value) else value for name, value in asdict(figure).items()}


def shown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table, and under it what the mean with the start changes, and what folds do."""

    def text(figure: Mapping[str, Any], sign: str = "") -> str:
        value, low, high, sd = (figure[name] for name in ("value", "low", "high", "sd"))
        interval = f"{value:{sign}.3f}" if low is None else f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
        return f"{interval} sd {sd:.3f}" if sd and sd >= 0.0005 else interval

    head = ["own lesions", "what was done", "macro-F1", "AUROC", "accuracy", "log loss", "ECE"]
    head += ["macro-F1 minus ImageNet's", "AUROC minus ImageNet's"]
    lines = []
    for one in rows:
        apart = one.get("minus_imagenet", {})
        lines.append(
            [
                str(one["lesions"]),
                one["row"],
                *(text(one[figure]) for figure in WITH_INTERVAL),
                *(f"{one[figure]:.3f}" for figure in PLAIN),
                *(text(apart[figure], "+") if figure in apart else "" for figure in WITH_INTERVAL),
            ]
        )
    beside = [
        f"{of} minus {row}, {one['lesions']} lesions: "
        + ", ".join(f"{figure.replace('_', '-')} {text(value, '+')}" for figure, value in one[key].items())
        for key, (row, of) in APART.items()
        for one in rows
        if of and one.get(key)
    ]
    return "\n".join([table(head, lines), "", *beside])


if __name__ == "__main__":
    main()
