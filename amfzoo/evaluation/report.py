"""The figures of `evaluate` as terminal text, JSON, CSV and one HTML file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ..errors import ConfigError, TableError
from ..files import replacing
from .cases import Cases
from .consistency import IF_CALIBRATED
from .intervals import EXACT
from .metrics import TASK_SCORES
from .operating_point import CALLED_BY_CLASS, CALLED_MACRO_F1
from .summary import FIELDS, as_modes, rows

FILES = ("report.html", "scores.json", "scores.csv")
NOTICE = "Research software, not a medical device."
MODE_TITLES = {"both": "both images", "dermoscopy": "dermoscopy only", "clinical": "clinical only"}
SHOWN = (*TASK_SCORES, IF_CALIBRATED)
UNDEFINED = "–"
KNOWN = "cases with a known class"
_TITLES = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro-F1", "auroc": "AUROC",
    "average_precision": "average precision", "log_loss": "log-loss", "brier": "Brier score", "ece": "calibration error (ECE)",
    IF_CALIBRATED: "ECE by chance if calibrated",
    "called_macro_f1": "macro-F1 as called", "called_sensitivity": "sensitivity as called", "called_precision": "precision as called",
    "sensitivity": "sensitivity", "specificity": "specificity", "precision": "precision",
    "avg_accuracy": "AVG: mean accuracy of 8 tasks", "auc_12": "mean AUROC, 12 labels", "auc_24": "mean AUROC, 24 labels",
    "rule_auc": "AUROC of the seven-point score", "rule_auc_expected": "AUROC of the expected score",
    "rule_3": "rule, 3 points or more", "rule_1": "rule, 1 point or more",
}  # fmt: skip


def write_report(
    result: Mapping[str, Any],
    folder: str | os.PathLike[str],
    cases: Cases | Mapping[str, Cases],
    *,
    title: str = "Evaluation",
    data: str = "",
) -> list[Path]:
    """Write report.html, scores.json and scores.csv, each whole or not at all.

    Args:
        result: of `evaluate`.
        folder: made if it is not there.
        cases: those that `result` is of, for the plots.
        title: of the page.
        data: what they are, in words, for the page.

    Returns:
        The three paths.

    Raises:
        ConfigError: the cases are not those of the result.
        TableError: a file cannot be written.
    """
    from .html_report import render_html  # needs matplotlib

    modes = as_modes(cases)
    for mode, part in result["modes"].items():
        if mode not in modes or len(modes[mode]) != part["cases"]:
            raise ConfigError(
                f"the result is of {part['cases']} cases of the mode {mode!r}, and these are others "
                f"({', '.join(f'{len(own)} of the mode {name!r}' for name, own in modes.items())}): give those that it is of"
            )
    texts = dict(zip(FILES, (render_html(result, modes, title=title, data=data), to_json(result), to_csv(result))))
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:  # they take their places together, so that hardly a kill leaves old beside new
            for name, text in texts.items():
                files.enter_context(replacing(folder / name)).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise TableError(f"the report cannot be written to {folder}: {error.strerror or error}") from error
    return [folder / name for name in texts]


def to_json(result: Mapping[str, Any]) -> str:
    """The result as JSON text; a figure that is not defined is null."""
    return json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(result: Mapping[str, Any]) -> str:
    """One line per score, with the columns of `summary.rows`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in row.items()} for row in rows(result))
    return text.getvalue()


