"""What others left in the cache or wrote on the Hub: sound files stay, and nothing ends in an error of the client."""

from __future__ import annotations

import errno
import os

import pytest
from hub_case import CONFIG, REPO, STATE, folder, pinned, published, server  # noqa: F401
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from amfzoo import folder_check, hub
from amfzoo.errors import ConfigError, WeightsError
from amfzoo.folder import write_folder


@pytest.mark.parametrize("offline", [True, False])
@pytest.mark.parametrize("how", ["permission", "elsewhere"])
def test_what_cannot_be_read_from_here_stays_in_the_cache(server, folder, tmp_path, monkeypatch, how, offline):
    """A cache that several share, or whose files lie on another disk: nothing says that they are wrong."""
    commit = published(server, folder)
    files = [hub.resolve(pinned(commit)).folder / name for name in ("config.json", "model.safetensors")]
    before = [file.read_bytes() for file in files]
    if how == "permission":
        denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        monkeypatch.setattr(folder_check, "sha256_of", lambda path: (_ for _ in ()).throw(denied))
    else:
        for number, file in enumerate(files):
            blob, store = file.resolve(), tmp_path / f"store{number}"
            blob.rename(store)
            blob.symlink_to(store)
    with pytest.raises(
        WeightsError, match="check its permissions" if how == "permission" else "outside its folder"
    ) as told:
        hub.resolve(pinned(commit), local_files_only=offline)
    assert "removed" not in str(told.value) and [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("repo", ["a/b.git", "a/b-", "a-/b", "a/b.", f"a/{'b' * 97}", f"{'a' * 97}/b"])
@pytest.mark.parametrize("offline", [True, False])
def test_names_that_the_client_refuses_are_refused_before_it_is_asked(server, repo, offline):
    for revision in ("", f"@{'a' * 40}"):
        with pytest.raises(ConfigError, match="is not 'hf-hub:organisation/name'"):
            hub.resolve(f"hf-hub:{repo}{revision}", local_files_only=offline)
    assert not server.requests
    with pytest.raises(HFValidationError):
        validate_repo_id(repo)


@pytest.mark.parametrize("golden", [b"[" * 200_000, b"\xff", b"[1]"])
def test_golden_outputs_that_are_none_do_not_hinder_a_download(server, tmp_path, golden):
    hostile = write_folder(tmp_path / "hostile", config=CONFIG, state=STATE, card="", examples={"golden.json": golden})
    assert hub.download(pinned(published(server, hostile))).name


def test_a_relative_cache_gives_a_folder_that_can_be_used_from_elsewhere(server, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "cache")  # as the environment variable has it
    commit = published(server, folder)
    for offline in (False, True):
        assert hub.resolve(pinned(commit), local_files_only=offline).folder.is_absolute()


@pytest.mark.parametrize("note", [b"\xff\xfe", b"\0" * 40])
def test_a_branch_whose_note_in_the_cache_is_damaged_is_fetched_anew(server, folder, tmp_path, note):
    """As a power cut may leave it."""
    commit = published(server, folder)
    reference = hub.resolve(f"hf-hub:{REPO}").folder.parents[1] / "refs" / "main"
    reference.write_bytes(note)
    with pytest.raises(WeightsError, match="not in the cache"):
        hub.resolve(f"hf-hub:{REPO}", local_files_only=True)
    assert hub.resolve(f"hf-hub:{REPO}").folder.name == commit == reference.read_text()


def test_a_note_of_a_branch_that_may_not_be_read_is_named(server, folder, monkeypatch):
    published(server, folder)
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "refs/main")
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda *_, **__: (_ for _ in ()).throw(denied), raising=True
    )
    with pytest.raises(WeightsError, match="refs/main.*HF_HUB_CACHE to a folder"):
        hub.resolve(f"hf-hub:{REPO}", local_files_only=True)
