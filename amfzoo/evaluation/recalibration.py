"""Temperatures, prediction sets and operating points of a network, fitted on lesions that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.records import LesionSet
from ..errors import ConfigError
from .calibration import apply_temperatures, fit_temperatures
from .cases import Cases
from .conformal import fit_conformal, least_cases
from .operating_point import fit_operating_points
from .run import evaluate_model

if TYPE_CHECKING:
    from ..models.network import PairNetwork

LEAST_CASES = 20  # of known class, to fit a temperature on


def recalibrate(
    network: PairNetwork,
    lesions: LesionSet,
    *,
    coverage: float = 0.9,
    batch_size: int = 16,
    progress: Callable[[Iterable, str, int], Iterable] | None = None,
) -> dict[str, float]:
    """Fit a network's probabilities, prediction sets and operating points to your lesions, without training it.

    Changes `network.config`, which `predict`, `save_pretrained` and `create_predictor` read; the weights stay as they
    are, and so does the most probable class of every lesion. Tasks with fewer than `LEAST_CASES` lesions of known class
    keep what they have; with fewer that have every image, they lose their prediction sets, and criteria with few lesions of
    either class their operating points. Measure the result on other lesions than these.

    Args:
        lesions: with labels, and not among those that the network was trained on.
        coverage: of the prediction sets: the share of sets that hold the true class.
        progress: as of `evaluate_model`.

    Returns:
        {task: temperature} of the tasks that were fitted.

    Raises:
        ConfigError: no task has enough lesions of known class; see also `evaluate_model`.
        ImageError: an image cannot be read.
    """
    before = network.config
    # the lesions are answered without the temperatures that are there, so that the new ones do not come on top
    network.config = before.unfitted()
    try:
        modes = ["both" if len(network.preprocess) == 2 else next(iter(network.preprocess))]
        (cases,) = evaluate_model(network, lesions, modes=modes, batch_size=batch_size, progress=progress).values()
        kept = {lesion.id: lesion for lesion in lesions}
        complete = [all(getattr(kept[name], branch) is not None for branch in network.preprocess) for name in cases.ids]
        fitted = calibration(cases, np.array(complete), coverage)
    finally:
        network.config = before
    temperatures = fitted["temperatures"]
    if not temperatures:
        raise ConfigError(
            f"no task of the network has {LEAST_CASES} lesions of known class in {lesions.name}: "
            "too few to calibrate on"
        )
    # what is there of a task goes with its temperature: sets and operating points hold for the one that they were fitted with
    network.config = before.replace(
        **{
            name: {**{task: old for task, old in getattr(before, name).items() if task not in temperatures}, **new}
            for name, new in fitted.items()
        }
    )
    return temperatures


def calibration(cases: Cases, complete: np.ndarray, coverage: float = 0.9) -> dict[str, dict[str, Any]]:
    """What is fitted to every task with at least `LEAST_CASES` cases of known class, by the names of `NetworkConfig`:
    its temperature, its prediction sets, where these are as many as the coverage needs, and its operating point, see
    `fit_operating_points`.

    Args:
        cases: predicted without temperatures.
        complete: (N,) bool, the cases with every image that the network reads: `predict` gives sets for these alone.
    """

    def known(cases: Cases, task: str) -> int:
        return int(cases.known(task).sum())

    temperatures = {task: value for task, value in fit_temperatures(cases).items() if known(cases, task) >= LEAST_CASES}
    calibrated = apply_temperatures(cases, temperatures)
    whole = calibrated.select(complete)
    least = max(LEAST_CASES, least_cases(coverage))
    sets = {task: fit_conformal(whole, task, coverage=coverage) for task in whole.tasks if known(whole, task) >= least}
    points = {task: point for task, point in fit_operating_points(calibrated).items() if task in temperatures}
    return {"temperatures": temperatures, "conformal": sets, "operating_points": points}