def to_text(result: Mapping[str, Any], *, subgroups: bool = False) -> str:
    """The main scores as aligned text for a terminal; modes side by side, classes and `subgroups` of the first mode that knows any."""
    modes, cells = result["modes"], Cells()
    lines = [f"{MODE_TITLES[mode]}: {describe(part)}" for mode, part in modes.items()]
    tasks, without = judged_tasks(modes)
    for task in tasks:
        scores = {mode: part["tasks"].get(task, {}).get("scores", {}) for mode, part in modes.items()}
        parts = {mode: part["tasks"][task] for mode, part in modes.items() if task in part["tasks"]}
        first, part = next((mode, part) for mode, part in parts.items() if part["cases"])
        images = part["images"]
        note = f" ({missing_sentence(images)})" if images != first else ""
        lines += ["", task.replace("_", " ") + note]
        lines += _mode_table(scores, shown(scores.values()), cells, _known_row(task, modes))
        lines += _class_table(part, images, cells)
        if subgroups:
            lines += _subgroup_tables(part["subgroups"], images, cells)
    lines += ["", unlabelled_sentence(without)] if without else []
    protocol = dict.fromkeys(name for part in modes.values() for name in part["checklist"])
    if protocol:
        lines += [
            "",
            "seven-point checklist",
            *_mode_table({mode: part["checklist"] for mode, part in modes.items()}, tuple(protocol), cells),
        ]
    for mode, part in result["comparison"].items():
        lines += ["", f"{part['second']} minus {part['first']}, {MODE_TITLES[mode]}, {compared_cases(part)}"]
        compared = [(score_title(name), score) for name, score in part["checklist"].items()]
        for task in (task for task in part["tasks"] if task in tasks):
            compared += [
                (f"{task.replace('_', ' ')}: {score_title(name)}", score)
                for name, score in part["tasks"][task].items()
                if ":" not in name
            ]
        lines += _aligned([(name, cells(score, difference_text), p_text(score["p"])) for name, score in compared])
    lines += ["", interval_sentence(result["settings"])]
    lines += [unknown] if (unknown := unknown_patients_sentence(result)) else []
    lines += [*(f"* {note}" for note in cells.notes), NOTICE]
    return "\n".join(lines)


def describe(part: Mapping[str, Any]) -> str:
    """One line on the cases of a mode."""
    groups = "" if part["groups"] == part["cases"] else f" of {part['groups']} patients or lesions"
    splits = f" ({', '.join(f'{name} {count}' for name, count in part['splits'].items())})" if part["splits"] else ""
    return f"{part['cases']} cases{groups}{splits}" + (f", model {part['model']}" if part["model"] else "")


def compared_cases(part: Mapping[str, Any]) -> str:
    """Which cases two models are compared on."""
    out = part["left_out"]
    if not any(out.values()):
        return "same cases"
    return f"the {part['cases']} cases that both have (left out: {out['first']} of the first, {out['second']} of the second)"


