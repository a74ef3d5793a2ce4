"""A model folder becomes one commit of a repository on a Hub, with the real client against a server on the loopback interface."""

from __future__ import annotations

import re

import pytest
import torch
from hub_case import CONFIG, REPO, files_of, folder, pinned, server  # noqa: F401
from networks import TASKS, build

from amfzoo import hub
from amfzoo.errors import ConfigError, WeightsError
from amfzoo.folder import write_folder


def test_push_then_pull_gives_the_same_bytes(server, folder):
    commit = hub.push(folder, REPO, private=True, token="secret")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert server.repos[REPO].private
    assert all(
        h["authorization"] == "Bearer secret"
        for h, (m, p) in zip(server.headers, server.requests)
        if not p.startswith("/objects")
    )
    remote = dict(server.repos[REPO].commits[commit])
    remote.pop(".gitattributes")
    assert remote == files_of(folder)
    pulled = hub.resolve(pinned(commit)).folder
    for name in ("config.json", "model.safetensors", "README.md"):
        assert (pulled / name).read_bytes() == (folder / name).read_bytes()


def test_second_push_replaces_and_removes_old_examples(server, folder, tmp_path):
    first = hub.push(folder, REPO)
    newer = write_folder(
        tmp_path / "newer", config=CONFIG, state={"w": torch.zeros(2)}, card="new", examples={"other.json": b"1"}
    )
    second = hub.push(newer, REPO)
    assert first != second and len(server.repos[REPO].commits) == 3
    remote = dict(server.repos[REPO].commits[second])
    remote.pop(".gitattributes")
    assert remote == files_of(newer)


def test_the_card_of_a_pushed_model_names_its_repository(server, tmp_path):
    network = build(tasks=TASKS)
    for commit in (network.push_to_hub(REPO), hub.push(network.save_pretrained(tmp_path / "m"), REPO)):
        card = server.repos[REPO].commits[commit]["README.md"].decode()
        assert f'create_model("hf-hub:{REPO}", pretrained=True)' in card and "/path/to" not in card
    assert "local-dir:/path/to/this/folder" in (tmp_path / "m/README.md").read_text()


def test_push_looks_into_no_other_folder(server, folder, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(WeightsError, match="outside its folder"):
        hub.push(folder, REPO)
    assert server.requests == []


def test_what_is_to_be_private_is_not_pushed_to_a_public_repository(server, folder):
    hub.push(folder, REPO)
    before = dict(server.repos[REPO].commits)
    with pytest.raises(WeightsError, match="public: nothing was uploaded"):
        hub.push(folder, REPO, private=True)
    assert server.repos[REPO].commits == before


def test_push_offline_says_so(server, folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # after the client was imported
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE is set.*unset it"):
        hub.push(folder, REPO)
    with pytest.raises(WeightsError, match="save_pretrained"):
        build(tasks=TASKS).push_to_hub(REPO)
    assert server.requests == []


def test_push_refuses_a_damaged_folder(server, folder):
    (folder / "model.safetensors").write_bytes(b"x" * (folder / "model.safetensors").stat().st_size)
    with pytest.raises(WeightsError, match="damaged"):
        hub.push(folder, REPO)
    with pytest.raises(ConfigError, match="organisation/name"):
        hub.push(folder, "not a repository")
    assert server.requests == []


@pytest.mark.parametrize(
    "status, words", [(403, "refuses access"), (401, "to make it needs a login.*HF_TOKEN"), (500, "HTTP 500")]
)
def test_push_failures_say_what_to_do(server, folder, status, words):
    server.fault("POST", "/api/repos/create", status=status)
    with pytest.raises(WeightsError, match=words) as caught:
        hub.push(folder, REPO)
    assert REPO in str(caught.value) and caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("status", "said"), [(403, "Private repository storage limit reached."), (412, "A commit has happened since.")]
)
def test_what_the_server_says_of_a_refused_push_is_passed_on(server, folder, status, said):
    server.fault("POST", "/commit/", status=status, headers={"X-Error-Message": said})
    with pytest.raises(WeightsError, match=f'HTTP {status}: "{said[:-1]}"'):
        hub.push(folder, REPO)


def test_a_card_that_the_hub_refuses_is_named_with_its_reason(server, folder):
    server.card_error = '"license" must be one of [apache-2.0, mit]'
    with pytest.raises(WeightsError, match=r"Invalid metadata in README.md.*must be one of.*head of the card"):
        hub.push(folder, REPO)


def test_push_without_create_needs_the_repository(server, folder):
    with pytest.raises(WeightsError, match="no such repository"):
        hub.push(folder, REPO, create=False)
