"""The demo through its API: answers, missing images, and files that mean ill."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import pytest
from cli_case import ROOT, amfzoo_process

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'amfzoo[demo]'")
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from amfzoo.demo.server import uploads_until_exit


@pytest.fixture(scope="module")
def client(server):
    return Client(server.url, verbose=False, analytics_enabled=False)


def ask(client, clinical=None, dermoscopy=None, model="amf_test.tiny"):
    files = [handle_file(str(path)) if path else None for path in (clinical, dermoscopy)]
    return client.predict(*files, model, api_name="/predict")


def plain(prediction):
    return json.loads(json.dumps(prediction.to_dict()))


def test_a_pair(client, server):
    images = server.picture("c0.jpg"), server.picture("d0.jpg")
    found = ask(client, *images)
    expected = plain(server.model.predict(*images))
    for task, row in expected.pop("probabilities").items():
        assert found["probabilities"][task] == pytest.approx(row, abs=1e-5)
    assert found["top"] == expected["top"] and found["missing"] == [] and set(found) == {*expected, "probabilities"}


@pytest.mark.parametrize("missing", ["clinical", "dermoscopy"])
def test_one_image(client, server, missing):
    images = {"clinical": server.picture("c0.jpg"), "dermoscopy": server.picture("d0.jpg")}
    del images[missing]
    found = ask(client, **images)
    assert found["missing"] == [missing]
    assert found["top"] == server.model.predict(**images).to_dict()["top"]


def fails(client, *words, **images):
    with pytest.raises(AppError) as caught:
        ask(client, **images)
    message = str(caught.value)
    for word in words:
        assert word in message
    assert "<" not in message and "/gradio" not in message and "amfzoo-demo" not in message
    return message


def bomb() -> bytes:
    """A PNG of some bytes that says it is 30000 x 30000 pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def test_bad_files_get_a_message_and_the_server_lives_on(client, server, tmp_path):
    text, huge, cut = tmp_path / "notes.txt", tmp_path / "huge.png", tmp_path / "cut.jpg"
    text.write_text("<script>alert(1)</script>" * 9)
    huge.write_bytes(bomb())
    cut.write_bytes(Path(server.picture("c0.jpg")).read_bytes()[:300])
    good = server.picture("d0.jpg")
    before = ask(client, dermoscopy=good)
    fails(client, "Clinical photo", "notes.txt", "text and not an image", clinical=text, dermoscopy=good)
    fails(client, "Dermoscopy image", "huge.png", "30000x30000", "decompression bomb", dermoscopy=huge)
    fails(client, "Clinical photo", "cut.jpg", "truncated", clinical=cut)
    fails(client, "no image yet")
    assert ask(client, dermoscopy=good) == before


def test_a_file_name_with_markup(client, tmp_path):
    path = tmp_path / "<img src=x onerror=alert(1)>.jpg"
    path.write_bytes(b"no image")
    fails(client, "Clinical photo", clinical=path)


def test_weights_that_are_not_listed_cannot_be_named(client, server):
    for name in ("amf_small", "local-dir:/etc", "hf-hub:org/repo"):
        with pytest.raises(AppError):
            ask(client, clinical=server.picture("c0.jpg"), model=name)


def test_uploads_have_a_limit(server):
    from amfzoo.demo.server import MAX_UPLOAD

    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    request = urllib.request.Request(
        f"{server.url}gradio_api/upload",
        data=head + bytes(MAX_UPLOAD + 1) + b"\r\n--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    assert caught.value.code == 413


def test_other_files_of_the_machine_are_not_served(server):
    for path in (server.picture("c0.jpg"), "/etc/hostname"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{server.url}gradio_api/file={path}", timeout=60)
        assert caught.value.code in (403, 404)


def test_no_telemetry_and_nothing_from_elsewhere(server):
    with urllib.request.urlopen(server.url, timeout=60) as page:
        text = page.read().decode()
    assert "fonts.googleapis" not in text and '"analytics_enabled":false' in text.replace(" ", "")
    assert "not a medical device" in text


@pytest.mark.slow
def test_the_command_serves_until_it_is_stopped_and_leaves_no_uploads(server, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("AMFZOO_MANIFEST", None)
    environment.pop("GRADIO_TEMP_DIR", None)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "amfzoo", "demo", "--offline"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    url = next(word for word in process.stderr.readline().split() if word.startswith("http://127.0.0.1:"))
    found = ask(Client(url, verbose=False, analytics_enabled=False), server.picture("c0.jpg"), model="amf_small.open")
    assert found["missing"] == ["dermoscopy"] and list(tmp_path.glob("amfzoo-demo-*/*/c0.jpg"))
    process.terminate()
    assert process.wait(120) == 0
    assert not list(tmp_path.glob("amfzoo-demo-*"))


def test_images_that_a_killed_page_has_left_are_deleted_by_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    with monkeypatch.context() as dead:
        dead.setattr(os, "getpid", lambda: 999_999_999)
        page = uploads_until_exit()
    Path(page.name, "c0.jpg").write_bytes(b"a picture")
    with uploads_until_exit() as uploads:
        assert list(tmp_path.iterdir()) == [Path(uploads)] == [Path(os.environ["GRADIO_TEMP_DIR"])]
    assert not list(tmp_path.iterdir())


def test_the_command_names_weights_that_are_not_there():
    process = amfzoo_process("demo", "--model", "amf_smal")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 3 and "amf_small" in err and not out
