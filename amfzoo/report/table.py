"""The report on a table: the list of all rows, and the first of them with pictures and maps, on one page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import __version__
from ..errors import AmfzooError, ConfigError
from ..html_page import document
from .answers import Answer, Answers
from .case import view_case
from .case_html import case_section
from .index_html import SCRIPT, Tally, index, overview
from .markup import escape
from .model_html import limit, model_section, notice
from .page import check_page, write_page
from .style import PAGE_STYLE

if TYPE_CHECKING:
    from ..inference.predictor import Model
    from ..models.network import PairNetwork

PICTURED = 24  # rows with pictures and maps, of half a megabyte each
LISTED = 5000  # rows of the list, which a browser sorts at once


def write_table_report(
    model: Model,
    path: str | os.PathLike[str],
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    network: PairNetwork | None = None,
    clinical: str | None = None,
    dermoscopy: str | None = None,
    label: str | None = None,
    prefix: str = "",
    guards: bool = True,
    pictured: int = PICTURED,
    listed: int = LISTED,
) -> None:
    """Write the page of an answered table, whole or not at all.

    The list is of the answers as they are in `out`; rows with pictures are asked again, for their maps.
    Memory grows with `pictured` and `listed` alone.

    Args:
        model: what answered: a network, or one behind another runtime.
        path: the page; it ends in .html, and one that is there is replaced.
        source, out: of `predict_table` or `predict_shards`, which ended; as `clinical`, `dermoscopy`, `label`,
            `prefix` and `guards` are those that they were called with.
        network: the network itself, if `model` is not; it makes the maps.
        pictured: how many of the answered rows to show with pictures and maps; the first ones.
        listed: how many rows to list; the first ones. All are counted.

    Raises:
        TableError: a table cannot be read, `out` is no answer to `source`, or the page cannot be written.
    """
    if min(pictured, listed) < 0:
        raise ConfigError(f"pictured and listed must not be negative, got {pictured} and {listed}")
    target = check_page(path)
    images = {"clinical": clinical, "dermoscopy": dermoscopy}
    answers = Answers(model, source, out, **images, label=label, prefix=prefix, guards=guards)
    tally, shown = Tally(), []
    chosen: list[Answer] = []
    for answer in answers:
        tally.add(answer)
        if len(shown) < listed:
            shown.append(answer)
        if len(chosen) < pictured and not answer.error:
            chosen.append(answer)
    sections = [line for answer in chosen for line in _case(model, network or model, answer, answers, guards)]
    name = answers.table.path.name
    body = [
        f"<h1>Predictions for {escape(name)}</h1>",
        notice(),
        *limit(model.config, answers.columns.label),
        *overview(tally, answers),
        '<h2 id="list">The rows</h2>',
        _shown(len(shown), tally.rows, "rows"),
        *index(shown, [answer.line for answer in chosen], answers),
        "<h2>Pictures and maps</h2>",
        _shown(len(chosen), tally.rows - tally.failed, "answered rows"),
        *sections,
        *model_section(model.config, answers.columns.label, __version__),
    ]
    write_page(target, document(f"Predictions for {name}", body, style=PAGE_STYLE, script=SCRIPT if shown else ""))


def _shown(shown: int, of: int, what: str) -> str:
    return f"<p>{f'All {of}' if shown == of else f'The first {shown} of {of}'} {what}.</p>"


def _case(model: Model, network: PairNetwork, answer: Answer, answers: Answers, guards: bool) -> list[str]:
    """The section of one row; an image may have gone since it was answered."""
    title = f"{answers.counted.capitalize()} {answer.line}"
    back = '<p class="back"><a href="#list">Back to the list</a></p>'
    try:
        case = view_case(model, network, *answer.pair, title=title, guards=guards, facts=answer.others)
    except AmfzooError as error:
        heading = f'<section class="case" id="case-{answer.line}"><h3>{escape(title)}</h3>'
        return [heading, f'<p class="bad">It cannot be shown: {escape(error)}</p>', back, "</section>"]
    return [*case_section(case, answer.line, level=4)[:-1], back, "</section>"]
