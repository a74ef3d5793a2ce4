"""Temperatures, prediction sets and operating points of a network, fitted on lesions that it was not trained on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..data.records import LesionSet
from ..errors import ConfigError
from ..models.network import PairNetwork
from .calibration import apply_temperatures, fit_temperatures
from .cases import Cases, whole_mode
from .conformal import fit_conformal, least_cases
from .operating_point import LEAST_OF_EACH, fit_operating_points
from .run import evaluate_model

logger = logging.getLogger("amfzoo")
LEAST_CASES = 10  # of known class, to fit a temperature on: results/temperature.md
_LEAST_FOR_SETS = 20  # of known class and with every image, to fit prediction sets on


def recalibrate(
    network: PairNetwork,
    lesions: LesionSet,
    *,
    coverage: float = 0.9,
    batch_size: int = 16,
    ignore_other_classes: bool = False,
    progress: Callable[[Iterable[Any], str, int], Iterable[Any]] | None = None,
) -> dict[str, float]:
    """Fit a network's probabilities, prediction sets and operating points to your lesions, without training it.

    Changes `network.config`, which `predict`, `save_pretrained` and `create_predictor` read; the weights stay as they
    are, and so does the most probable class of every lesion. Their name then says that they are refitted, and the figures
    of what was fitted before are left out (`PairNetwork.settle_info`). Tasks with fewer than `LEAST_CASES` lesions of known class
    keep what they have; with fewer that have every image, they lose their prediction sets, and criteria with few lesions of
    either class their operating points. Measure the result on other lesions than these.

    Args:
        lesions: with labels, and not among those that the network was trained on.
        coverage: of the prediction sets: the share of sets that hold the true class.
        batch_size, ignore_other_classes, progress: as of `evaluate_model`.

    Returns:
        {task: temperature} of the tasks that were fitted.

    Raises:
        ConfigError: no task has enough lesions of known class; see also `evaluate_model`.
        ImageError: an image cannot be read.
    """
    options = {"batch_size": batch_size, "ignore_other_classes": ignore_other_classes, "progress": progress}
    return refit(network, lesions, cases_as_trained(network, lesions, **options), coverage=coverage)


def cases_as_trained(network: PairNetwork, lesions: LesionSet, **options: Any) -> Cases:
    """What the network answers with every image of a lesion, without the temperatures that it has; `options` of `evaluate_model`."""
    network.settle_info()  # before what it is called is put aside, which is no change of the network
    before = network.config
    network.config = before.unfitted()
    try:
        (cases,) = evaluate_model(network, lesions, modes=[whole_mode(network.preprocess)], **options).values()
    finally:
        network.config = before
    return cases


def refit(network: PairNetwork, lesions: LesionSet, cases: Cases, *, coverage: float = 0.9) -> dict[str, float]:
    """`recalibrate` from the answers to `lesions` that `cases_as_trained` gave."""
    network.settle_info()  # first: else what is fitted now, where it comes out the same, would go as what other weights had
    before = network.config
    fitted = calibration(cases, images_seen(network, lesions, cases), coverage)
    temperatures = fitted["temperatures"]
    if not temperatures:
        raise ConfigError(
            f"no task of the network has {LEAST_CASES} lesions of known class, of two classes or more, in {lesions.name}: "
            "too few to calibrate on"
        )
    # what is there of a task goes with its temperature: sets and operating points hold for the one that they were fitted with
    lost = sorted(set(before.operating_points) & set(temperatures) - set(fitted["operating_points"]))
    if lost:
        logger.warning(
            "the operating points of %s held for other temperatures and are dropped, so the most probable class is called: new ones "
            "are fitted to criteria that are absent or present, with %d lesions of either that have dermoscopy",
            ", ".join(lost),
            LEAST_OF_EACH,
        )
    network.config = before.replace(
        **{
            name: {**{task: old for task, old in getattr(before, name).items() if task not in temperatures}, **new}
            for name, new in fitted.items()
        },
    )
    network.settle_info()
    return temperatures


def images_seen(network: PairNetwork, lesions: LesionSet, cases: Cases) -> dict[str, np.ndarray]:
    """Branch -> (N,) bool, whether the lesion of each case has the image of it, as `calibration` asks for it."""
    kept = {lesion.id: lesion for lesion in lesions}
    return {b: np.array([getattr(kept[name], b) is not None for name in cases.ids]) for b in network.preprocess}


def cross_fitted(cases: Cases, *, parts: int = 5, seed: int = 0) -> Cases:
    """The cases of known class, each with temperatures that those of other patients (else lesions) were fitted on: what a fit to
    all of them may be expected to do to others. Cases of unknown class, and tasks that one patient has all known cases of, stay
    as they are.

    Args:
        cases: predicted without temperatures.
        parts: into which the patients with a known class fall, at random, for each task; each is answered by the fit to the
            others.
        seed: of the parts.
    """
    names = np.array(cases.groups)
    changed = {task: values.copy() for task, values in cases.probabilities.items()}
    for task in cases.tasks:
        known = cases.known(task)
        # not of all patients: those of one task could then all be in one part, and be answered by no fit at all
        groups = np.random.default_rng(seed).permutation(np.unique(names[known]))
        for part in np.array_split(groups, min(parts, len(groups))) if len(groups) > 1 else ():
            inside = known & np.isin(names, part)
            fitted = fit_temperatures(cases.select(known & ~inside))[task]
            changed[task][inside] = apply_temperatures(cases.select(inside), {task: fitted}).probabilities[task]
    return replace(cases, probabilities=changed)


def calibration(cases: Cases, seen: Mapping[str, np.ndarray], coverage: float = 0.9) -> dict[str, dict[str, Any]]:
    """What is fitted to every task with at least `LEAST_CASES` cases of known class, of two classes or more, by the names of `NetworkConfig`:
    its temperature; its operating point, from the cases with dermoscopy, see `fit_operating_points`; and, where it has
    none, its prediction sets, where the cases are as many as the coverage needs.

    Args:
        cases: predicted without temperatures.
        seen: branch -> (N,) bool, the cases that have its image, for each that the network reads; `predict` gives sets for
            cases with all of them alone.
    """

    def known(cases: Cases, task: str) -> int:
        labels = cases.labels[task][cases.known(task)]
        return len(labels) if len(np.unique(labels)) > 1 else 0  # of one class alone they say nothing of the others

    temperatures = {task: value for task, value in fit_temperatures(cases).items() if known(cases, task) >= LEAST_CASES}
    calibrated = apply_temperatures(cases, temperatures)
    points = fit_operating_points(calibrated.select(seen["dermoscopy"])) if "dermoscopy" in seen else {}
    points = {task: point for task, point in points.items() if task in temperatures}
    whole = calibrated.select(np.logical_and.reduce(list(seen.values())))
    least = least_for_sets(coverage)
    sets = {
        task: fit_conformal(whole, task, coverage=coverage)
        for task in whole.tasks
        if task not in points and known(whole, task) >= least  # what is called could lie outside of its set
    }
    return {"temperatures": temperatures, "conformal": sets, "operating_points": points}


def least_for_sets(coverage: float) -> int:
    """How many lesions of known class, with every image, give a task prediction sets."""
    return max(_LEAST_FOR_SETS, least_cases(coverage))
