"""Faults of the Hub, the connection and the disk: a clear error, a clean cache, and the next attempt works."""

from __future__ import annotations

import errno
import hashlib
import importlib
import json
import os
import time
from pathlib import Path

import huggingface_hub
import pytest
from hub_case import CONFIG, REPO, SLEPT, STATE, blobs, files_of, folder, manifest_for, pinned, published, server  # noqa: F401
from huggingface_hub import constants

from amfzoo import hub, hub_fetch
from amfzoo.errors import ConfigError, WeightsError
from amfzoo.folder import read_folder, sha256_of, write_folder
from amfzoo.manifest import load_manifest
from amfzoo.models import backbone

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


@pytest.mark.parametrize("how", [{"status": 500}, {"status": 429, "headers": {"Retry-After": "3"}}, {"body": "none"}])
def test_the_card_is_not_waited_for(server, folder, monkeypatch, how):
    monkeypatch.setattr(hub_fetch, "PATIENCE_UNNEEDED", 0.3)
    commit = published(server, folder)
    server.fault("HEAD", "README.md", **how)
    start = time.monotonic()
    found = hub.resolve(pinned(commit)).folder
    assert time.monotonic() - start < 3 and not (found / "README.md").exists()


@pytest.mark.parametrize(("file", "attempts"), [("README.md", 1), ("golden.json", 3), ("c.jpg", 3)])
def test_a_server_that_faults_on_a_file_that_nothing_needs_is_soon_given_up(
    server, tmp_path, monkeypatch, file, attempts
):
    golden = {"golden.json": b'{"clinical": "c.jpg"}', "c.jpg": b"jpeg"}
    commit = published(server, write_folder(tmp_path / "m", config=CONFIG, state=STATE, card="", examples=golden))
    server.fault("HEAD", file, status=503)
    asked, real = [], hub_fetch._from_client
    monkeypatch.setattr(hub_fetch, "_from_client", lambda place, name, of: asked.append(name) or real(place, name, of))
    hub.download(pinned(commit))
    assert sum(name.endswith(file) for name in asked) == attempts and SLEPT == [1.0, 2.0][: attempts - 1]


def test_a_server_that_faults_on_the_weights_is_asked_for_ten_seconds(server, folder, monkeypatch):
    monkeypatch.setattr(hub_fetch, "_PATIENCE", 15.0)
    commit = published(server, folder)
    server.fault("HEAD", "model.safetensors", status=500)
    with pytest.raises(WeightsError, match="HTTP 500"):
        hub.resolve(pinned(commit))
    assert SLEPT == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("token", ["sec\nret", "sécret"])
def test_a_token_that_cannot_be_sent_is_named(server, folder, token):
    with pytest.raises(WeightsError, match="characters that cannot be sent.*token"):
        hub.resolve(pinned(published(server, folder)), token=token)
    assert SLEPT == []


def test_a_saved_token_that_may_not_be_read_is_named(server, folder, monkeypatch):
    """Of another user, as after `sudo hf auth login`."""
    published(server, folder)
    read = Path.read_text

    def denied(path: Path, *args: object, **kwargs: object) -> str:
        if str(path) == constants.HF_TOKEN_PATH:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", denied)
    with pytest.raises(WeightsError, match="saved token cannot be read.*/token.*set HF_TOKEN"):
        hub.resolve(f"hf-hub:{REPO}")


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


def test_a_list_that_names_other_files_costs_no_good_ones(server, folder, tmp_path):
    commit = published(server, folder)
    path = manifest_for(tmp_path / "manifest.json", folder, {"type": "hub", "repo": REPO, "revision": commit})
    entries = json.loads(path.read_text())
    entries["weights"]["amf_small.test"]["files"]["model.safetensors"]["sha256"] = "0" * 64
    path.write_text(json.dumps(entries))
    good = hub.resolve(pinned(commit)).folder
    with pytest.raises(WeightsError, match="mend the list"):
        hub.resolve("amf_small", manifest=load_manifest(path))
    assert hub.resolve(pinned(commit), local_files_only=True).folder == good


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
        huggingface_hub.hf_hub_download(REPO, "model.safetensors", revision=commit)
        path = huggingface_hub.hf_hub_download(REPO, "config.json", revision=commit)
        server.requests.clear()
    with pytest.raises(ConfigError, match="upgrade"):
        hub.resolve(pinned(commit), local_files_only=True)
    assert Path(path).exists() and server.requests == []


def test_a_listed_config_of_a_newer_version_stays_in_the_cache(server, folder, tmp_path):
    config = folder / "config.json"
    config.write_bytes(config.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 9'))
    commit = published(server, folder)
    path = manifest_for(tmp_path / "manifest.json", folder, {"type": "hub", "repo": REPO, "revision": commit})
    with pytest.raises(ConfigError, match="upgrade"):
        hub.resolve("amf_small", manifest=load_manifest(path))
    assert [file.resolve().read_bytes() for file in (tmp_path / "cache").rglob("config.json")] == [config.read_bytes()]


@pytest.mark.parametrize("how", ["newer", "wrong"])
def test_a_commit_that_cannot_be_used_does_not_hide_the_one_before(server, folder, how):
    published(server, folder)
    good = hub.resolve(f"hf-hub:{REPO}").folder
    files = files_of(folder)
    files["config.json"] = files["config.json"].replace(b'"schema_version": 1', b'"schema_version": 9')
    if how == "newer":
        server.commit(REPO, files)
    else:
        files["config.json"] = files_of(folder)["config.json"].replace(b"amf_small", b"amf_base")
        server.commit(REPO, files)
        server.fault("GET", "config.json", body="wrong")
    with pytest.raises((ConfigError, WeightsError)):
        hub.resolve(f"hf-hub:{REPO}")
    assert hub.resolve(f"hf-hub:{REPO}", local_files_only=True).folder == good
    server.faults.clear()
    server.fault("HEAD", "/resolve/", status=503)
    assert hub.resolve(f"hf-hub:{REPO}").folder == good


def test_of_what_is_no_model_of_ours_only_the_config_is_fetched(server):
    server.commit(REPO, {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x" * 10_000})
    with pytest.raises(ConfigError, match="not written by amfzoo"):
        hub.resolve(f"hf-hub:{REPO}")
    assert not any("model.safetensors" in path for _, path in server.requests)


def test_a_token_that_the_server_does_not_accept_is_told_from_a_name_that_is_not_there(server, folder):
    published(server, folder)
    refused = {"X-Error-Message": "Invalid credentials in Authorization header"}
    server.fault("HEAD", "/resolve/", status=401, headers=refused)
    with pytest.raises(WeightsError, match="HTTP 401.*expired.*unset HF_TOKEN") as caught:
        hub.resolve(f"hf-hub:{REPO}", token="hf_expired")
    assert "no such repository" not in str(caught.value)


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


@pytest.mark.parametrize("value", ["abc", "", "2.5"])
def test_a_timeout_that_is_no_number_is_named(monkeypatch, value):
    """The client's own error, when it is imported, names no variable."""
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", value)
    for ask in (hub_fetch.is_offline, hub_fetch.server_name, lambda: importlib.reload(backbone)):
        with pytest.raises(ConfigError, match=f"HF_HUB_DOWNLOAD_TIMEOUT is {value!r}: set it to a whole number"):
            ask()
