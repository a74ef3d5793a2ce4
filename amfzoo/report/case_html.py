"""One pair as HTML: pictures, answers, score, what each picture added."""

from __future__ import annotations

from collections.abc import Mapping

from ..inference import Prediction
from ..labels import CHECKLIST, DIAGNOSIS, REFER_ORIGINAL, REFER_REVISED, criterion_bounds
from .case import PICTURE_TITLES, CaseView, Picture
from .markup import bar, class_name, escape, joined, percent, table, words
from .style import MOST_LAYERS

_WHAT_A_MAP_IS = (
    "A map shows which regions moved this network towards an answer. It is no outline of a disease, "
    "and a region can count for reasons that no physician would give."
)


def case_section(case: CaseView, number: int = 0, *, level: int = 2) -> list[str]:
    """Lines of HTML.

    Args:
        number: keeps ids apart where several cases share a page.
        level: of the headings of its parts; its own title is one above.
    """
    h = f"h{level}"
    facts = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in case.facts]
    return [
        f'<section class="case" id="case-{number}"><h{level - 1}>{escape(case.title)}</h{level - 1}>',
        *(["<dl>", *facts, "</dl>"] if facts else []),
        *_warnings(case.prediction),
        *_headline(case.prediction),
        *_missing(case.prediction),
        f"<{h}>Pictures</{h}>",
        *_pictures(case.pictures, number),
        *_tasks(case.prediction, h),
        *_checklist(case.prediction, h),
        *_contribution(case, h),
        "</section>",
    ]


def _warnings(prediction: Prediction) -> list[str]:
    if not prediction.warnings:
        return []
    first = "Check the pictures first: this" if any(found.images for found in prediction.warnings) else "This"
    messages = [found.message[:1].upper() + found.message[1:] for found in prediction.warnings]
    return [
        f'<div class="warning" role="note"><p><b>{first} answer may be worthless.</b></p><ul>',
        *(f"<li>{escape(message)}</li>" for message in messages),
        "</ul></div>",
    ]


def _headline(prediction: Prediction) -> list[str]:
    if DIAGNOSIS not in prediction.probabilities:
        return []
    label, p = prediction.top()
    name = class_name(DIAGNOSIS, label, prediction.diagnosis)
    return [f'<p class="headline">Most probable diagnosis: <b>{escape(name)}</b>, {percent(p)}.</p>']


def _missing(prediction: Prediction) -> list[str]:
    return [
        f"<p><b>The {escape(PICTURE_TITLES[name].lower())} was not given.</b> The answer rests on the other picture alone.</p>"
        for name in prediction.missing
    ]


def _pictures(pictures: tuple[Picture, ...], number: int) -> list[str]:
    lines = ['<div class="pictures">']
    for picture in pictures:
        lines += _viewer(picture, f"{picture.branch}-{number}")
    return [
        *lines,
        "</div>",
        '<p class="scale"><span>weak</span><i aria-hidden="true"></i><span>strong, within each map</span></p>',
        f'<p class="muted">{_WHAT_A_MAP_IS}</p>',
    ]


def _viewer(picture: Picture, key: str) -> list[str]:
    title = PICTURE_TITLES[picture.branch]
    layers = picture.layers[:MOST_LAYERS]
    lines = [f'<fieldset class="viewer"><legend>{title}</legend>']
    if layers:
        for i, text in enumerate(("The picture alone", *(layer.title for layer in layers))):
            lines.append(
                f'<input type="radio" name="{key}" id="{key}-{i}"{"" if i else " checked"}>'
                f'<label for="{key}-{i}">{escape(text)}</label>'
            )
    name = f": {picture.name}" if picture.name else ""
    width, height = picture.size
    lines.append(
        f'<div class="stack"><img src="{picture.uri}" width="{width}" height="{height}" alt="{escape(title + name)}">'
    )
    lines += [
        f'<img src="{layer.uri}" alt="{escape(f"Map over the picture: {layer.title}; strongest {layer.strongest}")}">'
        for layer in layers
    ]
    lines.append("</div>")
    lines += [f'<p class="note muted">{escape(picture.name)}</p>'] if picture.name else []
    lines += [f'<p class="note muted">No map: no region speaks for “{escape(text)}”.</p>' for text in picture.silent]
    return [*lines, "</fieldset>"]


def _tasks(prediction: Prediction, h: str) -> list[str]:
    """Bars of every task that is not a criterion of the checklist."""
    lines: list[str] = []
    for task, row in prediction.probabilities.items():
        if task in CHECKLIST:
            continue
        found = prediction.sets.get(task)
        inside = found.classes if found else ()
        rows = []
        for label, p in sorted(row.items(), key=lambda item: -item[1]):
            name = escape(class_name(task, label, row))
            tag = ' <span class="tag">in the set</span>' if label in inside else ""
            kind = ' class="in-set"' if label in inside else ""
            rows.append(f'<tr{kind}><th scope="row">{name}{tag}</th><td class="number">{percent(p)}</td>{bar(p)}</tr>')
        lines += [
            f"<{h}>{escape(words(task).capitalize())}</{h}>",
            *table(
                ("class", "probability", ""),
                rows,
                kind="answers",
                caption=f"Probabilities of {words(task)}; they add up to 100 %",
            ),
            *_set(prediction, task, row),
        ]
    return lines


