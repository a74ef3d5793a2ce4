"""The page: two boxes for images, a choice of weights, the answer, and the same as an API."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..data.example import example_pair
from ..errors import AmfzooError
from ..report.case_html import case_section
from ..report.markup import escape
from ..report.model_html import limit, model_section, notice
from ..runtimes.base import require
from .answers import Answers

# before gradio is imported, which reads this once; nothing of a visit is reported
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

if TYPE_CHECKING:
    import gradio

DEFAULT_MODEL = "amf_small"
_KEPT = 3600  # seconds that an uploaded image is kept
_INTRODUCTION = (
    "<h1>amfzoo: two images of one skin lesion</h1>"
    "<p>Give a clinical photo and a dermoscopy image of the same lesion, or one of them. "
    "JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF, HEIC and DICOM are read.</p>"
)
_WAITING = '<p class="muted">The answer will be here.</p>'


def build(model: str = DEFAULT_MODEL, *, cache_dir: str | None = None, local_files_only: bool = False) -> gradio.Blocks:
    """The page, not started yet; see `launch`.

    Args:
        model: weights to begin with, named as for `create_model`; listed ones that can be had here can be chosen on the page.

    Raises:
        ConfigError: gradio is not installed.
        UnknownModelError, WeightsError: the weights cannot be had or verified.
    """
    gr = _gradio()
    answers = Answers(model, cache_dir=cache_dir, local_files_only=local_files_only)
    with gr.Blocks(title="amfzoo", analytics_enabled=False, delete_cache=(_KEPT // 4, _KEPT)) as page:
        gr.HTML(_framed(_INTRODUCTION + notice()), apply_default_css=False)
        with gr.Row():
            clinical = gr.File(label="Clinical photo", height=150, min_width=260, elem_id="clinical")
            dermoscopy = gr.File(label="Dermoscopy image", height=150, min_width=260, elem_id="dermoscopy")
        name = gr.Dropdown(
            list(answers.names), value=answers.default, label="Weights", filterable=False, interactive=True
        )
        with gr.Row():
            go = gr.Button("Predict", variant="primary", min_width=260)
            example = gr.Button("Use the example pair (drawn, not a real lesion)", min_width=260)
        shown = gr.HTML(_framed(_WAITING), elem_id="answer", apply_default_css=False)
        with gr.Accordion("The answer as JSON", open=False):
            data = gr.JSON(show_label=False, elem_id="json")
        inputs, outputs = [clinical, dermoscopy, name], [shown, data]

        # one at a time: an explanation puts hooks on the network
        alone: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "network"}
        show = {"fn": _told(gr, _shown(answers)), "inputs": inputs, "outputs": outputs, "api_visibility": "private"}
        pressed = go.click(**show, **alone)
        taken = example.click(
            lambda: [*map(str, example_pair()), _framed(_WAITING), None], None, [*inputs[:2], *outputs], cancels=[pressed],
            api_visibility="private",
        )  # fmt: skip
        running = [pressed, taken.then(**show, **alone)]
        # an answer must not stand beside images that it is not of, nor one that is on its way arrive there
        changes = [event for box in (clinical, dermoscopy) for event in (box.upload, box.clear, box.delete)]
        gr.on(
            [*changes, name.input], None, None, outputs, js=f"() => [{json.dumps(_framed(_WAITING))}, null]",
            cancels=running, api_visibility="private",
        )  # fmt: skip

        asked = gr.Button(visible=False)
        asked.click(
            _told(gr, _predicted(answers)), inputs, gr.JSON(visible=False), api_name="predict",
            api_description="Probabilities for a clinical photo and a dermoscopy image; either may be null.",
            **alone,
        )  # fmt: skip
    return page


def _gradio() -> Any:
    require(("gradio",), "demo", "the demo")
    import gradio

    return gradio


def _shown(answers: Answers) -> Callable[..., tuple[str, dict[str, Any]]]:
    def show(clinical: str | None, dermoscopy: str | None, name: str) -> tuple[str, dict[str, Any]]:
        case = answers.view(clinical, dermoscopy, name)
        config = answers.network(name).config
        lines = [
            *limit(config, name),
            *case_section(case, level=3),
            *model_section(config, name, __version__),
        ]
        return _framed("\n".join(lines)), case.prediction.to_dict()

    return show


def _predicted(answers: Answers) -> Callable[..., dict[str, Any]]:
    def predict(clinical: str | None, dermoscopy: str | None, name: str) -> dict[str, Any]:
        return answers.predict(clinical, dermoscopy, name).to_dict()

    return predict


def _told(gr: Any, answer: Callable[..., Any]) -> Callable[..., Any]:
    """`answer`, whose errors become messages on the page; gradio shows these as HTML."""

    def told(clinical: str | None, dermoscopy: str | None, name: str) -> Any:
        try:
            return answer(clinical, dermoscopy, name)
        except AmfzooError as error:
            text = escape(error, longest=600)
            raise gr.Error(text, duration=None, title="No answer", print_exception=False) from None

    return told


def _framed(content: str) -> str:
    return f'<div class="amfzoo">{content}</div>'
