"""hub.py with the real client against a Hub on the loopback interface."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hub_server import HubServer
from huggingface_hub import constants

from amfzoo import hub, hub_fetch
from amfzoo.errors import ConfigError, UnknownModelError, WeightsError
from amfzoo.folder import read_folder, sha256_of, write_folder
from amfzoo.manifest import load_manifest

REPO = "clinic/amf"
STATE = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3)}
CONFIG = {"schema_version": 1, "architecture": "amf_small", "tasks": {"diagnosis": ["NV", "MEL"]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(
        tmp_path / "model", config=CONFIG, state=STATE, card="# card\n", examples={"expected.json": b"{}"}
    )


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A running Hub which the client, in this process, takes for the only one."""
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as running:
        settings = {
            "ENDPOINT": running.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": running.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_ETAG_TIMEOUT": 1,
            "HF_HUB_DOWNLOAD_TIMEOUT": 1,
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        huggingface_hub.close_session()
        monkeypatch.setattr(hub_fetch, "_PATIENCE", 3.0)
        monkeypatch.setattr(time, "sleep", lambda seconds: SLEPT.append(seconds))
        SLEPT.clear()
        yield running
    huggingface_hub.close_session()


SLEPT: list[float] = []  # every pause taken, by this package or the client; none is really waited for


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def published(server: HubServer, folder: Path) -> str:
    return server.commit(REPO, files_of(folder))


def pinned(commit: str) -> str:
    return f"hf-hub:{REPO}@{commit}"


def blobs(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").glob("models--*/blobs/*"))


def manifest_for(path: Path, folder: Path, source: dict) -> Path:
    files = {
        name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size}
        for name in ("config.json", "model.safetensors")
    }
    entry = {
        "architecture": "amf_small",
        "tag": "test",
        "source": source,
        "files": files,
        "parameters": 15,
        "license": "CC0-1.0",
        "attribution": "nobody",
        "training_data": "none",
        "tasks": CONFIG["tasks"],
        "metrics": [],
        "not_validated_for": "anything",
    }
    path.write_text(
        json.dumps({"schema_version": 1, "default_tags": {"amf_small": "test"}, "weights": {"amf_small.test": entry}})
    )
    return path


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
    assert hub.download(pinned(commit)) == found.folder
    assert server.requests == []
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


def test_cached_branch_is_used_when_the_server_is_down(server, folder, caplog):
    commit = published(server, folder)
    hub.resolve(f"hf-hub:{REPO}")
    server.fault("HEAD", "/resolve/", status=503)
    assert hub.resolve(f"hf-hub:{REPO}").folder.name == commit
    assert "using the cached commit" in caplog.text


# --- faults


FAULTS = {
    "no repository": (dict(status=404, headers={"X-Error-Code": "RepoNotFound"}), "no such repository.*HF_TOKEN"),
    "no revision": (dict(status=404, headers={"X-Error-Code": "RevisionNotFound"}), "no such revision"),
    "no file": (dict(status=404, headers={"X-Error-Code": "EntryNotFound"}), "no such file"),
    "plain 404": (dict(status=404), "HTTP 404"),
    "unauthorised": (dict(status=401), "private.*HF_TOKEN"),
    "forbidden": (dict(status=403), "HTTP 403.*HF_TOKEN"),
    "gated": (dict(status=403, headers={"X-Error-Code": "GatedRepo"}), "accept its terms"),
    "disabled": (dict(status=403, headers={"X-Error-Message": "Access to this resource is disabled."}), "disabled"),
    "too many": (dict(status=429, headers={"Retry-After": "1200"}), "in 1200 s"),
    "down": (dict(status=503), "HTTP 503.*local-dir:"),
    "odd": (dict(status=418), "HTTP 418"),
    "login page": (dict(status=200), "not that of a Hub"),
    "limited": (dict(status=429, headers={"RateLimit": '"api";r=0;t=301'}), "in 301 s"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_first_request_fails(server, folder, tmp_path, name):
    how, words = FAULTS[name]
    commit = published(server, folder)
    server.fault("HEAD", "/resolve/", **how)
    with pytest.raises(WeightsError, match=words) as caught:
        hub.resolve(pinned(commit))
    message = str(caught.value)
    assert REPO in message and commit in message and server.url in message and "To do:" in message
    assert caught.value.__cause__ is not None
    assert sum(SLEPT) <= 3 and blobs(tmp_path) == []
    server.faults.clear()
    assert read_folder(hub.resolve(pinned(commit)).folder).config["architecture"] == "amf_small"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_faults_are_outlasted(server, folder, status):
    commit = published(server, folder)
    headers = {"Retry-After": "2"} if status == 429 else {}
    server.fault("HEAD", "config.json", status=status, headers=headers, times=1)
    server.fault("GET", "model.safetensors", status=status, headers=headers, times=1)
    assert hub.resolve(pinned(commit)).folder.name == commit
    assert SLEPT == ([2.0, 3.0] if status == 429 else [1.0, 1.0])


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_long_pauses_in_mid_transfer_are_refused(server, folder, method):
    commit = published(server, folder)
    server.fault(method, "model.safetensors", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(WeightsError, match="in 3600 s"):
        hub.resolve(pinned(commit))
    assert sum(SLEPT) < 30
    server.faults.clear()
    assert hub.resolve(pinned(commit)).folder.name == commit


def test_silence_in_mid_transfer_is_not_waited_for(server, folder, monkeypatch):
    commit = published(server, folder)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    server.fault("HEAD", "model.safetensors", body="none")
    start = time.monotonic()
    with pytest.raises(WeightsError, match="in time"):
        hub.resolve(pinned(commit))
    assert time.monotonic() - start < 4


def test_body_cut_once_is_resumed(server, folder):
    commit = published(server, folder)
    server.fault("GET", "model.safetensors", body="cut", times=1)
    found = hub.resolve(pinned(commit)).folder
    assert (found / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("how, words", [("cut", "broke off"), ("stall", "in time")])
def test_broken_transfer_leaves_a_clean_cache(server, folder, tmp_path, how, words, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    commit = published(server, folder)
    server.fault("GET", "model.safetensors", body=how)
    with pytest.raises(WeightsError, match=words):
        hub.resolve(pinned(commit))
    assert not [p for p in blobs(tmp_path) if len(p.name) == 64 or "incomplete" in p.name]
    server.faults.clear()
    assert hub.resolve(pinned(commit)).folder.name == commit


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("listed", [True, False])
def test_wrong_bytes_leave_the_cache(server, folder, tmp_path, file, listed):
    commit = published(server, folder)
    path = manifest_for(tmp_path / "manifest.json", folder, {"type": "hub", "repo": REPO, "revision": commit})
    name, manifest = ("amf_small", load_manifest(path)) if listed else (pinned(commit), None)
    server.fault("GET", file, body="wrong", times=1)
    with pytest.raises(WeightsError, match="removed from the cache"):
        hub.resolve(name, manifest=manifest)
    wrong = hashlib.sha256(bytes(b ^ 1 for b in (folder / file).read_bytes())).hexdigest()
    assert wrong not in {sha256_of(p) for p in blobs(tmp_path)}
    found = hub.resolve(name, manifest=manifest)
    assert (found.record is not None) == listed
    assert (found.folder / file).read_bytes() == (folder / file).read_bytes()


def test_file_altered_in_the_cache_is_caught_and_replaced(server, folder):
    commit = published(server, folder)
    weights = hub.resolve(pinned(commit)).folder / "model.safetensors"
    data = weights.read_bytes()
    weights.resolve().write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(WeightsError, match="damaged or altered"):
        hub.resolve(pinned(commit))
    assert hub.resolve(pinned(commit)).folder.joinpath("model.safetensors").read_bytes() == data


def test_weights_other_than_the_server_announced(server, folder):
    commit = published(server, folder)
    found = hub.resolve(pinned(commit)).folder
    pointer = found / "model.safetensors"
    blob = pointer.resolve()
    other = blob.with_name("0" * 64)
    blob.rename(other)
    pointer.unlink()
    pointer.symlink_to(os.path.relpath(other, found))
    with pytest.raises(WeightsError, match="announced"):
        hub.resolve(pinned(commit))
    assert not other.exists() and not pointer.is_symlink()


def test_config_of_a_newer_version(server, folder):
    """The message asks to upgrade; the file is fetched anew, but never lost to an offline user."""
    files = files_of(folder)
    files["config.json"] = files["config.json"].replace(b'"schema_version": 1', b'"schema_version": 9')
    commit = server.commit(REPO, files)
    for kept in (False, True):
        with pytest.raises(ConfigError, match="upgrade"):
            hub.resolve(pinned(commit), local_files_only=kept)
        path = huggingface_hub.hf_hub_download(REPO, "config.json", revision=commit)
        server.requests.clear()
    with pytest.raises(ConfigError, match="upgrade"):
        hub.resolve(pinned(commit), local_files_only=True)
    assert Path(path).exists() and server.requests == []


def test_dead_server_fails_soon(server, folder):
    server.stop()
    with pytest.raises(WeightsError, match="no connection.*HF_ENDPOINT.*local-dir:"):
        hub.resolve(pinned("0" * 40))
    assert sum(SLEPT) <= 3


def test_endpoint_without_scheme(server, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "mirror.invalid")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", "mirror.invalid/{repo_id}/resolve/{revision}/{filename}"
    )
    with pytest.raises(WeightsError, match="begin with https://"):
        hub.resolve(pinned("0" * 40))
    assert SLEPT == []


def test_password_of_a_mirror_is_not_shown(server, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", server.url.replace("//", "//user:secret@"))
    with pytest.raises(WeightsError) as caught:
        hub.resolve(pinned("0" * 40))
    assert server.url in str(caught.value) and "secret" not in str(caught.value)


def test_push_to_a_server_without_xet(server, folder, monkeypatch):
    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(WeightsError, match="HF_HUB_DISABLE_XET=1"):
        hub.push(folder, REPO)


def test_silent_server_fails_soon(server, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.3)
    server.fault("HEAD", "/resolve/", body="none")
    start = time.monotonic()
    with pytest.raises(WeightsError, match="in time"):
        hub.resolve(pinned("0" * 40))
    assert time.monotonic() - start < 3


def test_full_disk_and_closed_cache(server, folder, tmp_path, monkeypatch):
    commit = published(server, folder)
    for code, words in ((errno.ENOSPC, "disk of the cache is full"), (errno.EACCES, "cache cannot be written")):

        def failing(*_, code=code, **__):
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(huggingface_hub.file_download, "http_get", failing)
            with pytest.raises(WeightsError, match=words):
                hub.resolve(pinned(commit))
    assert not [p for p in blobs(tmp_path) if "incomplete" in p.name]
    assert hub.resolve(pinned(commit)).folder.name == commit


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
    found = hub.resolve(pinned(commit), cache_dir=tmp_path / "elsewhere", token="secret")
    assert found.folder.is_relative_to(tmp_path / "elsewhere") and blobs(tmp_path) == []
    for headers, (_, path) in zip(server.headers, server.requests):
        # the token must not follow the redirect to another origin
        assert (headers.get("authorization") == "Bearer secret") == (not path.startswith("/objects"))


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
    with pytest.raises(WeightsError, match="not a folder"):
        hub.resolve("local-dir:nowhere")


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
