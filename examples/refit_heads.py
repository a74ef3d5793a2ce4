"""Fit some heads of a finished network anew, by logistic regression on its features, and calibrate the result.

    python examples/refit_heads.py --run small_mean --data open_joint.csv --out refitted \\
        --heads pigment_network=3e-4 vascular_structures=3e-5

All else in the network stays as it is, and so do the logits of the other tasks. A head that learned along with the
network, in steps that have to suit all tasks, is seldom the best linear one on the features in the end (Kang et al.,
"Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020). Training lesions are seen from four
sides, turned by right angles; `--heads` names the tasks and the C of scikit-learn's LogisticRegression for each.
Temperatures, prediction sets and operating points are fitted on the lesions that the run held out. `--out` gets
``model/`` and ``split.csv`` as a run does, so that examples/release_weights.py takes it.
Needs `pip install 'amfzoo[train]'`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from changed_run import save_changed
from sklearn.linear_model import LogisticRegression

from amfzoo import PairNetwork
from amfzoo.ahead import batched
from amfzoo.data.records import Lesion
from amfzoo.data.sources import load_source
from amfzoo.data.split_file import read_split
from amfzoo.errors import ConfigError
from amfzoo.inference.augmented import Augmented
from amfzoo.inference.batch import stack
from amfzoo.memory import keep_freed_memory

BATCH = 32
_NOTHING = 1e-4  # of the largest spread of a feature; what varies less does so by rounding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder that `amfzoo train` wrote")
    parser.add_argument("--data", required=True, help="the source that the run was trained on")
    parser.add_argument("--heads", nargs="+", required=True, type=_head, metavar="TASK=C", help="what is fitted")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    strengths = dict(args.heads)
    keep_freed_memory()
    model = PairNetwork.from_pretrained(args.run / "model").eval()
    if unknown := sorted(set(strengths) - set(model.tasks)):
        parser.error(f"no such task: {', '.join(unknown)}; the network has {', '.join(model.tasks)}")
    lesions = read_split(load_source(args.data), args.run / "split.csv")
    refit(model, lesions.split("train").lesions, strengths)
    save_changed(model, lesions.split("valid"), args.run, args.out)


def _head(text: str) -> tuple[str, float]:
    task, _, strength = text.rpartition("=")
    return task, float(strength)


def refit(model: PairNetwork, lesions: Sequence[Lesion], strengths: Mapping[str, float]) -> None:
    """Fit the heads of some tasks, {task: C}, in place, on the lesions of known class."""
    known = [lesion for lesion in lesions if any(len(lesion.candidates(task)) == 1 for task in strengths)]
    views = features(model, known)
    for task, strength in strengths.items():
        rows = [i for i, lesion in enumerate(known) if len(lesion.candidates(task)) == 1]
        truth = np.array([model.tasks[task].index(known[i].candidates(task)[0]) for i in rows])
        if absent := [name for place, name in enumerate(model.tasks[task]) if place not in truth]:
            raise ConfigError(f"no training lesion is {', '.join(absent)}, so the head of {task} cannot be fitted")
        weight, bias = fitted(views[:, rows], truth, strength)
        with torch.no_grad():
            model.heads[task].weight.copy_(torch.from_numpy(weight))
            model.heads[task].bias.copy_(torch.from_numpy(bias))


@torch.no_grad()
def features(model: PairNetwork, lesions: Sequence[Lesion], sides: int = 4) -> np.ndarray:
    """(sides, N, num_features) float32: what the heads read of lesions seen from up to four sides, the upright one first."""
    views = Augmented(model).views[::2][:sides]
    found = []
    for some in batched(iter(lesions), BATCH):
        images = [{name: lesion.images.get(name) for name in model.preprocess} for lesion in some]
        inputs = [{n: path and model.preprocess[n](path) for n, path in paths.items()} for paths in images]
        *arrays, present = stack(inputs, model.preprocess)
        tensors = [None if a is None else torch.from_numpy(a).to(memory_format=torch.channels_last) for a in arrays]
        seen = [[None if t is None else view(t) for t in tensors] for view in views]
        found.append(torch.stack([model.forward_features(*pair, torch.from_numpy(present)) for pair in seen]))
    return torch.cat(found, 1).numpy()


def fitted(views: np.ndarray, truth: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """(K, F) weights and (K,) biases of a head, from (views, N, F) features and the places of (N,) true classes."""
    flat = views.reshape(-1, views.shape[2]).astype(np.float64)  # in single precision the fit does not settle
    mean, spread = flat.mean(0), flat.std(0)
    # such as those of an image that none of the lesions has: their weights would grow without bound
    spread[spread < _NOTHING * spread.max()] = np.inf
    regression = LogisticRegression(C=strength, max_iter=1000)
    regression.fit((flat - mean) / spread, np.tile(truth, len(views)))
    weight = regression.coef_ / spread
    bias = regression.intercept_ - weight @ mean
    if len(weight) == 1:  # of two classes, the difference of their logits
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


if __name__ == "__main__":
    main()
