"""`amfzoo demo` up to the page; tests/demo goes on where gradio is installed."""

from __future__ import annotations

import socket

import pytest

from amfzoo.cli import exit_codes


def test_without_gradio(run, monkeypatch):
    monkeypatch.setattr("amfzoo.runtimes.base.find_spec", lambda name: None)
    ended = run("demo")
    assert ended.code == exit_codes.NO_WEIGHTS and not ended.out
    assert "gradio" in ended.err and "pip install 'amfzoo[demo]'" in ended.err


@pytest.mark.parametrize("port", ["0", "-1", "x", "65536", "99999"])
def test_a_port_is_a_number(run, port):
    ended = run("demo", "--port", port)
    assert ended.code == exit_codes.USAGE and "--port" in ended.err


def test_an_address_of_another_machine_or_a_taken_port_is_refused_at_once(run):
    for host in ("300.1.1.1", "a..b", "192.0.2.1"):
        ended = run("demo", "--host", host)
        assert ended.code == exit_codes.USAGE and f"nothing can be served at {host}" in ended.err
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("demo", "--port", port)
        assert ended.code == exit_codes.USAGE and f"127.0.0.1:{port}" in ended.err