def _set(prediction: Prediction, task: str, row: Mapping[str, float]) -> list[str]:
    found = prediction.sets.get(task)
    if found is None:
        why = "sets are calibrated on whole pairs" if prediction.missing else "the model was not calibrated for one"
        return [f'<p class="muted">No prediction set for {escape(words(task))}: {why}.</p>']
    names = joined(class_name(task, label, row) for label in found.classes)
    coverage = f"Of lesions like those that the model was calibrated on, such sets hold the true class in {percent(found.coverage)}."
    return [f"<p><b>Prediction set:</b> {escape(names)}. {coverage}</p>"]


def _checklist(prediction: Prediction, h: str) -> list[str]:
    lines = [f"<{h}>Seven-point checklist</{h}>"]
    note = prediction.seven_point_note
    if not prediction.checklist or prediction.lacks_dermoscopy:
        return [*lines, f"<p>{escape((note or '').capitalize())}.</p>"]
    rows = []
    for name, criterion in CHECKLIST.items():
        row = prediction.probabilities.get(name)
        points = criterion.points.values()
        if row is None:
            cells = f'<td>not answered by this model</td><td class="number">–</td><td class="number">{_range(min(points), max(points))}</td>'
        else:
            label, p = prediction.called(name)
            others = ", ".join(f"{other} {percent(q)}" for other, q in row.items() if other != label)
            set_ = prediction.sets.get(name)
            among = f"; set: {joined(set_.classes)}" if set_ else ""
            among += "".join(
                f"; {other} from {percent(point)} on" for other, point in prediction.operating_point(name).items()
            )
            cells = (
                f'<td><b>{escape(label)}</b> <span class="muted">({escape(others + among)})</span></td>'
                f'<td class="number">{percent(p)}</td><td class="number">{_range(*criterion_bounds(name, row)[label])}</td>'
            )
        rows.append(f'<tr><th scope="row">{escape(words(name))}</th>{cells}</tr>')
    low, high = prediction.seven_point_bounds or (0, 0)
    foot = f'<tr><th scope="row">Score, 0 to 10</th><td></td><td></td><td class="number">{_range(low, high)}</td></tr>'
    head = ("criterion", "finding", "probability", "points")
    return [
        *lines,
        *table(head, rows, kind="answers", caption="What the score consists of", foot=foot),
        *_score(prediction),
    ]


def _score(prediction: Prediction) -> list[str]:
    score, bounds = prediction.seven_point_score, prediction.seven_point_bounds
    if score is None or bounds is None:
        low, high = bounds or (0, 0)
        between = f" The findings allow {low} to {high} points." if bounds else ""
        return [f"<p>{escape(f'{prediction.seven_point_note}'.capitalize())}.{between}</p>"]
    rules = [
        f"{'suspects' if prediction.refer(points) else 'does not suspect'} melanoma by the {name} rule ({points} or more)"
        for name, points in (("original", REFER_ORIGINAL), ("revised", REFER_REVISED))
    ]
    mean = f"Mean score under the probabilities: {prediction.expected_seven_point_score:.1f}."
    return [f"<p><b>Score {score}</b>: {escape(joined(rules))}. {mean}</p>"]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _contribution(case: CaseView, h: str) -> list[str]:
    without = case.contribution.without
    if not without:
        return []
    rows = []
    for task, row in case.prediction.probabilities.items():
        cells = [_top(case.prediction, task, row)]
        for name, other in without.items():
            if task in CHECKLIST and other.lacks_dermoscopy:
                cells.append('<span class="muted">not to be told</span>')
                continue
            points = round(100 * case.contribution.shift(name, task))
            moved = f"{points} point{'' if points == 1 else 's'} move{'s' if points == 1 else ''}"
            cells.append(f'{_top(other, task, row)}<br><span class="muted">{moved}</span>')
        rows.append(
            f'<tr><th scope="row">{escape(words(task))}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
        )
    head = ("", "from both", *(f"without the {PICTURE_TITLES[name].lower()}" for name in without))
    return [
        f"<{h}>What each picture adds</{h}>",
        *table(
            head,
            rows,
            kind="answers",
            caption="The class that is called, and how many of the 100 points of probability move to other classes without a picture",
        ),
    ]


def _top(prediction: Prediction, task: str, row: Mapping[str, float]) -> str:
    label, p = prediction.called(task)
    return f"{escape(class_name(task, label, row))}, {percent(p)}"