def judged_tasks(modes: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The tasks of `evaluate`'s modes with a case of known class, and those without."""
    known: dict[str, int] = {}
    for part in modes.values():
        for task, found in part["tasks"].items():
            known[task] = known.get(task, 0) + found["cases"]
    return [task for task, cases in known.items() if cases], [task for task, cases in known.items() if not cases]


def unlabelled_sentence(tasks: Iterable[str]) -> str:
    """What is said of tasks that no case has a label for."""
    return f"no case has a label, so there are no figures: {', '.join(task.replace('_', ' ') for task in tasks)}"


def missing_sentence(images: str) -> str:
    """What a task says whose answers are those of one image alone."""
    both, alone = MODE_TITLES["both"], MODE_TITLES[images]
    return f'"{both}" has the answers of "{alone}" here: no case has another image, or the network makes no use of it'


def interval_sentence(settings: Mapping[str, Any]) -> str:
    """How the intervals were made."""
    if not settings["resamples"]:
        return "No intervals were asked for; beside the ECE by chance stands its range."
    return (
        f"[ ] {100 * settings['level']:g} % intervals: {settings['interval']}, "
        f"{settings['resamples']} resamples, seed {settings['seed']}."
    )


def unknown_patients_sentence(result: Mapping[str, Any]) -> str:
    """That intervals are too narrow where lesions may be of one patient whom the cases do not name; empty without any."""
    part = max(result["modes"].values(), key=lambda part: part["unknown_patients"])
    unknown, cases = part["unknown_patients"], part["cases"]
    if not unknown or not result["settings"]["resamples"]:
        return ""
    who = (
        "No patient is known, so lesions"
        if unknown == cases
        else f"The patient of {unknown} of {cases} cases is unknown, and these"
    )
    return f"{who} are drawn one by one: where a patient has several, the intervals are too narrow."


def score_title(name: str) -> str:
    """A score's name for people."""
    base, _, label = name.partition(":")
    title = _TITLES.get(base, base)
    return f"{title}: {label}" if label else title


def score_text(score: Mapping[str, Any] | None) -> str:
    """``0.812 [0.780, 0.840]``, three decimals; a dash where it is not defined."""
    if score is None or score["value"] is None:
        return UNDEFINED
    text = f"{score['value']:.3f}"
    return text if score["low"] is None else f"{text} [{score['low']:.3f}, {score['high']:.3f}]"


def difference_text(score: Mapping[str, Any]) -> str:
    """As `score_text`, with signs."""
    if score["value"] is None:
        return UNDEFINED
    text = f"{score['value']:+.3f}"
    return text if score["low"] is None else f"{text} [{score['low']:+.3f}, {score['high']:+.3f}]"


def p_text(p: float | None) -> str:
    """A p-value with three decimals, or ``p < 0.001``."""
    if p is None:
        return UNDEFINED
    return f"p {p:.3f}" if p >= 0.0005 else "p < 0.001"


class Cells:
    """Texts of scores; what must be known of one is marked, and collected in `notes`.

    Args:
        told: beginnings of notes that are told elsewhere; default the exact bound, of which `interval_sentence` speaks.
    """

    def __init__(self, told: tuple[str, ...] = (EXACT,)) -> None:
        self.told = told
        self.notes: dict[str, None] = {}

    def __call__(self, score: Mapping[str, Any] | None, text: Callable[[Mapping[str, Any]], str] = score_text) -> str:
        note = score["note"] if score is not None and score["value"] is not None else ""
        if not note or note.startswith(self.told):
            return UNDEFINED if score is None else text(score)
        self.notes[note] = None
        return f"{text(score)}*"


def _known_row(task: str, modes: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """How many cases a task's figures are of, in each mode, where it is not all of them."""
    known = [part["tasks"][task]["cases"] if task in part["tasks"] else 0 for part in modes.values()]
    if known == [part["cases"] for part in modes.values()]:
        return []
    return [(KNOWN, *map(str, known))]


def _mode_table(
    scores: Mapping[str, Mapping[str, Any]],
    names: tuple[str, ...],
    cells: Cells,
    first: Sequence[tuple[str, ...]] = (),
) -> list[str]:
    """Rows of scores, a column per mode; `first` goes above them."""
    head = [("", *(MODE_TITLES[mode] for mode in scores))] if len(scores) > 1 else []
    return _aligned(
        [*head, *first] + [(score_title(name), *(cells(part.get(name)) for part in scores.values())) for name in names]
    )


def _class_table(task: Mapping[str, Any], mode: str, cells: Cells) -> list[str]:
    columns = class_columns(("auroc", "sensitivity", "specificity", "precision"), task)
    head = (f"class ({MODE_TITLES[mode]})", "cases", *(score_title(name) for name in columns))
    table = [
        (name, str(count), *(cells(task["scores"][f"{column}:{name}"]) for column in columns))
        for name, count in task["counts"].items()
    ]
    return _aligned([head, *table])


def shown(scores: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Which scores of a task are shown; `scores` are those of each mode."""
    return SHOWN + ((CALLED_MACRO_F1,) if any(CALLED_MACRO_F1 in part for part in scores) else ())


def class_columns(names: tuple[str, ...], task: Mapping[str, Any]) -> tuple[str, ...]:
    """The scores of each class that are shown: `names`, and those of what is called by an operating point."""
    return names + (CALLED_BY_CLASS if CALLED_MACRO_F1 in task["scores"] else ())


def _subgroup_tables(subgroups: Mapping[str, Any], mode: str, cells: Cells) -> list[str]:
    lines = []
    for column, parts in subgroups.items():
        names = list(dict.fromkeys(name for part in parts for name in part["scores"]))
        head = (f"{column.replace('_', ' ')} ({MODE_TITLES[mode]})", "cases", *map(score_title, names))
        table = [
            (part["subgroup"], str(part["cases"]), *(cells(part["scores"].get(name)) for name in names))
            for part in parts
        ]
        lines += _aligned([head, *table])
    return lines


def _aligned(table: list[tuple[str, ...]]) -> list[str]:
    # a line break or tab in a class name must not break the table
    table = [tuple(" ".join(cell.split()) for cell in row) for row in table]
    widths = [max(map(len, column)) for column in zip(*table)]
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
