"""What faster arithmetic than fp32 costs: the same labelled lesions through every runtime that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.records import LesionSet
from ..errors import ConfigError
from ..fingerprint import fingerprint
from ..runtimes import RUNTIMES, create_predictor, export_model
from ..runtimes.measured import Measured
from .cases import Cases
from .metrics import task_scores
from .operating_point import as_called
from .run import evaluate_model

if TYPE_CHECKING:
    from ..inference.predictor import Pair
    from ..models.network import PairNetwork


def variants(calibrated: bool) -> list[tuple[str, str]]:
    """(runtime, precision) of all that this machine can compute beside fp32 on the CPU.

    Args:
        calibrated: whether there are images to calibrate int8 on.
    """
    return [
        (name, precision)
        for name, kind in RUNTIMES.items()
        for precision in kind.precisions
        if precision != "fp32" and (calibrated or precision != "int8") and kind.refusal("cpu", precision) is None
    ]


def measure_precisions(
    network: PairNetwork,
    lesions: LesionSet,
    *,
    data: str,
    calibration: Iterable[Pair] | None = None,
    only: Sequence[tuple[str, str]] | None = None,
    batch_size: int = 16,
    progress: Callable[[Iterable[Any], str, int], Iterable[Any]] | None = None,
) -> dict[str, Measured]:
    """Answer all lesions in fp32 and in every other precision, with both images and with one, and compare.

    Args:
        network: with weights; unchanged.
        lesions: labelled, and not seen in training.
        data: what they are, in words, for the record.
        calibration: pairs of images for int8, see `create_predictor`; without it int8 is left out.
        only: (runtime, precision) to measure; default `variants`.
        progress: as of `evaluate_model`.

    Returns:
        {"runtime/precision": what changed}, for `amfzoo.runtimes.measured.record`.

    Raises:
        ConfigError: no lesion is labelled for a task of the network, or a runtime cannot be used.
        As `evaluate_model` and `create_predictor`.
    """
    settings: dict[str, Any] = {"batch_size": batch_size, "progress": progress}
    wanted = variants(calibration is not None) if only is None else list(only)
    weights = fingerprint(network)
    expected = evaluate_model(network, lesions, **settings)
    found = {}
    with TemporaryDirectory(prefix="amfzoo-int8-") as folder:
        options: dict[str, dict[str, Any]] = {}
        if calibration is not None and any(precision == "int8" for _, precision in wanted):  # once for all runtimes
            graph = export_model(network, "int8", Path(folder) / "int8", calibration=calibration).folder
            options["int8"] = {"calibration": graph}
        for runtime, precision in wanted:
            predictor = create_predictor(network, runtime, precision=precision, **options.get(precision, {}))
            changes = _changes(expected, evaluate_model(predictor, lesions, **settings))
            made_with = {name: version(name) for name in RUNTIMES[runtime].requires[:1] or ("torch",)}
            found[f"{runtime}/{precision}"] = Measured(
                weights=weights, data=data, lesions=len(lesions), **changes, made_with=made_with
            )
    return found


def _changes(expected: Mapping[str, Cases], found: Mapping[str, Cases]) -> dict[str, Any]:
    changes: dict[str, dict[str, float]] = {}
    called_changes: dict[str, dict[str, float]] = {}
    largest, same, same_called = [], [], []
    for mode, cases in expected.items():
        other = found[mode]
        for task in cases.tasks:
            p, q = cases.probabilities[task], other.probabilities[task]
            largest.append(np.abs(q - p).max())
            same.append(q.argmax(1) == p.argmax(1))
            if task in cases.called:
                same_called.append(other.called[task] == cases.called[task])
            if cases.known(task).any():
                before, after = (task_scores(c, task)["macro_f1"].value for c in (cases, other))
                changes.setdefault(task, {})[mode] = round(after - before, 6)
                if task in cases.called:
                    before, after = (task_scores(as_called(c, task), task)["macro_f1"].value for c in (cases, other))
                    called_changes.setdefault(task, {})[mode] = round(after - before, 6)
    if not changes:
        raise ConfigError("no lesion is labelled for a task of the network")
    # a network of one image has no mode "both"
    whole = [by_mode.get("both", min(by_mode.values())) for by_mode in changes.values()]
    return {
        "macro_f1_change": min(whole),
        "max_probability_change": round(float(np.max(largest)), 6),
        "same_class": _share(same),
        "changes": changes,
        "called_changes": called_changes,
        "same_called": _share(same_called) if same_called else None,
    }


def _share(same: list[np.ndarray]) -> float:
    return round(float(np.concatenate(same).mean()), 6)
