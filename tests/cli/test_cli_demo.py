"""`amfzoo demo` up to the page; tests/demo goes on where gradio is installed."""

from __future__ import annotations

import pytest

from amfzoo.cli import exit_codes


def test_without_gradio(run, monkeypatch):
    monkeypatch.setattr("amfzoo.runtimes.base.find_spec", lambda name: None)
    ended = run("demo")
    assert ended.code == exit_codes.NO_WEIGHTS and not ended.out
    assert "gradio" in ended.err and "pip install 'amfzoo[demo]'" in ended.err


@pytest.mark.parametrize("port", ["0", "-1", "x"])
def test_a_port_is_a_number(run, port):
    ended = run("demo", "--port", port)
    assert ended.code == exit_codes.USAGE and "--port" in ended.err
