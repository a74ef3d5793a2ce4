"""`amfzoo push` with the real client against a Hub on the loopback interface."""

from __future__ import annotations

import re

import huggingface_hub
import pytest
from cli_case import tiny_model
from hub_server import HubServer
from huggingface_hub import constants

from amfzoo import create_model
from amfzoo.cli import exit_codes


@pytest.fixture
def server(tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with HubServer() as running:
        settings = {
            "ENDPOINT": running.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": running.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"), "HF_TOKEN_PATH": str(tmp_path / "token"), "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True, "HF_HUB_ETAG_TIMEOUT": 1, "HF_HUB_DOWNLOAD_TIMEOUT": 1,
        }  # fmt: skip
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        huggingface_hub.close_session()
        yield running
    huggingface_hub.close_session()


@pytest.fixture
def folder(tmp_path):
    return tiny_model().save_pretrained(tmp_path / "model")


def test_what_is_printed_loads_the_model(run, server, folder):
    ended = run("push", folder, "clinic/amf", "--private", "--message", "first")
    assert ended.code == exit_codes.OK
    name = ended.out.strip()
    assert re.fullmatch("hf-hub:clinic/amf@[0-9a-f]{40}", name) and server.repos["clinic/amf"].private
    before, after = create_model(f"local-dir:{folder}").state_dict(), create_model(name).state_dict()
    assert all((before[key] == after[key]).all() for key in before)


def test_what_cannot_be_pushed_is_said_in_one_line(run, server, folder, tmp_path):
    wrong = run("push", folder, "no-organisation")
    assert wrong.code == exit_codes.USAGE and "ORG/REPO" in wrong.err
    missing = run("push", tmp_path / "nothing", "clinic/amf")
    assert missing.code == exit_codes.NO_WEIGHTS and "nothing" in missing.err and missing.err.count("\n") == 1
    for empty in ("", "local-dir:"):  # as of a variable that is not set
        assert "names no folder" in run("push", empty, "clinic/amf").err
    alone = run("push", folder, "clinic/amf", "--no-create")
    assert alone.code == exit_codes.NO_WEIGHTS and "no such repository" in alone.err
    assert not server.repos


def test_the_folder_may_be_named_as_for_the_other_commands(run, server, folder):
    ended = run("push", f"local-dir:{folder}", "clinic/amf")
    assert ended.code == exit_codes.OK, ended.err
    assert server.repos["clinic/amf"].find(ended.out.strip().partition("@")[2])
