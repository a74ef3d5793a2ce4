"""The protocol of the seven-point checklist data set (Derm7pt) and its rule.

Figures, after Kawahara et al. (IEEE JBHI 2019) and the papers that follow it:

    avg_accuracy    unweighted mean of the accuracies of the diagnosis and the seven criteria
    auc_12          mean one-vs-rest AUROC over the five diagnoses and the class of each
                    criterion that scores points
    auc_24          the same over all 24 classes of the eight tasks
    rule_3:..., rule_1:...   the seven-point rule against melanoma: suspected from 3 points
                    (Argenziano et al., Arch Dermatol 1998) or 1 point (the revision of 2011),
                    points from the most probable class of each criterion
    rule_auc        AUROC of the score; rule_auc_expected, of its mean under the probabilities
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score

from ..errors import ConfigError
from ..labels import CHECKLIST, DERM7PT, DIAGNOSIS, REFER_ORIGINAL, REFER_REVISED
from . import weighted
from .cases import Cases
from .intervals import FEW_POSITIVES, LEVEL, RESAMPLES, rare_classes, uncertain, with_intervals
from .metrics import Score, undefined
from .paired import Difference, differences, shared_groups

Noted = TypeVar("Noted", Score, Difference)
MELANOMA = "MEL"
THRESHOLDS = (REFER_ORIGINAL, REFER_REVISED)


def protocol_note(cases: Cases) -> str:
    """Why there are no protocol averages; "" if there are."""
    wrong = [name for name, task in DERM7PT.tasks.items() if set(cases.tasks.get(name, ())) != set(task.classes)]
    return f"needs the eight Derm7pt tasks with all their classes; lacking: {', '.join(wrong)}" if wrong else ""


def rule_note(cases: Cases) -> str:
    """Why the seven-point rule cannot be judged; "" if it can."""
    wrong = [name for name, task in CHECKLIST.items() if set(cases.tasks.get(name, ())) != set(task.classes)]
    if wrong:
        return f"needs all seven criteria with their Derm7pt classes; lacking: {', '.join(wrong)}"
    if MELANOMA not in cases.tasks.get(DIAGNOSIS, ()):
        return f"needs a diagnosis with the class {MELANOMA}"
    return ""


def positive_classes() -> list[tuple[str, str]]:
    """The (task, class) pairs of auc_12."""
    criteria = [(name, label) for name, task in CHECKLIST.items() for label, points in task.points.items() if points]
    return [(DIAGNOSIS, label) for label in DERM7PT.tasks[DIAGNOSIS].classes] + criteria


def all_classes() -> list[tuple[str, str]]:
    """The (task, class) pairs of auc_24."""
    return [(name, label) for name, task in DERM7PT.tasks.items() for label in task.classes]


def rule_points(cases: Cases) -> tuple[np.ndarray, np.ndarray]:
    """(N,) seven-point score of the most probable classes, and (N,) mean score under the probabilities.

    Raises:
        ConfigError: a criterion or one of its classes is missing.
    """
    _require(rule_note(cases))
    points = {name: _points(cases, name) for name in CHECKLIST}
    score = sum(points[name][cases.probabilities[name].argmax(1)] for name in CHECKLIST)
    expected = sum(cases.probabilities[name] @ points[name] for name in CHECKLIST)
    return score, expected


def checklist_scores(
    cases: Cases, *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, Score]:
    """The figures of the Derm7pt protocol and of the seven-point rule (see `amfzoo.evaluation.checklist`), with intervals.

    The averages are there for the eight Derm7pt tasks, the rule for the seven criteria
    and a diagnosis of melanoma; NaN with the reason where a class does not occur.

    Args:
        cases: of which all are used; each figure looks at those whose classes it needs.
        resamples: of the bootstrap over patients (lesions where these are unknown); 0 leaves the intervals out.
        seed: of the bootstrap.
        level: of the intervals.

    Returns:
        {name: Score}; empty if the tasks allow neither.
    """
    settings = {"resamples": resamples, "seed": seed, "level": level}
    found: dict[str, Score] = {}
    if not protocol_note(cases):
        found |= with_intervals(averages(cases), lambda w: weighted_averages(cases, w), cases.groups, **settings)
        found |= {name: noted(found[name], rare_note(cases, DERM7PT.tasks)) for name in ("auc_12", "auc_24")}
    if not rule_note(cases):
        found |= _rule(cases, settings)
    return found


def checklist_differences(
    a: Cases, b: Cases, *, resamples: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> dict[str, Difference]:
    """How the averages of `b` differ from those of `a` on the same cases; empty without the eight tasks.

    Raises:
        ConfigError: other lesions, labels or classes.
    """
    if protocol_note(a) or protocol_note(b):
        return {}
    b = a.aligned(b)

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        first, second = (weighted_averages(cases, weights) for cases in (a, b))
        return {name: second[name] - first[name] for name in first}

    first, second, groups = averages(a), averages(b), shared_groups(a, b)
    found = differences(first, second, statistic, groups, resamples=resamples, seed=seed, level=level)
    note = rare_note(replace(a, groups=groups), DERM7PT.tasks)
    return found | {name: noted(found[name], note) for name in ("auc_12", "auc_24")}


def rare_note(cases: Cases, tasks: Iterable[str]) -> str:
    """What is to be said of the interval of an average over all classes of tasks; empty where none is too rare."""
    rare = [f"{name} of {task}" for task in tasks for name in rare_classes(cases, task)]
    return uncertain(rare) if rare else ""


def noted(score: Noted, note: str) -> Noted:
    """With the note, where it has an interval and none yet."""
    return replace(score, note=score.note or note) if math.isfinite(score.low) else score


def rule_counts(cases: Cases) -> dict[int, dict[str, int]]:
    """{threshold: {"TP", "FN", "FP", "TN"}} of the rule against melanoma, over cases of known diagnosis.

    Raises:
        ConfigError: the tasks do not allow the rule.
    """
    score, _ = rule_points(cases)
    known, melanoma = cases.known(DIAGNOSIS), _melanoma(cases)
    return {threshold: counts(melanoma[known], score[known] >= threshold) for threshold in THRESHOLDS}


def counts(positive: np.ndarray, called: np.ndarray) -> dict[str, int]:
    """True and false positives and negatives of two (N,) bool arrays."""
    if not len(positive):
        return dict.fromkeys(("TP", "FN", "FP", "TN"), 0)
    (tn, fp), (fn, tp) = confusion_matrix(positive, called, labels=[False, True])
    return {"TP": int(tp), "FN": int(fn), "FP": int(fp), "TN": int(tn)}


def _require(note: str) -> None:
    if note:
        raise ConfigError(f"the seven-point rule {note}")


def _points(cases: Cases, task: str) -> np.ndarray:
    return np.array([CHECKLIST[task].points[name] for name in cases.tasks[task]])


def _melanoma(cases: Cases) -> np.ndarray:
    return cases.labels[DIAGNOSIS] == cases.class_index(DIAGNOSIS, MELANOMA)


def averages(cases: Cases) -> dict[str, Score]:
    """avg_accuracy, auc_12 and auc_24 of cases with the eight Derm7pt tasks; values only, no intervals."""
    known = {task: cases.known(task) for task in DERM7PT.tasks}
    empty = [task for task, rows in known.items() if not rows.any()]
    if empty:
        return dict.fromkeys(("avg_accuracy", "auc_12", "auc_24"), undefined(f"no labels for {', '.join(empty)}"))
    accuracies = [
        accuracy_score(cases.labels[task][rows], cases.probabilities[task][rows].argmax(1))
        for task, rows in known.items()
    ]
    found = {"avg_accuracy": Score(float(np.mean(accuracies)))}
    for name, pairs in (("auc_12", positive_classes()), ("auc_24", all_classes())):
        found[name] = _mean_auc(cases, pairs)
    return found


def _mean_auc(cases: Cases, pairs: list[tuple[str, str]]) -> Score:
    areas, absent = [], []
    for task, label in pairs:
        rows, column = cases.known(task), cases.class_index(task, label)
        positive = cases.labels[task][rows] == column
        if positive.all() or not positive.any():
            absent.append(f"{task} {label}")
        else:
            areas.append(roc_auc_score(positive, cases.probabilities[task][rows, column]))
    # a mean over fewer classes would not be the figure of the literature
    return undefined(f"no AUROC for {', '.join(absent)}") if absent else Score(float(np.mean(areas)))


def weighted_averages(cases: Cases, weights: np.ndarray) -> Mapping[str, np.ndarray]:
    """The same on (R, N) weights of the cases, (R,) each."""
    accuracies, areas = [], {}
    for task in DERM7PT.tasks:
        rows = cases.known(task)
        labels, probabilities = cases.labels[task][rows], cases.probabilities[task][rows]
        accuracies.append(weighted.mean(labels == probabilities.argmax(1), weights[:, rows]))
        for column, label in enumerate(cases.tasks[task]):
            areas[task, label] = weighted.auroc(labels == column, probabilities[:, column], weights[:, rows])
    return {
        "avg_accuracy": np.mean(accuracies, axis=0),
        "auc_12": np.mean([areas[pair] for pair in positive_classes()], axis=0),
        "auc_24": np.mean([areas[pair] for pair in all_classes()], axis=0),
    }


def _rule(cases: Cases, settings: Mapping[str, float]) -> dict[str, Score]:
    cases = cases.select(cases.known(DIAGNOSIS))
    (score, expected), melanoma = rule_points(cases), _melanoma(cases)
    note = "no melanoma" if not melanoma.any() else "melanoma only" if melanoma.all() else ""
    points = {
        name: undefined(note) if note else Score(float(roc_auc_score(melanoma, values)))
        for name, values in (("rule_auc", score), ("rule_auc_expected", expected))
    }
    binomial = {}
    for threshold in THRESHOLDS:
        called = score >= threshold
        for name, rows, right in (("sensitivity", melanoma, called), ("specificity", ~melanoma, ~called)):
            key = f"rule_{threshold}:{name}"
            points[key] = Score(float(right[rows].mean())) if rows.any() else undefined(note)
            binomial[key] = rows

    def statistic(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {
            "rule_auc": weighted.auroc(melanoma, score, weights),
            "rule_auc_expected": weighted.auroc(melanoma, expected, weights),
        }
        for threshold in THRESHOLDS:
            called = score >= threshold
            found[f"rule_{threshold}:sensitivity"] = weighted.mean(called[melanoma], weights[:, melanoma])
            found[f"rule_{threshold}:specificity"] = weighted.mean(~called[~melanoma], weights[:, ~melanoma])
        return found

    found = with_intervals(points, statistic, cases.groups, binomial=binomial, **settings)
    few = min(len(set(np.asarray(cases.groups, dtype=str)[part])) for part in (melanoma, ~melanoma))
    if few < FEW_POSITIVES:
        note = f"no interval: fewer than {FEW_POSITIVES} patients or lesions with or without melanoma"
        for name in ("rule_auc", "rule_auc_expected"):
            if math.isfinite(found[name].value):
                found[name] = Score(found[name].value, note=note)
    return found
