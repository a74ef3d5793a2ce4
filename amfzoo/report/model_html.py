"""What is known of the model: its card in short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..card import main_limit
from ..checks import UNCERTAIN, UNCERTAIN_NOTE, figures
from ..inference.prediction import RESEARCH_ONLY
from ..text_tables import UNKNOWN
from .markup import escape, percent, table, words

if TYPE_CHECKING:
    from ..models.config import NetworkConfig

NOTICE = (
    f"{RESEARCH_ONLY} It must not be used to diagnose, to treat or to decide about a patient; "
    "a low probability of a malignant class does not exclude it."
)
_FIGURES = {
    "macro_f1": "macro-F1",
    "balanced_accuracy": "balanced accuracy",
    "auroc": "AUROC",
    "ece": "calibration error",
}
_LONGEST = 2000


def notice() -> str:
    """The research-only notice, which a page has once."""
    return f'<p class="notice" role="note">{escape(NOTICE)}</p>'


def limit(config: NetworkConfig, label: str) -> list[str]:
    """What is not to be expected of the weights, in one line; the rest stands in their section."""
    return [f'<p class="muted"><b>{escape(label)}</b> is not validated for {escape(main_limit(config.info))}.</p>']


def model_section(config: NetworkConfig, label: str, version: str) -> list[str]:
    """Lines of HTML.

    Args:
        label: what tells these weights from all others.
        version: of amfzoo.
    """
    info = config.info
    facts = [
        ("Weights", label),
        ("Trained on", info.get("training_data")),
        ("Not validated for", info.get("not_validated_for")),
        ("Licence of the weights", info.get("license")),
        ("Attribution", info.get("attribution")),
        ("Calibration", _calibration(config)),
        ("Software", f"amfzoo {version}"),
    ]
    return [
        "<section><h2>The model and its limits</h2>",
        "<dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(text or UNKNOWN, _LONGEST)}</dd>" for name, text in facts),
        "</dl>",
        *_metrics(info.get("metrics") or ()),
        "</section>",
    ]


def _calibration(config: NetworkConfig) -> str:
    found = ", ".join(f"{words(task)} {value:.2f}" for task, value in config.temperatures.items())
    points = ", ".join(
        f"{words(task)} {label} from {percent(p)} on"
        for task, row in config.operating_points.items()
        for label, p in row.items()
    )
    told = f"temperatures {found}" if found else "none: the probabilities are the network's own and may be too sure"
    return told + (f"; called from a probability of its own on: {points}" if points else "")


def _metrics(metrics: object) -> list[str]:
    """A row for each task and set of lesions, a column for each figure."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    uncertain = False
    for metric in figures(metrics):
        value, low, high = (metric.get(key) for key in ("value", "low", "high"))
        if metric.get("name") in _FIGURES and value is not None:
            mark = UNCERTAIN if metric.get("uncertain") is True else ""
            uncertain |= bool(mark)
            interval = "" if low is None or high is None else f"<br>{low:.2f}&nbsp;to&nbsp;{high:.2f}{mark}"
            where = f"{metric.get('data') or UNKNOWN}, {metric.get('cases') or 'unknown number of'} lesions"
            rows.setdefault((metric.get("task") or UNKNOWN, where), {})[metric["name"]] = (
                f"<b>{value:.2f}</b>{interval}"
            )
    if not rows:
        return ["<p>No figures of this model's accuracy are recorded.</p>"]
    lines = [
        f'<tr><th scope="row">{escape(words(task))}: {escape(where)}</th>'
        + "".join(f"<td>{found.get(name, '–')}</td>" for name in _FIGURES)
        + "</tr>"
        for (task, where), found in rows.items()
    ]
    return table(
        ("measured on", *_FIGURES.values()),
        lines,
        kind="answers",
        caption="How good it was, with 95 % intervals" + (f" ({UNCERTAIN_NOTE})" if uncertain else ""),
    )
