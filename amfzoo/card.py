"""The model card: README.md of a model folder and of its Hub repository."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .checks import UNCERTAIN, UNCERTAIN_NOTE, figures, is_number, is_plain_name, untrained_tasks
from .data.records import MODALITIES
from .text_tables import UNKNOWN, cell, listed, table

# Licences that the Hub knows by these identifiers; any other is shown as "other".
_HUB_LICENSES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
}
PLACEHOLDER = "local-dir:/path/to/this/folder"  # a folder cannot know where it will be
_TAGS = ("dermatology", "dermoscopy", "medical-imaging", "multimodal", "pytorch", "safetensors")


def render_card(config: Mapping[str, Any], record_fields: Mapping[str, Any] | None = None) -> str:
    """Markdown card, with YAML front matter, for a model with this `config`.

    `record_fields` may hold name, license, attribution, training_data, parameters,
    not_validated_for, metrics (as in the manifest), subgroups (a list of task, by,
    subgroup, cases and scores: name -> value, low, high), calibration_plot (a file in
    ``example/``) and load_as, the name to give to `create_model`; what it lacks is taken from
    config["info"], and what both lack is said to be not stated or not measured. Never raises for
    missing fields.
    """
    fields = {**(config.get("info") or {}), **(record_fields or {})}
    fields.setdefault("name", config.get("architecture", "model"))
    sections = [
        ("What it is", _what(config, fields)),
        ("How to use it", _usage(config, fields)),
        ("Tasks and classes", _tasks(config)),
        ("Training data", _text(fields.get("training_data")) + _refitted(fields.get("refitted_from"))),
        ("Metrics", _metrics(fields.get("metrics") or ())),
        *([("Subgroups", _subgroups(fields["subgroups"]))] if fields.get("subgroups") else []),
        *([("Calibration", _calibration(fields["calibration_plot"]))] if fields.get("calibration_plot") else []),
        ("Preprocessing", _preprocessing(config)),
        ("Intended use and limits", _limits(fields)),
        ("Licence and attribution", _licence(fields)),
        ("Citation", _CITATION),
    ]
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections)
    return f"{_front_matter(fields)}\n# {cell(fields['name'])}\n\n{body}\n"


def main_limit(info: Mapping[str, Any]) -> str:
    """What weights are not validated for, in a few words: how their card begins to say it."""
    text = str(info.get("not_validated_for") or "anything: nothing is recorded")
    return re.split(r"[.:;]", text, maxsplit=1)[0].strip()


def _front_matter(fields: Mapping[str, Any]) -> str:
    licence = str(fields.get("license") or "").lower()
    lines = ["---", f"license: {licence if licence in _HUB_LICENSES else 'other'}"]
    if licence not in _HUB_LICENSES:
        lines.append(f"license_name: {re.sub(r'[^a-z0-9.]+', '-', licence).strip('-') or 'not-stated'}")
    lines += [
        "library_name: amfzoo",
        "pipeline_tag: image-classification",
        "tags:",
        *(f"- {tag}" for tag in _TAGS),
        "---",
    ]
    return "\n".join(lines) + "\n"


def _what(config: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    count = fields.get("parameters")
    size = f", {count / 1e6:.2f} million parameters" if isinstance(count, (int, float)) else ""
    images = (
        "a pair of photographs of one skin lesion, a clinical one and a dermoscopic one, of which one may be missing, "
    )
    if alone := _only_branch(config):
        images = f"the {alone} image of a skin lesion alone, "
    return (
        f"An amfzoo network (architecture `{cell(config.get('architecture'))}`{size}) that reads {images}"
        "and gives a probability for every class of every task below."
    )


def _only_branch(config: Mapping[str, Any]) -> str:
    """The image that a network of one branch reads; "" of one that reads both."""
    network = config.get("network") or {}
    read = [branch for branch in MODALITIES if network.get(branch, "") is not None]
    return read[0] if len(read) == 1 else ""


def _usage(config: Mapping[str, Any], fields: Mapping[str, Any]) -> str:
    alone = _only_branch(config)
    images = f'{alone}="{alone}.jpg"' if alone else '"clinical.jpg", "dermoscopy.jpg"'
    name = json.dumps(str(fields.get("load_as") or PLACEHOLDER), ensure_ascii=False)
    code = (
        "```python\n"
        "import amfzoo\n"
        f"model = amfzoo.create_model({name}, pretrained=True)\n"
        f"print(model.predict({images}))\n"
        "```"
    )
    listed = ":" not in name
    return code + ("\n\n" + _ELSEWHERE if listed else "")


_ELSEWHERE = (
    "If the installed package does not have these weights (`amfzoo list` says where they are), clone its repository and "
    f"`pip install -e .` there, or load this folder: `{PLACEHOLDER}`."
)


def _refitted(name: object) -> str:
    """Of weights that `amfzoo.models.refitted` gave another name."""
    if not name:
        return ""
    return (
        f"\n\nThese are the weights of `{cell(name)}` with other temperatures, prediction sets or operating points, fitted or set "
        "since: what is said here of how those were chosen is of the former."
    )


def _tasks(config: Mapping[str, Any]) -> str:
    tasks = config.get("tasks") or {}
    temperatures = config.get("temperatures") or {}
    points = config.get("operating_points") or {}
    rows = [
        (task, listed(classes), f"{temperatures.get(task, 1.0):.3g}", _called(points.get(task) or {}))
        for task, classes in tasks.items()
    ]
    return table(("Task", "Classes, in order of the outputs", "Temperature", "Called"), rows) if rows else UNKNOWN


def _called(point: Mapping[str, float]) -> str:
    return ", ".join(f"{label} from {p:.3f} on" for label, p in point.items()) or "the most probable class"


_CALLED = (
    "Figures whose names begin with `called_` are of what is called (above), the others of the probabilities and the most "
    "probable class. On lesions that also chose from which probability on, the former flatter."
)


def _metrics(metrics: object) -> str:
    rows = [
        (m.get("task"), m.get("name"), _value(m), m.get("data"), _or(m.get("cases"), "?")) for m in figures(metrics)
    ]
    if not rows:
        return "Not measured. Nothing is known about how well this model performs."
    called = any(str(row[1]).startswith("called_") for row in rows)
    says = f"{_CALLED}\n\n" if called else ""
    if any(row[2].endswith(UNCERTAIN) for row in rows):
        says += f"{UNCERTAIN_NOTE}.\n\n"
    return says + table(("Task", "Metric", "Value [95 % interval]", "Data", "Cases"), rows)


def _subgroups(rows: object) -> str:
    scores = [(row, row["scores"] if isinstance(row.get("scores"), Mapping) else {}) for row in figures(rows)]
    names = list(dict.fromkeys(name for _, of in scores for name in of))
    lines = [
        (
            row.get("by"),
            row.get("subgroup"),
            row.get("cases"),
            *(_triple(of.get(name), _has(row, name)) for name in names),
        )
        for row, of in scores
    ]
    words = (
        "Both images, value [95 % interval]; macro averages run over the classes that occur in the subgroup, so "
        "compare them with care. Subgroups with too few lesions get no figures."
    )
    if any(row.get("by") == "skin tone" for row, _ in scores):
        words += (
            " Skin tone runs from 0 (very dark) to 5 (very light), as in MILK10k; this is not the Fitzpatrick scale."
        )
    if any(row.get("uncertain") for row, _ in scores):
        words += f" {UNCERTAIN_NOTE}."
    return f"{words}\n\n" + table(("By", "Subgroup", "Cases", *names), lines)


def _has(row: Mapping[str, Any], name: str) -> bool:
    """Whether the interval of a subgroup's score is one of the uncertain ones."""
    names = row.get("uncertain")
    return isinstance(names, (list, tuple)) and name in names


