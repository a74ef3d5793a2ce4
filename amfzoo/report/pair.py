"""The report on one pair: one page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..html_page import document
from ..inference import Prediction
from .case import CaseView, view_case
from .case_html import case_section
from .markup import escape
from .model_html import limit, model_section, notice
from .page import check_page, write_page
from .style import PAGE_STYLE

if TYPE_CHECKING:
    from ..inference.predictor import Model
    from ..models.config import NetworkConfig
    from ..models.network import PairNetwork


def write_pair_report(
    model: Model,
    path: str | os.PathLike[str],
    clinical: Any = None,
    dermoscopy: Any = None,
    *,
    network: PairNetwork | None = None,
    answer: Prediction | None = None,
    label: str | None = None,
    remark: str = "",
) -> CaseView:
    """Answer one pair and write its page, whole or not at all.

    Args:
        model: what predicts: a network, or one behind another runtime.
        path: the page; it ends in .html, and one that is there is replaced.
        clinical, dermoscopy: as for `PairNetwork.predict`.
        network: the network itself, if `model` is not; it makes the maps.
        answer: what `model` said of the pair, if it was asked already.
        label: what tells these weights from others; default the model's name.
        remark: a sentence to put below the title.

    Returns:
        What the page shows; its `prediction` is that of `model.predict`.

    Raises:
        ImageError, PredictionError: as of `PairNetwork.predict`.
        TableError: the page cannot be written.
    """
    target = check_page(path)
    case = view_case(model, network or model, clinical, dermoscopy, title="Prediction for one lesion", answer=answer)
    write_page(target, pair_page(case, model.config, label or case.prediction.model, remark))
    return case


def pair_page(case: CaseView, config: NetworkConfig, label: str, remark: str = "") -> str:
    """The page as text."""
    opening, *section = case_section(case)
    remarks = [f"<p><b>{escape(remark)}</b></p>"] if remark else []
    body = [opening, notice(), *limit(config, label), *remarks, *section, *model_section(config, label, __version__)]
    return document(case.title, body, style=PAGE_STYLE)
