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
from huggingface_hub import constants, get_session
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
    (found / "example" / "c.jpg").unlink()  # as after a download that was broken off
    hub.download(pinned(commit))
    assert (found / "example" / "c.jpg").read_bytes() == b"jpeg"
    for name in ("golden.json", "c.jpg"):  # damaged in the cache
        (found / "example" / name).resolve().write_bytes(b"{")
    hub.download(pinned(commit))
    assert all((found / "example" / name).read_bytes() == golden[name] for name in ("golden.json", "c.jpg"))


def test_an_explicit_download_brings_the_card_that_a_killed_one_left_out(server, folder):
    commit = published(server, folder)
    card = hub.resolve(pinned(commit)).folder / "README.md"
    card.unlink()
    hub.download(pinned(commit))
    assert card.read_bytes() == (folder / "README.md").read_bytes()
    server.requests.clear()
    hub.download(pinned(commit))
    assert server.requests == []


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
    listed = manifest_for(tmp_path / "manifest.json", newer, {"type": "hub", "repo": REPO, "revision": second})
    assert hub.resolve(f"hf-hub:{REPO}", manifest=load_manifest(listed)).record.name == "amf_small.test"


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
    real = hub_fetch.download_file

    def moving(place, file, revision):
        path = real(place, file, revision)
        if file == "config.json":
            published(server, newer)
        return path

    monkeypatch.setattr(hub_fetch, "download_file", moving)
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
    server.faults.clear()
    server.fault("HEAD", "/resolve/", status=403)  # an answer, which an old copy must not hide
    with pytest.raises(WeightsError, match="HTTP 403"):
        hub.resolve(f"hf-hub:{REPO}")


def test_a_repository_without_a_card(server, folder):
    files = files_of(folder)
    del files["README.md"]
    assert read_folder(hub.resolve(pinned(server.commit(REPO, files))).folder).state.keys() == STATE.keys()


def test_only_what_lies_in_the_cache_is_evicted(tmp_path):
    pointer = tmp_path / "cache/models--org--name/snapshots" / ("0" * 40) / "config.json"
    pointer.parent.mkdir(parents=True)
    (tmp_path / "mine").write_text("mine")
    pointer.symlink_to(tmp_path / "mine")
    assert hub_fetch.evict(pointer) and not pointer.is_symlink()
    assert (tmp_path / "mine").read_text() == "mine"


def test_requests_of_others_in_the_process_keep_their_own_limits(server, folder):
    hub.resolve(pinned(published(server, folder)))  # after which the client's session has our hooks
    server.fault("GET", "/elsewhere", status=503, headers={"Retry-After": "3600"})
    assert get_session().get(f"{server.url}/elsewhere").status_code == 503


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
    [
        "hf-hub:",
        "hf-hub:one",
        "hf-hub:a/b/c",
        "hf-hub:a/b@",
        "hf-hub:a/b@../x",
        "hf-hub:a/b@v1/../x",
        "hf-hub:../b",
        "hf-hub:a/b@/etc",
    ],
)
def test_ill_formed_hub_names(name):
    with pytest.raises(ConfigError):
        hub.resolve(name)


def test_unknown_names_hint_at_the_prefix():
    with pytest.raises(UnknownModelError, match="hf-hub:org/name"):
        hub.resolve("org/name")
    with pytest.raises(UnknownModelError):
        hub.resolve("no_such_model")


@pytest.mark.parametrize(
    ("name", "advised"),
    [
        ("./runs/model", ["local-dir:./runs/model"]),
        ("a/b/c", ["local-dir:a/b/c"]),
        ("org/name@v1", ["local-dir:org/name@v1", "hf-hub:org/name@v1"]),
        ("https://hub.example/org/name", ["hf-hub:org/name"]),
        ("https://hub.example/org/name/tree/v1.0", ["hf-hub:org/name@v1.0"]),
        ("https://hub.example/datasets/org/name", ["local-dir:/folder", "hf-hub:organisation/name"]),
        ("https://example.org/org/name", ["local-dir:/folder", "hf-hub:organisation/name"]),
        ("hf_hub:org/name", ["local-dir:/folder", "hf-hub:organisation/name"]),
    ],
)
def test_what_is_advised_for_a_name_without_prefix_is_taken(monkeypatch, name, advised):
    """Not a repository 'hf-hub:./runs/model', nor a folder 'local-dir:https://...'."""
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.example")
    with pytest.raises(UnknownModelError) as caught:
        hub.resolve(name)
    assert re.findall(r"'([a-z-]+:[^']*)'", str(caught.value).replace(repr(name), "")) == advised
