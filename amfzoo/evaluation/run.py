"""`evaluate_model`: the table of predictions of a network on a set of lesions."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..data.records import Lesion, LesionSet
from ..data.spelling import spelled_as
from ..errors import AmfzooError, ConfigError
from ..inference.augmented import Augmented
from ..inference.predictor import predict_stream
from ..models.network import PairNetwork
from ..text_tables import listed
from .cases import MODES, Cases

if TYPE_CHECKING:
    from ..inference.prediction import Prediction

logger = logging.getLogger("amfzoo")
_AUGMENTED = "mirrored and turned"  # what the model's name says of such answers
_SHOWN = 5  # messages of one kind


def evaluate_model(
    model: PairNetwork,
    lesions: LesionSet,
    *,
    modes: Iterable[str] | None = None,
    batch_size: int = 16,
    tta: bool = False,
    ignore_other_classes: bool = False,
    on_bad_image: str = "raise",
    progress: Callable[[Iterable[Any], str, int], Iterable[Any]] | None = None,
) -> dict[str, Cases]:
    """Predict every lesion with both images and with one.

    Mode "both" gives the network every image that a lesion has; "clinical" and
    "dermoscopy" give it this one alone, for the lesions that have it. Labels may differ from the network's classes by upper
    and lower case ("mel" for "MEL"). A network that was changed since it was loaded loses its name first, see
    `PairNetwork.settle_info`.

    Args:
        model: the network itself, not one behind another runtime; it answers on its own device.
        lesions: of any source (`load_source`), with labels for at least one of the network's tasks.
        batch_size: pairs per step.
        modes: default those for which the network has a branch and the set an image.
        tta: average the probabilities over flips and right-angle turns of the images; the name of the model then says so.
        ignore_other_classes: leave lesions of a class that the network does not have out
            of the task's figures, which then look better than the network is on this set.
        on_bad_image: "raise", or "skip" the lesions with an image that cannot be read, with a warning.
        progress: wraps the iterable of predictions; called with it, the mode and the count.

    Returns:
        {mode: Cases}, lesions in the set's order.

    Raises:
        ConfigError: a mode that is unknown or that the network or the set cannot give;
            labels that the network has no class for; no labels for any of its tasks.
        ImageError: an image cannot be read.
    """
    if isinstance(modes, str):
        raise ConfigError(f"modes must be a list of modes, not the string {modes!r}")
    wanted = list(modes) if modes is not None else [mode for mode in MODES if _usable(model, lesions, mode)]
    for mode in wanted:
        if mode not in MODES:
            raise ConfigError(f"unknown mode {mode!r}; known: {', '.join(MODES)}")
        if not _usable(model, lesions, mode):
            read = list(model.preprocess)
            one = len(read) == 1 and mode != read[0]
            why = f"alone; its mode is {read[0]!r}" if one else f"and no lesion of {lesions.name} has what it needs"
            raise ConfigError(f"mode {mode!r} cannot be evaluated: the network reads {' and '.join(read)} images {why}")
    if not wanted:
        raise ConfigError(
            f"no lesion of {lesions.name} has an image that the network reads ({' or '.join(model.preprocess)})"
        )
    if hasattr(model, "settle_info"):  # the figures of other weights are not those of the name they were loaded by
        model.settle_info()
    lesions = spelled_as(lesions, model.tasks)
    _check_labels(model, lesions, ignore_other_classes)
    _note_own_data(model, lesions)
    network = Augmented(model) if tta else model
    found = {}
    for mode in wanted:
        kept = _kept(model, lesions, mode)
        options = {"batch_size": batch_size, "guards": False, "errors": "return" if on_bad_image == "skip" else "raise"}
        answers: Iterable = predict_stream(network, _pairs(kept, mode), **options)
        answers = progress(answers, mode, len(kept)) if progress else answers
        answered = _answered(lesions.name, kept, list(answers), mode)
        cases = Cases.from_predictions(*zip(*answered), model.tasks, mode=mode)
        # other answers than the network's own: neither mixed with them nor taken for them
        found[mode] = replace(cases, model=f"{cases.model}, {_AUGMENTED}") if tta else cases
    return found


def _note_own_data(model: PairNetwork, lesions: LesionSet) -> None:
    """Warn where the weights say that they come of a data set of this name, and no split tells which lesions they have not seen."""
    told = str(model.config.info.get("training_data") or "")
    own = [
        name
        for name in lesions.name.split("+")
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", told, re.IGNORECASE)
    ]
    open_ = sum(lesion.split is None for lesion in lesions)
    if own and open_:
        logger.warning(
            "%s says that it was trained on lesions of %s: if some of these %d are among them, their figures flatter, and nothing "
            "can be fitted to them; give lesions that it has not seen (of a run: --splits run/split.csv --split valid)",
            *(model.config.info.get("name", "the network"), " and ".join(own), open_),
        )


def _answered(name: str, lesions: list[Lesion], answers: list, mode: str) -> list[tuple[Lesion, Prediction]]:
    """The lesions that have an answer, with it; the others are told of."""
    pairs = list(zip(lesions, answers))
    bad = [(lesion, answer) for lesion, answer in pairs if isinstance(answer, AmfzooError)]
    for lesion, error in bad[:_SHOWN]:
        logger.warning("lesion %r is left out: %s", lesion.id, error)
    if bad:
        logger.warning("%s: %d of %d lesions are left out of the mode %r", name, len(bad), len(lesions), mode)
    if len(bad) == len(lesions):
        raise ConfigError(f"{name}: no lesion has images that can be read")
    return [(lesion, answer) for lesion, answer in pairs if not isinstance(answer, AmfzooError)]


def _check_labels(model: PairNetwork, lesions: LesionSet, ignore_other_classes: bool) -> None:
    counts = {task: lesions.counts(task) for task in model.tasks if task in lesions.tasks}
    if not any(count[name] for task, count in counts.items() for name in model.tasks[task] if name in count):
        if same := [task for task, count in counts.items() if set(model.tasks[task]) & set(count)]:
            several = sum(any(len(lesion.candidates(task)) > 1 for task in same) for lesion in lesions)
            raise ConfigError(
                f"nothing to score: of {len(lesions)} lesions of {lesions.name} none is of known class in {', '.join(same)}"
                + (f", since the labels of {several} leave several classes open" if several else "")
                + "; label some with one class each"
            )
        task = next(iter(model.tasks))
        raise ConfigError(
            f"nothing to score: {lesions.name} has labels for {_listed(lesions.tasks) or 'no task'}, the network answers {_listed(model.tasks)}; "
            + (
                "write the labels as the network's classes are called"
                if counts
                else f"of a table name the column of the labels, e.g. --label '{task}=COLUMN' (in Python labels={{'{task}': 'COLUMN'}} of load_source)"
            )
        )
    for task, count in counts.items():
        other = {name: n for name, n in count.items() if n and name not in model.tasks[task]}
        if other and ignore_other_classes:
            logger.warning(
                "task %r: %d lesions of classes that the network does not have are left out of the figures, which flatter: %s",
                *(task, sum(other.values()), ", ".join(f"{name} {n}" for name, n in other.items())),
            )
        elif other:
            raise ConfigError(
                f"task {task!r}: {sum(other.values())} lesions of {lesions.name} are of classes that the network does not have "
                f"({', '.join(f'{name} {n}' for name, n in other.items())}); it has {listed(model.tasks[task])}. "
                "Map or remove them, or leave them out with ignore_other_classes (--ignore-other-classes)"
            )


def _listed(tasks: Mapping[str, Iterable[str]]) -> str:
    return "; ".join(f"{task} ({listed(classes)})" for task, classes in tasks.items())


def _usable(model: PairNetwork, lesions: LesionSet, mode: str) -> bool:
    if mode == "both" and len(model.preprocess) < 2:
        return False  # a network of one image has no such mode
    return (mode == "both" or mode in model.preprocess) and bool(_kept(model, lesions, mode))


def _kept(model: PairNetwork, lesions: LesionSet, mode: str) -> list[Lesion]:
    names = [name for name in model.preprocess if mode in ("both", name)]
    return [lesion for lesion in lesions if any(getattr(lesion, name) is not None for name in names)]


def _pairs(lesions: list[Lesion], mode: str) -> Iterator[tuple]:
    for lesion in lesions:
        yield (
            lesion.clinical if mode != "dermoscopy" else None,
            lesion.dermoscopy if mode != "clinical" else None,
        )
