"""`evaluate`: every figure of some cases as plain data, from which all reports are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import __version__
from ..errors import ConfigError
from ..labels import DIAGNOSIS
from .cases import PATIENT_GROUP, Cases
from .checklist import checklist_differences, checklist_scores, rule_counts
from .consistency import IF_CALIBRATED, ece_if_calibrated
from .intervals import LEVEL, RESAMPLES, check_settings, score_intervals
from .metrics import ECE_BINS, Score, confusion
from .operating_point import called_scores
from .paired import paired_difference
from .subgroups import MINIMUM, all_subgroups


def evaluate(
    cases: Cases | Mapping[str, Cases],
    against: Cases | Mapping[str, Cases] | None = None,
    *,
    subgroups: Iterable[str] | None = None,
    minimum: int = MINIMUM,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    common: bool = False,
    progress: Callable[[Iterable[Any], str, int], Iterable[Any]] | None = None,
) -> dict[str, Any]:
    """Every figure, with intervals, as data that JSON can hold (None for NaN).

    Args:
        cases: of one mode, or {mode: cases} of several.
        against: predictions of another model for the same lesions, compared pairwise in
            the modes that both have.
        subgroups: metadata columns; default skin tone, sex, age and site as far as recorded.
        minimum: cases of known class below which a subgroup has counts only.
        resamples, seed, level: of the intervals, as of `score_intervals`; 0 resamples leave them out.
        common: compare the lesions that both sides have, where some are on one side only; all other figures are of all `cases`.
        progress: shows how far it is, given what is gone through, a title and a count; with many cases the intervals take minutes.

    Returns:
        {"amfzoo", "settings", "modes": {mode: {"model", "cases", "groups", "unknown_patients", "splits",
        "tasks": {task: {"images", "cases", "counts", "majority_share", "confusion", "scores",
        "subgroups": {column: [...]}}}, "checklist": {score: ...}, "rule_counts"}},
        "comparison": {mode: {"first", "second", "cases", "left_out": {"first", "second"}, "known": {task: cases},
        "tasks": {task: {score: ...}}, "checklist"}}},
        where a score is {"value", "low", "high", "note"}. "ece_if_calibrated" is what the ECE would be
        by chance were every probability right (see `consistency`); "called_macro_f1", "called_sensitivity:<class>" and
        "called_precision:<class>" are of what the weights' operating point calls, where they have one for the task.

    Raises:
        ConfigError: no cases, or those of `against` are of other lesions; with `common`, of none of these; a bad setting.
    """
    modes, others = as_modes(cases), as_modes(against) if against is not None else {}
    settings = {"resamples": resamples, "seed": seed, "level": level}
    check_settings(**settings)
    if isinstance(subgroups, str):
        raise ConfigError(f"subgroups must be a list of columns, not the string {subgroups!r}")
    subgroups = None if subgroups is None else list(subgroups)
    shared = [mode for mode in modes if mode in others]
    if others and not shared:
        raise ConfigError(
            f"nothing to compare: one side has the modes {', '.join(modes)}, the other {', '.join(others)}; to compare a network of "
            "one image with one of two, write the same mode into both tables"
        )
    tasks: dict[str, dict[str, Any]] = {mode: {} for mode in modes}
    todo = [(mode, task) for mode in modes for task in modes[mode].tasks]
    for mode, task in progress(todo, "intervals", len(todo)) if progress else todo:
        tasks[mode][task] = {
            "images": _images(mode, modes, task),
            **_task(modes[mode], task, subgroups, minimum, settings),
        }
    return {
        "amfzoo": __version__,
        "settings": {
            **settings, "interval": "percentile bootstrap, resampled by patient (else by lesion); proportions of 0 or 1 have an exact binomial bound; draws of the ECE are moved so that their median is its value, its differences have no interval, and beside what it is by chance stands the range of that",
            "ece_bins": ECE_BINS, "subgroup_minimum": minimum,
        },
        "modes": {mode: _mode(modes[mode], tasks[mode], settings) for mode in modes},
        "comparison": {mode: _comparison(modes[mode], others[mode], common, settings) for mode in shared},
    }  # fmt: skip


_ORDER = ("both", "dermoscopy", "clinical")


def as_modes(cases: Cases | Mapping[str, Cases]) -> dict[str, Cases]:
    """{mode: cases}, both images first, then dermoscopy.

    Raises:
        ConfigError: there is none, or one holds no case; no such mode.
    """
    given = {cases.mode: cases} if isinstance(cases, Cases) else cases
    if not isinstance(given, Mapping) or not set(given) <= set(_ORDER):
        what = f"the keys {', '.join(map(repr, given))}" if isinstance(given, Mapping) else f"a {type(given).__name__}"
        raise ConfigError(f"give `Cases`, or {{mode: cases}} with the modes {', '.join(_ORDER)}; got {what}")
    modes = {mode: given[mode] for mode in _ORDER if mode in given}
    if not modes or not all(len(part) for part in modes.values()):
        raise ConfigError("there are no cases to evaluate")
    return modes


def rows(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every score of `evaluate`'s result in long form, as for a CSV file.

    Yields:
        {"mode", "task", "column", "subgroup", "score", "class", "cases", "value", "low",
        "high", "p", "note"}; "column" and "subgroup" are empty for the whole set, and
        differences of two models have "column" = "difference".
    """
    for mode, part in result["modes"].items():
        for task, found in part["tasks"].items():
            yield from _rows(found["scores"], mode=mode, task=task, cases=found["cases"])
            for column, groups in found["subgroups"].items():
                for group in groups:
                    place = {"mode": mode, "task": task, "column": column, "subgroup": group["subgroup"]}
                    # a row even where there are counts only
                    yield from _rows(group["scores"] or {"": _EMPTY}, **place, cases=group["cases"])
        known = {task: found["cases"] for task, found in part["tasks"].items()}
        yield from _checklist_rows(part["checklist"], part["cases"], known, mode=mode)
    for mode, part in result["comparison"].items():
        for task, found in part["tasks"].items():
            yield from _rows(found, mode=mode, task=task, column="difference", cases=part["known"][task])
        yield from _checklist_rows(part["checklist"], part["cases"], part["known"], mode=mode, column="difference")


