"""The published results on Derm7pt's official test split, and a row for a method of one's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..checks import UNCERTAIN, UNCERTAIN_NOTE
from ..labels import DERM7PT
from ..text_tables import table
from .cases import Cases
from .checklist import positive_classes
from .intervals import FEW_GROUPS, is_from_few, is_uncertain
from .seeds import MEAN_BALANCED, SeedScore

OFFICIAL = {"train": 413, "valid": 203, "test": 395}  # cases of the official split
_NAN = math.nan
_FROM_FEW = " ‡"
_NOTES = {
    UNCERTAIN: UNCERTAIN_NOTE,
    _FROM_FEW: f"‡ from fewer than {FEW_GROUPS} patients or lesions: the interval may be too narrow",
}


@dataclass(frozen=True)
class Published:
    """A published result: accuracies in %, sd over its runs where it is stated.

    metadata: patient data is an input as well. second_hand: read in a later paper's table.
    """

    method: str
    avg: float
    diagnosis: float
    avg_sd: float = _NAN
    diagnosis_sd: float = _NAN
    metadata: bool = False
    second_hand: bool = False
    available: str = "none"
    note: str = ""


PUBLISHED = (
    Published("Inception-combine 2019", 73.7, 74.2, metadata=True, second_hand=True, available="Keras file by hand"),
    Published("HcCNN 2020", 74.9, 69.9),
    Published("AMFAM 2022", 76.0, 75.4, second_hand=True),
    Published("FusionM4Net stage 1, 5 seeds", 75.12, 75.75, 0.38, 1.32, available="script"),
    Published("FusionM4Net, 5 seeds", 76.25, 77.32, 0.57, 1.45, metadata=True, available="script"),
    Published("TFormer 2023", 77.99, 80.03, metadata=True, available="script and weights",
              note="a user's rerun gave an AVG of about 76.3"),
    Published("SkinM2Former 2025", 77.27, 77.85, metadata=True),
)  # fmt: skip


def leaderboard(
    method: str, scores: Mapping[str, SeedScore], cases: Cases, *, remarks: Sequence[str] = (), level: float = 0.95
) -> str:
    """Markdown: the method's row beside the published ones, and all its figures.

    Args:
        method: what the row is called.
        scores: of `seed_scores`, on the test split, both images.
        cases: of one of its runs, for their numbers.
        remarks: what a reader must know of the data or the runs; printed first.
    """
    runs = len(next(iter(scores.values())).values)
    protocol = "avg_accuracy" in scores
    lines = [f"# {method}", "", *(f"> {text}\n" for text in remarks)]
    spread = "mean, standard deviation over the runs" if runs > 1 else "one run"
    lines += [
        f"{runs} run{'s' * (runs > 1)}, test split of {len(cases)} lesions; {spread}, [{100 * level:g} % interval over patients, or over lesions where no patient is known]. "
        + (
            "The interval does not hold what other seeds would change, the standard deviation does."
            if runs > 1
            else "The interval does not hold what another seed would change."
        )
        + " Proportions of 0 or 100 % have an exact binomial bound.",
        "",
    ]
    if protocol:
        lines += [*_rows(method, scores), ""]
    lines += ["## Tasks", "", *_tasks(scores, cases), "", "## Labels", "", *_labels(scores, protocol)]
    for mark, note in _NOTES.items():
        if any(mark in line for line in lines):
            lines += ["", f"{note}."]
    if protocol:
        lines += ["", _EXPLAINED]
    return "\n".join(lines) + "\n"


_EXPLAINED = (
    "AVG: unweighted mean of the accuracies of the diagnosis and the seven criteria. A method that always answers the "
    "most frequent class of the training split has an AVG of 61.84 and a diagnosis of 55.44 on the official test "
    "split, so read the balanced accuracy beside it. AUC over 12 labels: the five diagnoses and the seven classes that "
    "score points; over 24: all. Sensitivity, specificity and precision: a class against the rest, from "
    "the most probable class."
)


def _rows(method: str, scores: Mapping[str, SeedScore]) -> list[str]:
    rows = [("method", "inputs", "AVG", "diagnosis", "code, usable weights", "source")]
    for row in PUBLISHED:
        source = "second-hand" if row.second_hand else "its paper"
        rows.append(
            (row.method, "images and metadata" if row.metadata else "images", _stated(row.avg, row.avg_sd),
             _stated(row.diagnosis, row.diagnosis_sd), row.available, f"{source}; {row.note}" if row.note else source)
        )  # fmt: skip
    own = [_percent(scores.get(name)) for name in ("avg_accuracy", "diagnosis/accuracy")]
    rows.append((f"**{method}**", "images", *(f"**{text}**" for text in own), "this package", "measured here"))
    return ["Accuracy in %, official split for the published rows.", "", *table(rows[0], rows[1:]).splitlines()]


def _tasks(scores: Mapping[str, SeedScore], cases: Cases) -> list[str]:
    rows = [("task", "lesions of known class", "accuracy %", "balanced accuracy %", "macro-F1 %", "AUROC")]
    if "avg_accuracy" in scores:
        balanced = _percent(scores[MEAN_BALANCED])
        rows.append(("**AVG**", "", _percent(scores["avg_accuracy"]), balanced, "", ""))
        rows.append(("12 labels", "", "", "", "", _share(scores["auc_12"])))
        rows.append(("24 labels", "", "", "", "", _share(scores["auc_24"])))
    for task in dict.fromkeys(name.partition("/")[0] for name in scores if "/" in name):
        percents = [_percent(scores[f"{task}/{name}"]) for name in ("accuracy", "balanced_accuracy", "macro_f1")]
        known = int(cases.known(task).sum())
        rows.append((task.replace("_", " "), known, *percents, _share(scores[f"{task}/auroc"])))
    return table(rows[0], rows[1:]).splitlines()


def _labels(scores: Mapping[str, SeedScore], protocol: bool) -> list[str]:
    names = [tuple(name.replace("/auroc:", "\n").split("\n")) for name in scores if "/auroc:" in name]
    first = positive_classes() if protocol else []
    rest = [pair for pair in names if pair not in first]
    rows = [("task", "class", "AUROC", "sensitivity %", "specificity %", "precision %")]
    for task, label in [*first, *rest]:
        figures = [
            _percent(scores.get(f"{task}/{kind}:{label}")) for kind in ("sensitivity", "specificity", "precision")
        ]
        title = DERM7PT.tasks[task].titles.get(label, label) if task in DERM7PT.tasks else label
        rows.append((task.replace("_", " "), title, _share(scores.get(f"{task}/auroc:{label}")), *figures))
    return table(rows[0], rows[1:]).splitlines()


def _stated(value: float, sd: float) -> str:
    return str(value) if math.isnan(sd) else f"{value:.2f} sd {sd:.2f}"


def _percent(score: SeedScore | None) -> str:
    return _text(score, 100, 2)


def _share(score: SeedScore | None) -> str:
    return _text(score, 1, 3)


def _text(score: SeedScore | None, factor: float, digits: int) -> str:
    """``75.12 sd 0.38 [72.00, 78.10]``, with the mark of `_NOTES` that it needs, or a dash."""
    if score is None or not math.isfinite(score.mean):
        return "–"
    text = f"{factor * score.mean:.{digits}f}"
    if math.isfinite(score.sd):
        text += f" sd {factor * score.sd:.{digits}f}"
    if math.isfinite(score.low):
        text += f" [{factor * score.low:.{digits}f}, {factor * score.high:.{digits}f}]"
    text += UNCERTAIN if is_uncertain(score) else _FROM_FEW if is_from_few(score) else ""
    return text
