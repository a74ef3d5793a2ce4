"""One self-contained HTML file: tables of every figure, and plots as embedded SVG. No script, no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

from ..html_page import document
from .cases import Cases
from .consistency import DRAWS
from .metrics import CLASS_SCORES, LOWER_IS_BETTER
from .plots import PLOTS, RELIABILITY, calibration
from .report import (
    KNOWN,
    MODE_TITLES,
    NOTICE,
    class_columns,
    compared_cases,
    describe,
    difference_text,
    interval_sentence,
    judged_tasks,
    missing_sentence,
    p_text,
    score_text,
    score_title,
    shown,
    unknown_patients_sentence,
    unlabelled_sentence,
)

_SHARES = "Figures are shares (0 to 1) unless said otherwise."
_ECE = "resampling adds error, so for its interval the resamples are moved until their median is the value"
_BY_CHANCE = (
    "ECE by chance if calibrated: what it would be were every probability exactly right: the median of {draws} draws, and where {share:g} % "
    "of them lie. An error in that range is no sign of miscalibration. The grey bars of the reliability plot are made alike."
)
_MACRO = (
    "Macro averages (balanced accuracy, macro-F1, AUROC, average precision) weigh every class that occurs alike; "
    "AUROC and average precision are of one class against the rest."
)
_SHARE = {"value": None, "low": None, "high": None, "note": ""}


def render_html(result: Mapping[str, Any], cases: Mapping[str, Cases], *, title: str, data: str = "") -> str:
    """The report as HTML text.

    Args:
        result: of `evaluate`.
        cases: {mode: cases} that `result` is of.
        data: what they are, in words; left out where empty.
    """
    modes = result["modes"]
    tasks, without = judged_tasks(modes)
    links = " ".join(f'<a href="#task-{i}">{_name(task)}</a>' for i, task in enumerate(tasks))
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="notice">{escape(NOTICE)}</p>',
        "<ul>",
        *(f"<li><b>{escape(MODE_TITLES[mode])}</b>: {escape(describe(part))}</li>" for mode, part in modes.items()),
        f"<li>data: {escape(data)}</li>" if data else "",
        "</ul>",
        f'<p class="muted">{escape(interval_sentence(result["settings"]))} {_SHARES}</p>',
        f'<p class="muted">{escape(unknown)}</p>' if (unknown := unknown_patients_sentence(result)) else "",
        f"<nav>{links}</nav>" if len(tasks) > 1 else "",
        *_checklist(modes),
        *_comparison(result["comparison"], tasks),
    ]
    for i, task in enumerate(tasks):
        body += _task(i, task, modes, cases, result["settings"])
    body += [f"<p>{escape(unlabelled_sentence(without))}.</p>"] if without else []
    body += _definitions(result)
    return document(title, body)


def _task(
    number: int, task: str, modes: Mapping[str, Any], cases: Mapping[str, Cases], settings: Mapping[str, Any]
) -> list[str]:
    parts = {mode: part["tasks"][task] for mode, part in modes.items() if task in part["tasks"]}
    body = [f'<h2 id="task-{number}">{_name(task)}</h2>']
    alone = next((part["images"] for mode, part in parts.items() if part["images"] != mode), None)
    body += [f'<p class="muted">{escape(missing_sentence(alone))}.</p>'] if alone else []
    body += _overview(task, parts)
    different = {part["images"]: (mode, part) for mode, part in reversed(parts.items())}
    # open is the first that knows a class
    for i, (mode, part) in enumerate(sorted(reversed(different.values()), key=lambda one: not one[1]["cases"])):
        content = [
            *_classes(mode, task, part), *_plots(cases[mode], task, part, settings), *_confusion(mode, task, part),
            *_subgroups(mode, task, part, settings),
        ]  # fmt: skip
        heading = f"{escape(MODE_TITLES[part['images']].capitalize())}, by class"
        if i == 0:
            body += [f"<h3>{heading}</h3>", *content]
        else:
            body += [f"<details><summary>{heading}: tables and plots</summary>", *content, "</details>"]
    return body


def _overview(task: str, parts: Mapping[str, Any]) -> list[str]:
    head = ["score", *(MODE_TITLES[mode] for mode in parts)]
    rows = [
        (
            KNOWN,
            [_Cell(str(part["cases"]), f"{mode}|{task}||cases") for mode, part in parts.items()],
        )
    ]
    for name in shown(part["scores"] for part in parts.values()):
        better = " (lower is better)" if name in LOWER_IS_BETTER else ""
        cells = [_score(part["scores"].get(name), f"{mode}|{task}||{name}") for mode, part in parts.items()]
        rows.append((score_title(name) + better, cells))
    share = [
        _score({**_SHARE, "value": part["majority_share"]}, f"{mode}|{task}||majority_share")
        for mode, part in parts.items()
    ]
    rows.append(("for scale: accuracy of always answering the most frequent class", share))
    return _table(head, rows)


def _classes(mode: str, task: str, part: Mapping[str, Any]) -> list[str]:
    rows, columns = [], class_columns(CLASS_SCORES, part)
    for name, count in part["counts"].items():
        cells = [_Cell(str(count), f"{mode}|{task}||count:{name}")]
        cells += [_score(part["scores"][f"{score}:{name}"], f"{mode}|{task}||{score}:{name}") for score in columns]
        rows.append((name, cells))
    return _table(["class", "cases", *map(score_title, columns)], rows)


def _plots(cases: Cases, task: str, part: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    body = ['<div class="plots">']
    reliability = partial(calibration, seed=settings["seed"], level=settings["level"])
    for title, plot in {**PLOTS, RELIABILITY: reliability}.items():
        svg = plot(cases, task)
        if svg:
            # as an image, so that neither ids nor scripts of the SVG can reach the page
            data = base64.b64encode(svg.encode()).decode()
            caption = escape(f"{title}: {task.replace('_', ' ')}, {MODE_TITLES[part['images']]}, {part['cases']} cases")
            body.append(
                f'<figure><figcaption>{caption}</figcaption><img alt="{caption}" src="data:image/svg+xml;base64,{data}"></figure>'
            )
    return [*body, "</div>"]


def _confusion(mode: str, task: str, part: Mapping[str, Any]) -> list[str]:
    names = list(part["counts"])
    rows = [
        (true, [_Cell(str(n), f"{mode}|{task}||confusion:{i},{j}") for j, n in enumerate(part["confusion"][i])])
        for i, true in enumerate(names)
    ]
    return [
        "<details><summary>Confusion matrix as a table</summary>",
        *_table(["true class \\ predicted", *names], rows),
        "</details>",
    ]


def _subgroups(mode: str, task: str, part: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    body = []
    for column, groups in part["subgroups"].items():
        names = list(dict.fromkeys(name for group in groups for name in group["scores"]))
        rows = []
        for group in groups:
            key = f"{mode}|{task}|{column}={group['subgroup']}|"
            cells = [_Cell(str(group["cases"]), f"{key}cases")]
            cells += [_score(group["scores"].get(name), key + name) for name in names]
            rows.append((group["subgroup"], cells))
        body.append(f"<h3>By {_name(column)}</h3>")
        body += _table([column.replace("_", " "), "cases", *map(score_title, names)], rows)
        body += [
            f"<details><summary>Classes by {_name(column)}</summary>",
            *_subgroup_counts(mode, task, column, groups),
            "</details>",
        ]
    if body:
        body.append(
            f'<p class="muted">Subgroups with fewer than {settings["subgroup_minimum"]} cases have counts only. Macro averages run '
            "over the classes that occur in a subgroup, so subgroups with other classes are not strictly comparable.</p>"
        )
    return body


def _subgroup_counts(mode: str, task: str, column: str, groups: list[Mapping[str, Any]]) -> list[str]:
    classes = list(groups[0]["counts"]) if groups else []
    rows = [
        (
            group["subgroup"],
            [
                _Cell(str(group["counts"][name]), f"{mode}|{task}|{column}={group['subgroup']}|count:{name}")
                for name in classes
            ],
        )
        for group in groups
    ]
    return _table([column.replace("_", " "), *classes], rows)


def _checklist(modes: Mapping[str, Any]) -> list[str]:
    names = list(dict.fromkeys(name for part in modes.values() for name in part["checklist"]))
    if not names:
        return []
    shown = {mode: part for mode, part in modes.items() if part["checklist"]}
    rows = [
        (
            score_title(name),
            [_score(part["checklist"].get(name), f"{mode}|checklist||{name}") for mode, part in shown.items()],
        )
        for name in names
    ]
    for threshold in ("3", "1"):
        for count in ("TP", "FN", "FP", "TN"):
            cells = [
                _Cell(str(part["rule_counts"][threshold][count]), f"{mode}|checklist||rule_{threshold}:{count}")
                for mode, part in shown.items()
                if part["rule_counts"]
            ]
            if cells:
                rows.append((f"{score_title(f'rule_{threshold}')}: {count}", cells))
    note = (
        '<p class="muted">The rule suspects melanoma from 3 points (original) or 1 point (revised), points from the most probable '
        "class of each criterion.</p>"
    )
    return ["<h2>Seven-point checklist</h2>", *_table(["score", *(MODE_TITLES[mode] for mode in shown)], rows), note]


def _comparison(comparison: Mapping[str, Any], tasks: list[str]) -> list[str]:
    body = []
    for mode, part in comparison.items():
        body.append(f"<h2>{escape(part['second'])} against {escape(part['first'])}, {escape(MODE_TITLES[mode])}</h2>")
        cases = compared_cases(part)
        body.append(
            f'<p class="muted">{cases[0].upper()}{cases[1:]}, drawn together. A positive difference favours the second model, except for log-loss, '
            "Brier score and calibration error. The p-values are not corrected for the number of comparisons.</p>"
        )
        if part["checklist"]:
            body += _differences(mode, "checklist", part, part["checklist"])
        for task, scores in part["tasks"].items():
            if task not in tasks:
                continue
            body += _differences(mode, task, part, {name: score for name, score in scores.items() if ":" not in name})
            rest = {name: score for name, score in scores.items() if ":" in name}
            body.append(f"<details><summary>{_name(task)}: difference by class</summary>")
            body += [*_differences(mode, task, part, rest), "</details>"]
    return body


def _differences(mode: str, task: str, part: Mapping[str, Any], scores: Mapping[str, Any]) -> list[str]:
    rows = [
        (score_title(name), _difference(score, f"{mode}|{task}|difference|{name}")) for name, score in scores.items()
    ]
    return _table([task.replace("_", " "), part["first"], part["second"], "difference", "p-value"], rows)


def _difference(score: Mapping[str, Any], key: str) -> list[_Cell]:
    plain = [_Cell(score_text({**_SHARE, "value": score[side]}), f"{key}|{side}") for side in ("first", "second")]
    return [*plain, _Cell(difference_text(score), key, score["note"]), _Cell(p_text(score["p"]), f"{key}|p")]


def _definitions(result: Mapping[str, Any]) -> list[str]:
    bins = result["settings"]["ece_bins"]
    return [
        "<h2>Definitions</h2><ul>",
        "<li>The predicted class is the most probable one. Sensitivity, specificity and precision are of that class against the rest; "
        "where weights have an operating point, what they call by it is scored besides, &quot;as called&quot;.</li>",
        f"<li>{_MACRO}</li>",
        "<li>Cases whose true class is unknown, or only narrowed down, do not count.</li>",
        f"<li>Calibration error (ECE): {bins} bins of equal width in the probability of the predicted class; {_ECE}.</li>",
        f"<li>{_BY_CHANCE.format(draws=DRAWS, share=100 * result['settings']['level'])}</li>",
        "<li>Brier score: squared error summed over the classes, 0 to 2. Log-loss: natural logarithm.</li>",
        f"<li>Made with amfzoo {escape(result['amfzoo'])}.</li></ul>",
    ]


def _table(head: Iterable[str], rows: Iterable[tuple[str, list[_Cell]]]) -> list[str]:
    """A table; notes of its cells become lettered lines below it."""
    letters: dict[str, str] = {}
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = [
        f'<tr><th scope="row">{escape(name)}</th>{"".join(cell.html(letters) for cell in cells)}</tr>'
        for name, cells in rows
    ]
    notes = [f"<sup>{letter}</sup> {escape(note)}" for note, letter in letters.items()]
    return [
        f'<div class="scroll" role="group" tabindex="0" aria-label="Table"><table><thead><tr>{top}</tr></thead><tbody>', *body, "</tbody></table></div>",
        f'<p class="notes">{"<br>".join(notes)}</p>' if notes else "",
    ]  # fmt: skip


@dataclass(frozen=True)
class _Cell:
    """Text, where its figure is in the JSON result, and what there is to say about it."""

    text: str
    key: str
    note: str = ""

    def html(self, letters: dict[str, str]) -> str:
        mark = f"<sup>{letters.setdefault(self.note, _letter(len(letters)))}</sup>" if self.note else ""
        return f'<td data-key="{escape(self.key)}">{escape(self.text)}{mark}</td>'


def _letter(index: int) -> str:
    return ("" if index < 26 else _letter(index // 26 - 1)) + chr(ord("a") + index % 26)


def _score(score: Mapping[str, Any] | None, key: str) -> _Cell:
    return _Cell(score_text(score), key, score["note"] if score else "")


def _name(name: str) -> str:
    return escape(name.replace("_", " "))
