"""How the page is served."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.example import example_pair
from ..files import FOLDER, owned, remove_left
from ..report.style import PAGE_STYLE

if TYPE_CHECKING:
    import gradio

MAX_UPLOAD = 50 * 1024**2  # bytes of one image
LOOPBACK = "127.0.0.1"

# The style of the reports, held inside the frame of what they show; gradio would colour each element itself.
_HEAD = f"""<style>
.amfzoo {{
{PAGE_STYLE}
font: 15px/1.5 system-ui, sans-serif; background: #fff; color-scheme: light; padding: .4rem .8rem; border-radius: .3rem;
&, h1, h2, h3, h4, p, b, th, td, dt, dd, li, legend, label, span, input {{ color: #1c2530; }}
.muted {{ color: #5a6775; }}
.tag {{ color: #0a558c; }}
.viewer input {{ appearance: auto; accent-color: #0a558c; }}
h1, h2, h3 {{ font-weight: 600; }}
section.case > h2 {{ margin-top: .6rem; }}
@media (max-width: 40rem) {{ & {{ padding: .4rem .2rem; }} }}
}}
@media (max-width: 40rem) {{ .gradio-container .main {{ padding: .5rem !important; }} }}
footer button, button .or {{ color: var(--body-text-color) !important; }}
</style>"""
_DARK_BLUE = {  # orange, gradio's own, is too pale for white words
    "button_primary_background_fill": "#0a558c",
    "button_primary_background_fill_dark": "#0a558c",
    "button_primary_background_fill_hover": "#084673",
    "button_primary_background_fill_hover_dark": "#084673",
    "button_primary_text_color": "#fff",
    "button_primary_text_color_dark": "#fff",
}


def launch(page: gradio.Blocks, **options: Any) -> Any:
    """Serve the page; returns when it is stopped, or at once with ``prevent_thread_lock=True``.

    Args:
        options: of `gradio.Blocks.launch`; by default it listens on 127.0.0.1, or where
            GRADIO_SERVER_NAME says, and takes images of up to `MAX_UPLOAD` bytes.
    """
    import gradio

    theme = gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
    theme = theme.set(**_DARK_BLUE)
    settings = {
        "server_name": os.environ.get("GRADIO_SERVER_NAME", LOOPBACK),
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": [str(path) for path in example_pair()],
        "theme": theme,
        "head": _HEAD,
        "footer_links": ["api"],
        "ssr_mode": False,
        "share": False,
        "pwa": False,
    }
    return page.launch(**{**settings, **options})


def uploads_until_exit() -> tempfile.TemporaryDirectory[str]:
    """Have uploaded images written to a folder that is deleted with what this returns; call before `build`.

    Those that a page has left which was killed are deleted now.
    """
    remove_left(Path(tempfile.gettempdir()))
    folder = tempfile.TemporaryDirectory(prefix=owned("amfzoo-demo-uploads"), suffix=f".{FOLDER}")
    os.environ["GRADIO_TEMP_DIR"] = folder.name
    return folder
