"""Labels as sets of candidate classes, and the weights of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..data.records import Lesion
from ..errors import ConfigError
from ..text_tables import listed

Targets = dict[str, Tensor]  # task -> (N, C) bool, see `candidate_masks`


def candidate_masks(lesions: Iterable[Lesion], tasks: Mapping[str, tuple[str, ...]]) -> Targets:
    """What each label leaves open.

    Returns:
        task -> (N, C) bool: one True is a known class, several are candidates, none is
        unknown (and so is all True, which says nothing).
    """
    lesions = list(lesions)
    masks = {task: torch.zeros(len(lesions), len(classes), dtype=torch.bool) for task, classes in tasks.items()}
    for task, classes in tasks.items():
        for row, lesion in enumerate(lesions):
            for name in lesion.candidates(task):
                masks[task][row, classes.index(name)] = True
    return masks


def informative(candidates: Tensor) -> Tensor:
    """(B, C) bool -> (B,) bool: the label says something."""
    count = candidates.sum(1)
    return (count > 0) & (count < candidates.shape[1])


def exact(candidates: Tensor) -> Tensor:
    """(B, C) bool -> (B,) bool: the class is known."""
    return candidates.sum(1) == 1


def class_frequencies(candidates: Tensor) -> Tensor:
    """(N, C) bool -> (C,) float: lesions per class; a set of k candidates counts 1/k for each of them."""
    rows = candidates[informative(candidates)].double()
    return (rows / rows.sum(1, keepdim=True)).sum(0)


def class_weights(targets: Targets, tasks: Mapping[str, tuple[str, ...]], rule: Any) -> dict[str, Tensor]:
    """Weights of the classes in the loss.

    Args:
        targets: of the training lesions.
        rule: "none"; "inverse_sqrt" of the class frequency, with mean 1 over the classes
            that occur (others get 1); or task -> class -> weight, 1 where not named.

    Returns:
        task -> (C,) float32.

    Raises:
        ConfigError: the rule names a task or class that there is not, or leaves no class of a task any weight.
    """
    if isinstance(rule, Mapping):
        return _given(tasks, rule)
    weights = {task: torch.ones(len(classes)) for task, classes in tasks.items()}
    if rule == "inverse_sqrt":
        for task, candidates in targets.items():
            counts = class_frequencies(candidates)
            seen = counts > 0
            if seen.any():
                found = counts[seen].rsqrt()
                weights[task][seen] = (found / found.mean()).float()
    return weights


def _of_yaml(name: str) -> str:
    """What may have happened to a name that there is not."""
    if name not in (str(True), str(False)):
        return ""
    return ". YAML reads a bare yes or no as true or false: write such names in quotes, {'yes': 3, 'no': 1}"


def _given(tasks: Mapping[str, tuple[str, ...]], rule: Mapping[str, Mapping[str, float]]) -> dict[str, Tensor]:
    for task, named in rule.items():
        if task not in tasks:
            raise ConfigError(
                f"training setting class_weights: the data has no task {task!r}; it has {listed(tasks)}{_of_yaml(task)}"
            )
        wrong = [name for name in named if name not in tasks[task]]
        if wrong:
            raise ConfigError(
                f"training setting class_weights: the task {task!r} has no class {wrong[0]!r} in the labels of the data; it has "
                f"{listed(tasks[task])}{_of_yaml(wrong[0])}"
            )
        if not any(named.get(name, 1.0) for name in tasks[task]):
            raise ConfigError(
                f"training setting class_weights: all classes of {task!r} weigh 0, so nothing would be learned of it; if that is "
                f"meant, say task_weights={{{task}: 0}}"
            )
    return {
        task: torch.tensor([float(rule.get(task, {}).get(name, 1.0)) for name in classes])
        for task, classes in tasks.items()
    }
