"""Tables of predictions that the tests of `amfzoo.evaluation` share."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from amfzoo.evaluation import Cases
from amfzoo.labels import DERM7PT

CLASSES = ("BCC", "MEL", "NV")


def random_probabilities(rng: np.random.Generator, labels: np.ndarray, size: int, skill: float = 1.0) -> np.ndarray:
    logits = rng.normal(size=(len(labels), size))
    logits[np.arange(len(labels)), labels] += skill
    values = np.exp(logits)
    return values / values.sum(1, keepdims=True)


def make(
    count: int = 60, seed: int = 0, *, skill: float = 1.0, classes: tuple[str, ...] = CLASSES, truth: int = 0, **fields
) -> Cases:
    """One task, every class present from three cases on; labels depend on `truth`, probabilities also on `seed`."""
    labels = np.random.default_rng(truth).integers(len(classes), size=count)
    labels[: len(classes)] = np.arange(len(classes))[:count]
    probabilities = random_probabilities(np.random.default_rng([seed, 1]), labels, len(classes), skill)
    return Cases(
        [f"L{i}" for i in range(count)],
        {"diagnosis": classes},
        {"diagnosis": labels},
        {"diagnosis": probabilities},
        **fields,
    )


def make_derm7pt(count: int = 120, seed: int = 0, skill: float = 1.0, *, truth: int = 0, **fields) -> Cases:
    """All eight Derm7pt tasks, every class present."""
    rng, tasks = np.random.default_rng(truth), DERM7PT.classes()
    labels = {
        task: np.r_[np.arange(len(names)), rng.integers(len(names), size=count - len(names))]
        for task, names in tasks.items()
    }
    rng = np.random.default_rng([seed, 1])
    probabilities = {task: random_probabilities(rng, labels[task], len(names), skill) for task, names in tasks.items()}
    return Cases([f"L{i}" for i in range(count)], tasks, labels, probabilities, **fields)


def certain(labels: dict[str, np.ndarray]) -> Cases:
    """Derm7pt cases that are predicted as they are, with probability 1."""
    tasks = DERM7PT.classes()
    probabilities = {task: np.eye(len(names))[labels[task]] for task, names in tasks.items()}
    return Cases([f"L{i}" for i in range(len(labels["diagnosis"]))], tasks, labels, probabilities)


def human_labels(shared: Path) -> dict[str, np.ndarray]:
    """{task: (1011,) class indices} of the human label table of Derm7pt."""
    with open(shared / "data" / "derm7pt_labels" / "meta.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: np.array([task.classes.index(task.group(row[name])) for row in rows])
        for name, task in DERM7PT.tasks.items()
    }