def _checklist_rows(
    scores: Mapping[str, Any], cases: int, known: Mapping[str, int], **place: Any
) -> Iterator[dict[str, Any]]:
    """Those of the rule are of the cases whose diagnosis is known."""
    of_rule = {name: score for name, score in scores.items() if name.startswith("rule_")}
    others = {name: score for name, score in scores.items() if name not in of_rule}
    yield from _rows(others, **place, task="checklist", cases=cases)
    if of_rule:
        yield from _rows(of_rule, **place, task="checklist", cases=known[DIAGNOSIS])


_EMPTY = {"value": None, "low": None, "high": None, "note": "too few cases for scores"}
FIELDS = ("mode", "task", "column", "subgroup", "score", "class", "cases", "value", "low", "high", "p", "note")


def _rows(scores: Mapping[str, Mapping[str, Any]], **place: Any) -> Iterator[dict[str, Any]]:
    for name, score in scores.items():
        score_name, _, label = name.partition(":")
        values = {key: score.get(key) for key in ("value", "low", "high", "p", "note")}
        yield {**dict.fromkeys(FIELDS, ""), **place, "score": score_name, "class": label, **values}


def _mode(cases: Cases, tasks: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    protocol = checklist_scores(cases, **settings)
    return {
        "model": cases.model,
        "cases": len(cases),
        "groups": len(set(cases.groups)),
        "unknown_patients": sum(not group.startswith(PATIENT_GROUP) for group in cases.groups),
        "splits": {name: cases.splits.count(name) for name in sorted(set(cases.splits)) if name},
        "tasks": tasks,
        "checklist": _plain(protocol),
        "rule_counts": {str(t): found for t, found in rule_counts(cases).items()} if "rule_auc" in protocol else {},
    }


def _images(mode: str, modes: Mapping[str, Cases], task: str) -> str:
    """The mode, or the single-image mode with the very same answers: there is no other image, or it does not matter."""
    if mode != "both":
        return mode
    cases = modes[mode].select(modes[mode].known(task))
    place = {name: row for row, name in enumerate(cases.ids)}
    for other in modes:
        alone = modes[other].select(modes[other].known(task)) if task in modes[other].tasks else None
        if other == mode or not len(cases) or alone is None or set(alone.ids) != set(place):
            continue
        rows = [place[name] for name in alone.ids]
        if np.allclose(cases.probabilities[task][rows], alone.probabilities[task], rtol=0, atol=1e-6):
            return other
    return mode


def _task(
    cases: Cases, task: str, subgroups: list[str] | None, minimum: int, settings: Mapping[str, Any]
) -> dict[str, Any]:
    classes, labels = cases.tasks[task], cases.labels[task][cases.known(task)]
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    tables = all_subgroups(cases, task, subgroups, minimum=minimum, **settings)
    return {
        "cases": len(labels),
        "counts": dict(zip(classes, counts)),
        "majority_share": max(counts) / len(labels) if len(labels) else None,
        "confusion": confusion(cases, task).tolist(),
        "scores": _plain({**_scores(cases, task, settings), **called_scores(cases, task, **settings)}),
        "subgroups": {
            column: [{**group, "scores": _plain(group["scores"])} for group in groups]
            for column, groups in tables.items()
        },
    }


def _scores(cases: Cases, task: str, settings: Mapping[str, Any]) -> dict[str, Score]:
    reference = ece_if_calibrated(
        cases.probabilities[task][cases.known(task)], seed=settings["seed"], level=settings["level"]
    )
    return {**score_intervals(cases, task, **settings), IF_CALIBRATED: reference}


def _comparison(first: Cases, second: Cases, common: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    counts = len(first), len(second)
    if common:
        first, second = first.common(second)
    found = paired_difference(first, second, **settings)
    names = [first.model or "first", second.model or "second"]
    if names[0] == names[1]:  # two runs, or folds, of one model
        names = [f"{names[0]} (first)", f"{names[1]} (second)"]
    return {
        "first": names[0],
        "second": names[1],
        "cases": len(first),
        "left_out": {"first": counts[0] - len(first), "second": counts[1] - len(second)},
        "known": {task: int(first.known(task).sum()) for task in found},
        "tasks": {task: {name: d.to_dict() for name, d in scores.items()} for task, scores in found.items()},
        "checklist": {name: d.to_dict() for name, d in checklist_differences(first, second, **settings).items()},
    }


def _plain(scores: Mapping[str, Score]) -> dict[str, dict[str, Any]]:
    return {name: score.to_dict() for name, score in scores.items()}