def _triple(values: Any, uncertain: bool) -> str:
    if not (isinstance(values, (list, tuple)) and len(values) == 3 and all(map(is_number, values))):
        return "too few"
    value, low, high = values
    return f"{value:.3f} [{low:.3f}, {high:.3f}]{UNCERTAIN if uncertain else ''}"


def _calibration(file: object) -> str:
    if not is_plain_name(file):
        return UNKNOWN
    says = "Share of right answers against the probability of the most probable class, both images."
    return f"{says}\n\n![Calibration](example/{file})"


def _value(metric: Mapping[str, Any]) -> str:
    value, low, high = (metric.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "not measured"
    interval = "interval not measured" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"
    return f"{value:.3f} {interval}{UNCERTAIN if metric.get('uncertain') is True else ''}"


def _preprocessing(config: Mapping[str, Any]) -> str:
    alone = _only_branch(config)
    read = {branch: how for branch, how in (config.get("preprocessing") or {}).items() if alone in ("", branch)}
    text = json.dumps(read, indent=2, ensure_ascii=False)
    words = "Part of the model; amfzoo applies it by itself, after EXIF orientation and conversion to RGB."
    return f"{words}\n\n```json\n{text}\n```"


def _limits(fields: Mapping[str, Any]) -> str:
    untrained = untrained_tasks(fields)
    never = (
        f"**Never trained**, so that these answers mean nothing: {', '.join(map(cell, untrained))}.\n\n"
        if untrained
        else ""
    )
    return (
        f"{never}Research software. It is **not a medical device**, has no regulatory clearance, and must not be used to "
        "diagnose, to treat, or to decide about a patient. Outputs are statistical; a low probability of malignancy "
        "does not exclude it.\n\n"
        f"Not validated for: {_text(fields.get('not_validated_for') or 'anything beyond the data named above')}"
    )


def _licence(fields: Mapping[str, Any]) -> str:
    return (
        f"Licence of the weights: {_text(fields.get('license'))} (the code of amfzoo is Apache-2.0).\n\n"
        f"Attribution: {_text(fields.get('attribution'))}"
    )


_CITATION = (
    "amfzoo is an independent reimplementation of the published idea of asymmetric multimodal fusion; these weights do "
    "not come from the authors of the paper. If you use them, please cite it: "
    "[arXiv:2407.09999](https://arxiv.org/abs/2407.09999)."
)


def _text(value: object) -> str:
    """Free text; a line of it cannot start a section of its own."""
    text = str(value).strip() if value else UNKNOWN
    return re.sub(r"(?m)^(\s*)(#|---)", r"\1\\\2", text)


def _or(value: object, other: object) -> object:
    return other if value is None else value
