"""Reading the HTML that the package writes."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

from PIL import Image

_VOID = {"meta", "br", "img", "input", "link"}


class Page(HTMLParser):
    """Elements in order, as `Element`; fails where they are not nested well or something is loaded or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open
        self._check_self_contained()

    def handle_starttag(self, tag, attributes):
        element = Element(tag, dict(attributes), [*self._open])
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag):
        assert self._open.pop().tag == tag

    def handle_data(self, data):
        for element in self._open:
            element.text += data

    def find(self, tag: str, kind: str = "", inside: Element | None = None) -> list[Element]:
        """Elements of a tag, of a class and inside another if given."""
        return [
            one
            for one in self.elements
            if one.tag == tag
            and (not kind or kind in one.attributes.get("class", "").split())
            and (inside is None or any(one_above is inside for one_above in one.above))
        ]

    def one(self, tag: str, kind: str = "") -> Element:
        (found,) = self.find(tag, kind)
        return found

    def rows(self, caption: str) -> list[list[str]]:
        """Cells of the body of the first table whose caption begins so."""
        table = next(
            t for t in self.find("table") if self.find("caption", inside=t)[0].text.strip().startswith(caption)
        )
        body = self.find("tbody", inside=table)[0]
        return [
            [" ".join(cell.text.split()) for cell in self.elements if cell.tag in ("td", "th") and row in cell.above]
            for row in self.find("tr", inside=body)
        ]

    def _check_self_contained(self) -> None:
        (policy,) = [e.attributes["content"] for e in self.find("meta") if "http-equiv" in e.attributes]
        scripts = [element.text for element in self.find("script")]
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
        allowed = " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"
        assert (
            policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}"
        ) and len(scripts) <= 1
        for element in self.elements:
            assert not [name for name in element.attributes if name.startswith("on")]
            assert element.attributes.get("src", "data:").startswith("data:image/") or element.tag != "img"
            assert element.attributes.get("href", "#").startswith("#")
            assert element.tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert "url(" not in self.source and "@import" not in self.source
        ids = [element.attributes["id"] for element in self.elements if "id" in element.attributes]
        assert len(ids) == len(set(ids))
        links = [element.attributes["href"][1:] for element in self.find("a")]
        assert set(links) <= set(ids)


class Element:
    """A tag, its attributes, the elements it is inside of, and the text in it."""

    def __init__(self, tag: str, attributes: dict[str, str | None], above: list[Element]) -> None:
        self.tag, self.attributes, self.above, self.text = tag, attributes, above, ""

    def picture(self) -> Image.Image:
        """What an <img> shows."""
        data = re.fullmatch(r"data:image/(?:png|jpeg);base64,(\S+)", self.attributes["src"]).group(1)
        return Image.open(io.BytesIO(base64.b64decode(data)))
