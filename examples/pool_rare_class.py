"""Draw the head of a class with few lesions to the mean of other classes' heads, and calibrate the result.

    python examples/pool_rare_class.py --run refitted --data open_joint.csv --out pooled \\
        --task diagnosis --class MAL_OTH --like BCC SCCKA MEL --share 0.75

Of half a dozen lesions a network learns to know these lesions, not their class. What is known of such a class beforehand, for
instance that it is malignant, ranks lesions better: with `--share` 1 its logit is the mean of the logits of the classes in
`--like`, so that its probability is highest where several of these are plausible and none is sure; with less it keeps
the rest of its own. (Estimates of small groups drawn to those of a larger one: Efron and Morris, "Stein's paradox in
statistics", Scientific American 1977.) `python -m benchmarks.rare_class` says what that does to its ranking. The bias is set so that on the
lesions that the run held out the class is as probable on average as it is frequent among the training lesions; no label of the former
is used. All else in the network stays as it is.

Temperatures, prediction sets and operating points are fitted on the held-out lesions. `--out` gets ``model/`` and ``split.csv`` as a
run does, so that examples/release_weights.py takes it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from changed_run import save_changed
from refit_heads import features
from scipy.optimize import brentq
from scipy.special import softmax

from amfzoo import PairNetwork
from amfzoo.data.records import LesionSet
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.errors import ConfigError
from amfzoo.memory import keep_freed_memory

_WIDEST = 50.0  # a bias beyond is none that a class of the data needs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder that `amfzoo train` wrote")
    parser.add_argument("--data", required=True, help="the source that the run was trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--task", default="diagnosis")
    parser.add_argument("--class", dest="name", required=True, help="the class with few lesions")
    parser.add_argument("--like", nargs="+", required=True, metavar="CLASS", help="classes that it is drawn to")
    parser.add_argument("--share", type=float, required=True, help="of the mean of these; from 0 to 1")
    args = parser.parse_args()
    if not 0 <= args.share <= 1:
        parser.error(f"--share {args.share:g} is not from 0 to 1")
    keep_freed_memory()
    model = PairNetwork.from_pretrained(args.run / "model").eval()
    lesions = read_split(load_source(args.data), args.run / "split.csv")
    held_out = lesions.split("valid")
    try:
        pool(model, args.task, args.name, args.like, args.share)
    except ConfigError as error:
        parser.error(str(error))
    set_bias(model, args.task, args.name, lesions.split("train"), held_out)
    save_changed(model, held_out, args.run, args.out)


def pool(model: PairNetwork, task: str, name: str, like: Sequence[str], share: float) -> None:
    """Replace the logit of a class, in place, by `share` of the mean logit of others and the rest of its own.

    Raises:
        ConfigError: the network has no such task or class.
    """
    classes = model.tasks.get(task, ())
    if unknown := [wanted for wanted in (name, *like) if wanted not in classes]:
        raise ConfigError(f"{task} has no class {unknown[0]!r}; it has {', '.join(classes) or 'none: no such task'}")
    others = [classes.index(other) for other in like]
    with torch.no_grad():
        for values in (model.heads[task].weight, model.heads[task].bias):
            values[classes.index(name)].mul_(1 - share).add_(values[others].mean(0), alpha=share)


def set_bias(model: PairNetwork, task: str, name: str, train: LesionSet, seen: LesionSet) -> None:
    """Set the bias of a class, in place, so that its mean probability for `seen` is its share of the labels of `train`."""
    counts, place = train.counts(task), list(model.tasks[task]).index(name)
    if not counts.get(name):
        raise ConfigError(f"no training lesion is {name}, so how frequent it is is not known")
    wanted = counts[name] / sum(counts.values())
    asked = [lesion for lesion in seen if lesion.candidates(task)]
    head = model.heads[task]
    with torch.no_grad():
        logits = head(torch.from_numpy(features(model, asked, sides=1)[0])).double().numpy()
    temperature = model.config.temperatures.get(task, 1.0)

    def excess(shift: float) -> float:
        moved = logits.copy()
        moved[:, place] += shift
        return float(softmax(moved / temperature, axis=1)[:, place].mean()) - wanted

    with torch.no_grad():
        head.bias[place] += brentq(excess, -_WIDEST, _WIDEST)


if __name__ == "__main__":
    main()
