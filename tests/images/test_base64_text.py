"""Images as base64 text, which web pages and JSON carry: told from paths, and from pages that a download saved."""

from __future__ import annotations

import base64

import pytest

from amfzoo.errors import ImageError
from amfzoo.images import read_image


def message(source) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source)
    return str(caught.value)


def lines(text: bytes) -> bytes:
    return b"\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))  # as mail has it


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "gif", "bmp", "tiff"])
def test_base64_as_bytes_and_as_text(files, kind, tmp_path):
    text = base64.b64encode(files[kind])
    (tmp_path / "lesion.jpg").write_bytes(text)
    for source in (text, lines(text), tmp_path / "lesion.jpg"):
        assert "base64 text of a" in message(source) and "decode it first" in message(source)
        assert "error page" not in message(source)
    assert "not a path; decode it first" in message(text.decode())
    assert len(message(text.decode())) < 500


def test_data_uris_as_bytes_and_as_text(files):
    for start in ("data:image/jpeg;base64,", "DATA:;base64,", "data:application/octet-stream;base64,"):
        uri = start + base64.b64encode(files["jpeg"]).decode()
        for source in (uri, uri.encode()):
            found = message(source)
            assert "data: URI" in found and "follows its comma" in found and len(found) < 500


@pytest.mark.parametrize("text", [b"<html>Not found</html>", b"notbase64" * 20, b"c0ffee" * 20, b"database offline"])
def test_other_text_is_a_page(text):
    assert "error page" in message(text)
