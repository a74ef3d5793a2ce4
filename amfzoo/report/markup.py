"""Pieces of HTML that the pages share. All text that comes in is escaped here."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape as _escape

from PIL import Image

from ..labels import DIAGNOSIS, class_titles

_SPACE = "\N{NO-BREAK SPACE}"
_BLANKS = re.compile(rf"[^\S{_SPACE}]+")
_LONGEST = 300  # characters of a name or a cell that are shown


def escape(text: object, longest: int = _LONGEST) -> str:
    """Text for HTML, in one line of bounded length; characters that turn the reading order are made visible."""
    line = _BLANKS.sub(" ", str(text)).strip()
    shown = "".join(c if c.isprintable() or c == _SPACE else "\N{REPLACEMENT CHARACTER}" for c in line)
    return _escape(shown if len(shown) <= longest else f"{shown[: longest - 1]}…")


def words(task: str) -> str:
    """The name of a task for people, not escaped."""
    return task.replace("_", " ")


def class_name(task: str, label: str, classes: Iterable[str]) -> str:
    """A class for people, not escaped: of a known diagnosis its title, with the code behind it."""
    title = class_titles(classes).get(label) if task == DIAGNOSIS else None
    return f"{title} ({label})" if title else label


def percent(p: float) -> str:
    """A probability; only what is certain is 0 % or 100 %."""
    if 0 < p < 0.005:
        return f"below 1{_SPACE}%"
    return f"above 99{_SPACE}%" if 0.995 < p < 1 else f"{100 * p:.0f}{_SPACE}%"


def bar(p: float) -> str:
    """A cell with a bar, which the number beside it puts into words."""
    return f'<td class="bar" aria-hidden="true"><span><i style="width:{100 * p:.1f}%"></i></span></td>'


def table(head: Sequence[str], rows: Iterable[str], *, kind: str, caption: str, foot: str = "") -> list[str]:
    """A table of ready rows; the heads and the caption are text."""
    cells = "".join(f'<th scope="col">{escape(cell)}</th>' if cell else "<td></td>" for cell in head)
    return [
        f'<div class="scroll" role="group" tabindex="0" aria-label="{escape(caption)}">',
        f'<table class="{kind}"><caption class="muted">{escape(caption)}</caption>',
        f"<thead><tr>{cells}</tr></thead><tbody>",
        *rows,
        f"</tbody>{f'<tfoot>{foot}</tfoot>' if foot else ''}</table></div>",
    ]


def jpeg(picture: Image.Image, quality: int = 85) -> bytes:
    """Pixels alone: no metadata goes along."""
    stream = io.BytesIO()
    picture.convert("RGB").save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def data_uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def joined(parts: Iterable[str]) -> str:
    """ "a, b and c"."""
    *most, last = list(parts)
    return f"{', '.join(most)} and {last}" if most else last
