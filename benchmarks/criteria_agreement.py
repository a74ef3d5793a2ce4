"""Two human label sets of the same images against each other, and a network against both.

    python -m benchmarks.criteria_agreement --criteria FOLDER --cases results/amf_small.open/validation_both.csv

`--criteria` holds dermaknet.csv and isic2018_task2.csv. Pigment network, streaks and dots and globules are
labelled by both. "Agreement" is the share of equal answers; kappa is Cohen's. The network's answers are taken
at the human operating point: as many images are called present as the other label set calls present, so that
both stand in for a human reader who calls equally often. Validation images alone; intervals are 95 % percentile
bootstraps over images. The third table is of what `predict` calls: each fifth of the validation images by operating
points that the other four chose (`fit_operating_points`; stratified, mean of 50 partitions). The last is of how often it
calls a criterion of lesions of other data, by their diagnosis.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from amfzoo.data.sources import load_source
from amfzoo.evaluation import Cases, fit_operating_points
from amfzoo.evaluation.intervals import percentile, resample
from amfzoo.evaluation.operating_point import LEAST_OF_EACH
from amfzoo.labels import DIAGNOSIS
from amfzoo.text_tables import table

SETS = ("dermaknet", "isic2018-task2")
REPEATS = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--criteria", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cases", type=Path, required=True, metavar="FILE", help="predictions of validation images")
    args = parser.parse_args()
    labels = {name: presence(args.criteria, name) for name in SETS}
    print(f"All images that both have labelled\n\n{humans(labels)}\n")
    cases = Cases.read(args.cases)
    print(f"Validation images\n\n{network(labels, probabilities(cases))}\n")
    print(f"What is called, and the most probable class\n\n{calls(cases)}\n")
    print(f"What is called of lesions with a known diagnosis, whose criteria nobody labelled\n\n{by_diagnosis(cases)}")


def presence(folder: Path, name: str) -> dict[str, dict[str, bool]]:
    """Task -> {image: whether present}."""
    lesions = load_source(f"{name}:{folder}")
    return {
        task: {lesion.id: lesion.labels[task] == "present" for lesion in lesions if task in lesion.labels}
        for task in lesions.tasks
    }


def probabilities(cases: Cases) -> dict[str, dict[str, float]]:
    """Task -> {image: probability of present}."""
    return {
        task: dict(zip(cases.ids, cases.probabilities[task][:, classes.index("present")]))
        for task, classes in cases.tasks.items()
        if "present" in classes
    }


def humans(labels: dict[str, dict[str, dict[str, bool]]]) -> str:
    one, other = (labels[name] for name in SETS)
    rows = []
    for task in (task for task in one if task in other):
        both = sorted(one[task].keys() & other[task].keys())
        a, b = (np.array([of[task][image] for image in both]) for of in (one, other))
        rows.append((task, len(both), f"{(a == b).mean():.3f}", f"{cohen_kappa_score(a, b):.2f}"))
    return table(("criterion", "images", "agreement", "kappa"), rows)


def network(labels: dict[str, dict[str, dict[str, bool]]], found: dict[str, dict[str, float]]) -> str:
    rows = []
    for name, other in zip(SETS, SETS[::-1]):
        for task, truth in labels[name].items():
            images = sorted(truth.keys() & found.get(task, {}).keys())
            y, p = np.array([truth[i] for i in images]), np.array([found[task][i] for i in images])
            shared = [i for i in images if i in labels[other].get(task, {})]
            agreement = ("", "", "")
            if shared:
                reader = np.array([labels[other][task][i] for i in shared])
                y2, p2 = np.array([truth[i] for i in shared]), np.array([found[task][i] for i in shared])
                called = p2 >= np.sort(p2)[::-1][max(0, reader.sum() - 1)]
                agreement = (
                    str(len(shared)),
                    with_interval(np.average, called == y2),
                    with_interval(np.average, reader == y2),
                )
            rows.append((task, name, f"{y.sum()} of {len(y)}", with_interval(auroc, y, p), *agreement))
    head = ("criterion", "label set", "present", "AUROC", "shared images", "network agrees", "other label set agrees")
    return table(head, rows)


def calls(cases: Cases) -> str:
    """Macro-F1 and accuracy where each fifth of the images is called by operating points that the others chose."""
    rows = []
    for task, classes in cases.tasks.items():
        if "present" not in classes:
            continue
        known, column = cases.select(cases.known(task)), classes.index("present")
        truth, p = known.labels[task] == column, known.probabilities[task][:, column]
        if 4 * min(truth.sum(), (~truth).sum()) // 5 < LEAST_OF_EACH:
            continue
        figures = []
        for repeat in range(REPEATS):
            called = np.zeros(len(truth), bool)
            for others, fifth in StratifiedKFold(5, shuffle=True, random_state=repeat).split(p, truth):
                threshold = fit_operating_points(known.select(others))[task]["present"]
                called[fifth] = p[fifth] >= threshold
            figures.append([score(truth, said) for score in (macro_f1, accuracy_score) for said in (called, p >= 0.5)])
        rows.append((task, f"{truth.sum()} of {len(truth)}", *(f"{x:.3f}" for x in np.mean(figures, axis=0))))
    head = ("criterion", "present", "macro-F1 called", "most probable", "accuracy called", "most probable")
    return table(head, rows)


def by_diagnosis(cases: Cases) -> str:
    """Share of the cases of each diagnosis that are called to have a criterion; the most frequent diagnoses first."""
    known = cases.select(cases.known(DIAGNOSIS))
    labels, names = known.labels[DIAGNOSIS], known.tasks[DIAGNOSIS]
    counts = np.bincount(labels, minlength=len(names))
    shown = [i for i in np.argsort(-counts) if counts[i] >= 20]
    rows = []
    for task, called in known.called.items():
        present = called == known.tasks[task].index("present")
        rows.append((task, f"{present.mean():.2f}", *(f"{present[labels == i].mean():.2f}" for i in shown)))
    return table(("criterion", f"all {len(known)}", *(f"{names[i]} ({counts[i]})" for i in shown)), rows)


def macro_f1(truth: np.ndarray, called: np.ndarray) -> float:
    return f1_score(truth, called, average="macro", zero_division=0)


def auroc(truth: np.ndarray, score: np.ndarray, weights: np.ndarray | None = None) -> float:
    seen = truth if weights is None else truth[weights > 0]
    return roc_auc_score(truth, score, sample_weight=weights) if 0 < seen.sum() < len(seen) else np.nan


def with_interval(measure: Callable[..., float], *arrays: np.ndarray) -> str:
    images = [str(i) for i in range(len(arrays[0]))]
    draws = resample(lambda weights: {"": np.array([measure(*arrays, weights=row) for row in weights])}, images)[""]
    low, high = percentile(draws)
    return f"{measure(*arrays):.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main()
