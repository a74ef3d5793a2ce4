"""How often does a 95 % interval of macro-F1 hold the truth, where classes are rare?

    python -m benchmarks.interval_coverage

Labels are drawn with the frequencies of the eleven diagnoses of MILK10k's held-out lesions, and answers that are right as
often as those of `amf_small.open` are for each (a wrong one names the classes by their frequency). The truth is the
macro-F1 of two million such lesions. Of as many sets of 880 lesions as `--sets` says, it counts the intervals that hold
the truth, made in two ways: as amfzoo makes them, where a resample that lacks a class averages over the others; and of
those resamples alone that hold every class of the set.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.metrics import f1_score

from amfzoo.evaluation import Cases, weighted
from amfzoo.evaluation.intervals import percentile, resample
from amfzoo.text_tables import table

CASES = Path(__file__).parents[1] / "results" / "amf_small.open" / "validation_both.csv"
TASK = "diagnosis"
_TRUTH = 2_000_000  # lesions; its own error is below .001


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400, metavar="N")
    parser.add_argument("--resamples", type=int, default=200, metavar="N")
    args = parser.parse_args()
    frequency, sensitivity, size = of_cases(Cases.read(CASES))
    rng = np.random.default_rng(0)
    truth = f1_score(*draw(_TRUTH, frequency, sensitivity, rng), average="macro")
    rows = []
    for name, found in intervals(args.sets, size, frequency, sensitivity, rng, args.resamples).items():
        low, high = np.array(found).T
        inside = (low <= truth) & (truth <= high)
        rows.append((name, f"{inside.mean():.3f}", f"{(high - low).mean():.3f}"))
    print(
        f"{args.sets} sets of {size} lesions, macro-F1 {truth:.3f}; standard error of a coverage of .9: {np.sqrt(0.09 / args.sets):.3f}"
    )
    print(table(("resamples", "coverage", "mean width"), rows))


def of_cases(cases: Cases) -> tuple[np.ndarray, np.ndarray, int]:
    """Frequency of each class, share of its lesions that are found (halfway to the mean: few lesions say little), and N."""
    known = cases.select(cases.known(TASK))
    labels, called = known.labels[TASK], known.probabilities[TASK].argmax(1)
    count = np.bincount(labels, minlength=len(known.tasks[TASK]))
    right = np.bincount(labels[labels == called], minlength=len(count)) / count
    return count / count.sum(), (right + right.mean()) / 2, len(known)


def draw(
    count: int, frequency: np.ndarray, sensitivity: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """(count,) labels and answers."""
    labels = rng.choice(len(frequency), count, p=frequency)
    right = rng.random(count) < sensitivity[labels]
    return labels, np.where(right, labels, rng.choice(len(frequency), count, p=frequency))


def sets_with_every_class(size: int, frequency: np.ndarray, *args) -> Iterator[tuple[np.ndarray, ...]]:
    while True:
        labels, called = draw(size, frequency, *args)
        if len(np.unique(labels)) == len(frequency):
            yield labels, called


def intervals(
    sets: int, size: int, frequency: np.ndarray, sensitivity: np.ndarray, rng: np.random.Generator, resamples: int
) -> dict[str, list[tuple[float, float]]]:
    """{way: an interval of each set}."""
    classes = tuple(map(str, range(len(frequency))))
    one_hot = np.eye(len(classes))
    found: dict[str, list[tuple[float, float]]] = {"all": [], "those with every class": []}
    for seed, (labels, called) in zip(range(sets), sets_with_every_class(size, frequency, sensitivity, rng)):
        draws = resample(
            lambda weights, labels=labels, called=called: {
                "f1": weighted.task_scores(labels, one_hot[called], weights, classes)["macro_f1"],
                "whole": (weights @ one_hot[labels] > 0).all(1),
            },
            list(map(str, range(size))),
            resamples=resamples,
            seed=seed,
        )
        found["all"].append(percentile(draws["f1"]))
        found["those with every class"].append(percentile(draws["f1"][draws["whole"]]))
    return found


if __name__ == "__main__":
    main()
