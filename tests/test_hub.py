"""hub.py with the real client against a Hub on the loopback interface."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hub_case import CONFIG, REPO, STATE, blobs, files_of, folder, manifest_for, pinned, published, server  # noqa: F401
from huggingface_hub import constants
from networks import TASKS, build

from amfzoo import create_model, hub, hub_fetch
from amfzoo.errors import ConfigError, UnknownModelError, WeightsError
from amfzoo.folder import read_folder, write_folder
from amfzoo.manifest import load_manifest

# --- pull and push


def test_fresh_pull_then_no_request(server, folder):
    commit = published(server, folder)
    found = hub.resolve(pinned(commit))
    assert found.folder.name == commit and found.record is None
    assert {"config.json", "model.safetensors", "README.md"} == {p.name for p in found.folder.iterdir()}
    loaded = read_folder(found.folder)
    assert all(torch.equal(loaded.state[name], STATE[name]) for name in STATE)
    assert len(server.requests) == 7  # a first question, then HEAD and GET of each of 3 files
    server.requests.clear()
    assert hub.resolve(pinned(commit)) == found
    assert server.requests == []
    assert hub.download(pinned(commit)) == found.folder
    assert len(server.requests) == 1  # for golden outputs, of which it has none
    assert hub.download(pinned(commit)) == found.folder and len(server.requests) == 1
    server.stop()
    assert hub.resolve(pinned(commit)) == found


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


def test_golden_outputs_come_with_an_explicit_download(server, tmp_path):
    golden = {
        "golden.json": b'{"clinical": "c.jpg", "dermoscopy": "../d.jpg", "tolerance": 1}',
        "c.jpg": b"jpeg",
        "x.py": b"",
    }
    commit = published(server, write_folder(tmp_path / "m", config=CONFIG, state=STATE, card="", examples=golden))
    found = hub.resolve(pinned(commit)).folder
    assert not (found / "example").exists()
    assert hub.download(pinned(commit)) == found
    assert {file.name for file in (found / "example").iterdir()} == {"golden.json", "c.jpg"}
    server.requests.clear()
    hub.download(pinned(commit))
    assert server.requests == []


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


@pytest.mark.parametrize("status, words", [(403, "refuses access"), (401, "HF_TOKEN"), (500, "HTTP 500")])
def test_push_failures_say_what_to_do(server, folder, status, words):
    server.fault("POST", "/api/repos/create", status=status)
    with pytest.raises(WeightsError, match=words) as caught:
        hub.push(folder, REPO)
    assert REPO in str(caught.value) and caught.value.__cause__ is not None


def test_push_without_create_needs_the_repository(server, folder):
    with pytest.raises(WeightsError, match="no such repository"):
        hub.push(folder, REPO, create=False)


# --- revisions


def test_branch_is_resolved_once_and_logged(server, folder, tmp_path, caplog):
    first = published(server, folder)
    with caplog.at_level(logging.INFO, "amfzoo"):
        assert hub.resolve(f"hf-hub:{REPO}").folder.name == first
    assert first in caplog.text
    newer = write_folder(tmp_path / "newer", config=CONFIG, state={"w": torch.zeros(2)}, card="")
    second = published(server, newer)
    assert hub.resolve(f"hf-hub:{REPO}@main").folder.name == second
    assert hub.resolve(f"hf-hub:{REPO}@main", local_files_only=True).folder.name == second


def test_a_branch_costs_one_question_and_is_known_offline(server, folder):
    commit = published(server, folder)
    for name in ("main", "v1"):
        server.repos[REPO].branches[name] = commit
        server.requests.clear()
        assert hub.resolve(f"hf-hub:{REPO}@{name}").folder.name == commit
        assert len([path for _, path in server.requests if f"/{name}/" in path]) == 1
        assert hub.resolve(f"hf-hub:{REPO}@{name}", local_files_only=True).folder.name == commit


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_cannot_be_written_serves_what_it_has(server, folder, tmp_path, caplog):
    first = published(server, folder)
    hub.resolve(f"hf-hub:{REPO}")
    published(server, write_folder(tmp_path / "newer", config=CONFIG, state={"w": torch.zeros(2)}, card=""))
    closed = [path for path in (tmp_path / "cache").rglob("*") if path.is_dir()]
    for path in closed:
        path.chmod(0o500)
    try:
        assert hub.resolve(f"hf-hub:{REPO}").folder.name == first
    finally:
        for path in closed:
            path.chmod(0o700)
    assert "using the cached commit" in caplog.text


def test_all_files_come_from_one_commit_when_the_branch_moves(server, folder, tmp_path, monkeypatch):
    first = published(server, folder)
    newer = write_folder(tmp_path / "newer", config=CONFIG, state={"w": torch.zeros(2)}, card="")
    real = hub_fetch._download

    def moving(place, file, revision):
        path = real(place, file, revision)
        if file == "config.json":
            published(server, newer)
        return path

    monkeypatch.setattr(hub_fetch, "_download", moving)
    found = hub.resolve(f"hf-hub:{REPO}")
    assert found.folder.name == first
    assert read_folder(found.folder).state.keys() == STATE.keys()


def test_an_update_that_fails_halfway_leaves_the_earlier_commit_in_use(server, folder, tmp_path):
    first = published(server, folder)
    hub.resolve(f"hf-hub:{REPO}")
    second = published(server, write_folder(tmp_path / "newer", config=CONFIG, state={"w": torch.zeros(2)}, card=""))
    server.fault("GET", "model.safetensors", status=403)  # as from a filter that blocks large files
    with pytest.raises(WeightsError):
        hub.resolve(f"hf-hub:{REPO}")
    assert hub.resolve(f"hf-hub:{REPO}", local_files_only=True).folder.name == first
    server.faults.clear()
    assert hub.resolve(f"hf-hub:{REPO}").folder.name == second
    assert hub.resolve(f"hf-hub:{REPO}", local_files_only=True).folder.name == second


def test_cached_branch_is_used_when_the_server_is_down(server, folder, caplog):
    commit = published(server, folder)
    hub.resolve(f"hf-hub:{REPO}")
    server.fault("HEAD", "/resolve/", status=503)
    assert hub.resolve(f"hf-hub:{REPO}").folder.name == commit
    assert "using the cached commit" in caplog.text


# --- settings


def test_offline(server, folder, monkeypatch):
    commit = published(server, folder)
    for offline in ({"local_files_only": True}, {}):
        if not offline:
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(WeightsError, match="not in the cache.*local-dir:") as caught:
            hub.resolve(pinned(commit), **offline)
        assert REPO in str(caught.value) and commit in str(caught.value)
    assert server.requests == []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    found = hub.resolve(pinned(commit))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.resolve(pinned(commit)) == found == hub.resolve(pinned(commit), local_files_only=True)


def test_cache_dir_and_token(server, folder, tmp_path):
    commit = published(server, folder)
    found = hub.resolve(pinned(commit), cache_dir=tmp_path / "elsewhere", token="secret\n")  # as read from a file
    assert found.folder.is_relative_to(tmp_path / "elsewhere") and blobs(tmp_path) == []
    for headers, (_, path) in zip(server.headers, server.requests):
        # the token must not follow the redirect to another origin
        assert (headers.get("authorization") == "Bearer secret") == (not path.startswith("/objects"))


def test_create_model_takes_a_token(server, tmp_path):
    network = build(tasks=TASKS)
    commit = published(server, network.save_pretrained(tmp_path / "network"))
    server.headers.clear()
    found = create_model(pinned(commit), token="secret")
    assert all(torch.equal(found.state_dict()[name], tensor) for name, tensor in network.state_dict().items())
    assert "Bearer secret" in {headers.get("authorization") for headers in server.headers}


def test_without_symlinks(server, folder, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    commit = published(server, folder)
    weights = hub.resolve(pinned(commit)).folder / "model.safetensors"
    assert not weights.is_symlink()
    weights.write_bytes(b"x")
    with pytest.raises(WeightsError, match="truncated"):
        hub.resolve(pinned(commit))
    assert hub.resolve(pinned(commit)).folder == weights.parent


def test_environment_variables(server, folder, tmp_path):
    commit = published(server, folder)
    manifest_for(tmp_path / "manifest.json", folder, {"type": "hub", "repo": REPO, "revision": commit})
    code = (
        "import sys; from amfzoo import hub; assert 'huggingface_hub' not in sys.modules;"
        "print(hub.download('amf_small')); assert 'torch' not in sys.modules"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "home"),
        "AMFZOO_MANIFEST": str(tmp_path / "manifest.json"),
        "PYTHONPATH": str(Path(hub.__file__).parents[1]),
    }
    environment.pop("HF_HUB_CACHE", None)

    def run(**more: str) -> subprocess.CompletedProcess:
        variables = {**environment, **more}
        return subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60)

    assert "not in the cache" in run(HF_HUB_OFFLINE="1").stderr
    first = run()
    assert first.stdout.strip() == str(tmp_path / f"home/hub/models--clinic--amf/snapshots/{commit}"), first.stderr
    server.requests.clear()
    assert run(HF_HUB_OFFLINE="1").stdout == first.stdout and server.requests == []


# --- names


@pytest.mark.parametrize("kind", ["bundled", "repository"])
def test_shipped_weights_need_no_network(folder, tmp_path, kind, monkeypatch):
    manifest = load_manifest(
        manifest_for(tmp_path / "manifest.json", folder, {"type": kind, "folder": "amf_small.test"})
    )
    with pytest.raises(WeightsError, match="install"):
        hub.resolve("amf_small", manifest=manifest)
    if kind == "bundled":
        monkeypatch.setattr("amfzoo.manifest._PACKAGE", tmp_path)
    (tmp_path / "weights").mkdir()
    folder.rename(tmp_path / "weights/amf_small.test")
    found = hub.resolve("amf_small.test", manifest=manifest)
    assert found.folder == tmp_path / "weights/amf_small.test" == hub.download("amf_small", manifest=manifest)
    assert read_folder(found.folder, expect=found.expect).config["architecture"] == "amf_small"


def test_local_folders(folder, monkeypatch):
    assert hub.resolve(f"local-dir:{folder}").folder == hub.resolve(folder).folder == hub.download(folder) == folder
    monkeypatch.chdir(folder.parent)
    assert hub.resolve("local-dir:model").folder == folder
    for name in ("nowhere", "x" * 5000, "~nobody-of-this-name/x"):
        with pytest.raises(WeightsError, match="does not exist"):
            hub.resolve(f"local-dir:{name}")
    with pytest.raises(ConfigError, match="names no folder"):
        hub.resolve("local-dir:")


@pytest.mark.parametrize(
    "name",
    ["hf-hub:", "hf-hub:one", "hf-hub:a/b/c", "hf-hub:a/b@", "hf-hub:a/b@../x", "hf-hub:../b", "hf-hub:a/b@/etc"],
)
def test_ill_formed_hub_names(name):
    with pytest.raises(ConfigError):
        hub.resolve(name)


def test_unknown_names_hint_at_the_prefix():
    with pytest.raises(UnknownModelError, match="hf-hub:org/name"):
        hub.resolve("org/name")
    with pytest.raises(UnknownModelError):
        hub.resolve("no_such_model")
