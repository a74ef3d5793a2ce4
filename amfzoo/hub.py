"""From a name to a verified model folder on this disk: bundled, local, or from a Hub.

HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_HUB_ETAG_TIMEOUT and
HF_HUB_DOWNLOAD_TIMEOUT are honoured; the client reads them when it is first imported,
which happens here only when a Hub is asked for. How long things may take is said in
`hub_fetch`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .checks import is_commit, is_repo_id
from .errors import ConfigError, UnknownModelError, WeightsError
from .folder import CARD_FILE, EXAMPLE_FOLDER, check_folder
from .folder_check import missing_folder
from .hub_errors import OTHER_WAY_TO_PUSH, explain, status_of
from .hub_fetch import Place, cached_folder, evict, fetch, patiently, server_name
from .manifest import CONFIG_FILE, WEIGHTS_FILE, FileRecord, Manifest, WeightsRecord, load_manifest

if TYPE_CHECKING:
    from huggingface_hub import HfApi

HUB_PREFIX = "hf-hub:"
LOCAL_PREFIX = "local-dir:"

_log = logging.getLogger("amfzoo")


@dataclass(frozen=True)
class Resolved:
    """Where a name leads: the folder, its manifest record if it is listed, and words for a log."""

    folder: Path
    record: WeightsRecord | None
    description: str

    @property
    def expect(self) -> Mapping[str, FileRecord] | None:
        """Hashes and sizes to hand to `read_folder`; None for weights that are not listed."""
        return None if self.record is None else self.record.files


def resolve(
    name: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    manifest: Manifest | None = None,
) -> Resolved:
    """Find the folder of a model, fetching it from its Hub if it must.

    `name` is "amf_small" (its default tag), "amf_small.tag", "hf-hub:org/repo[@revision]",
    "local-dir:/folder" or a path object. What comes from a Hub is verified here, and a
    damaged copy leaves the cache; bundled and local folders are verified by `read_folder`.

    Raises UnknownModelError (no such name), ConfigError (an ill-formed name, manifest or
    config.json) or WeightsError (the files cannot be had, or are not the right ones).
    """
    if isinstance(name, os.PathLike):
        return _local(Path(name))
    if name.startswith(LOCAL_PREFIX):
        return _local(Path(name[len(LOCAL_PREFIX) :]))
    manifest = load_manifest() if manifest is None else manifest
    if name.startswith(HUB_PREFIX):
        repo, revision = _parse_hub_name(name)
        place = _place(repo, revision, cache_dir, local_files_only, token)
        return _from_hub(place, manifest.find_hub(repo, revision), manifest)
    if manifest.find(name) is None and (os.sep in name or "/" in name):
        raise UnknownModelError(
            f"No model named {name!r}. Write a folder as 'local-dir:{name}', a Hub repository as 'hf-hub:{name}'."
        )
    record = manifest.entry(name)
    if record.source.type == "hub":
        place = _place(record.source.repo, record.source.revision, cache_dir, local_files_only, token)
        return _from_hub(place, record, manifest)
    return _shipped(record, manifest)


def download(
    name: str | os.PathLike[str],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    token: str | bool | None = None,
    manifest: Manifest | None = None,
) -> Path:
    """As `resolve`, verifying every kind of source; returns the folder. Loads no torch."""
    found = resolve(name, cache_dir=cache_dir, local_files_only=local_files_only, token=token, manifest=manifest)
    check_folder(found.folder, expect=found.expect)
    return found.folder


def push(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    private: bool = False,
    token: str | bool | None = None,
    commit_message: str | None = None,
    create: bool = True,
) -> str:
    """Verify a model folder and upload it in one commit; returns that commit (40 hex).

    Examples that the repository holds and the folder does not are removed, so that both
    are the same. `create` makes the repository if it does not exist (`private` or not).
    An unreachable server is given up as in `hub_fetch`, but once the upload has begun the
    client sets no time limit.
    Raises WeightsError or ConfigError.
    """
    root = Path(folder).expanduser()
    if not is_repo_id(repo_id):
        raise ConfigError(f"A repository is written 'organisation/name', got {repo_id!r}.")
    config = check_folder(root)
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(token=token, library_name="amfzoo")
    files = {path.relative_to(root).as_posix(): path for path in _to_push(root)}
    try:
        there = _remote_files(api, repo_id, private, create)
        stale = [file for file in there if file.startswith(f"{EXAMPLE_FOLDER}/") and file not in files]
        operations = [CommitOperationDelete(path) for path in stale]
        operations += [CommitOperationAdd(name, str(path)) for name, path in files.items()]
        # One commit: upload_folder may split into several, and then no single revision is the model.
        commit = api.create_commit(
            repo_id, operations, commit_message=commit_message or f"Upload {config.get('architecture', 'model')}"
        )
    except Exception as error:
        raise explain(error, f"Cannot push {root} to {repo_id} at {server_name()}", OTHER_WAY_TO_PUSH) from error
    _log.info("pushed %s to %s at commit %s", root, repo_id, commit.oid)
    return commit.oid


def _remote_files(api: HfApi, repo_id: str, private: bool, create: bool) -> list[str]:
    """Paths in the repository, which is made if it is missing and `create` is set."""
    from huggingface_hub import constants

    try:
        # Asked first because this request, unlike the client's writing ones, has a time limit.
        info = patiently(lambda: api.model_info(repo_id, timeout=constants.HF_HUB_ETAG_TIMEOUT))
        return [file.rfilename for file in info.siblings or []]
    except Exception as error:
        if not create or status_of(error) not in (401, 404):
            raise
    api.create_repo(repo_id, private=private, exist_ok=True)
    return []


def _to_push(root: Path) -> list[Path]:
    paths = [root / CONFIG_FILE, root / WEIGHTS_FILE, root / CARD_FILE, *sorted((root / EXAMPLE_FOLDER).glob("*"))]
    return [path for path in paths if path.is_file()]


def _local(folder: Path) -> Resolved:
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise WeightsError(missing_folder(folder))
    return Resolved(folder, None, f"folder {folder}")


def _shipped(record: WeightsRecord, manifest: Manifest) -> Resolved:
    folder = manifest.folder_of(record)
    if not folder.is_dir():
        remedy = (
            "install amfzoo again"
            if record.source.type == "bundled"
            else "they are in the source repository only: clone it and install it there with `pip install -e .`, or use 'local-dir:'"
        )
        raise WeightsError(f"The weights {record.name} should be in {folder}, which does not exist; {remedy}.")
    return Resolved(folder, record, f"{record.name} ({record.source.type})")


def _parse_hub_name(name: str) -> tuple[str, str]:
    repo, at, revision = name[len(HUB_PREFIX) :].partition("@")
    if not is_repo_id(repo) or (at and not revision):
        raise ConfigError(f"{name!r} is not 'hf-hub:organisation/name' or 'hf-hub:organisation/name@revision'.")
    revision = revision or "main"
    # The client makes a file of this name in the cache.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", revision) or ".." in revision:
        raise ConfigError(f"{name!r}: {revision!r} is not a branch, tag or commit.")
    return repo, revision


def _place(
    repo: str, revision: str, cache_dir: str | os.PathLike[str] | None, local_files_only: bool, token: str | bool | None
) -> Place:
    from huggingface_hub import constants

    cache = None if cache_dir is None else Path(cache_dir).expanduser().absolute()
    return Place(repo, revision, cache, token, offline=local_files_only or constants.HF_HUB_OFFLINE)


def _from_hub(place: Place, record: WeightsRecord | None, manifest: Manifest) -> Resolved:
    if record is not None:
        place = replace(place, files=tuple(record.files))
    folder = cached_folder(place) if place.offline or is_commit(place.revision) else None
    if folder is None:
        folder = fetch(place)
    commit = folder.name
    record = record or manifest.find_hub(place.repo, commit)
    if commit != place.revision:
        _log.info("%s@%s is commit %s; write @%s to pin it", place.repo, place.revision, commit, commit)
    try:
        _verify(folder, place.files, record)
    except ConfigError as error:
        # Another version of amfzoo wrote it, or it was damaged on its way here: fetch it anew when that is possible.
        if record is None and not place.offline:
            evict(folder / CONFIG_FILE)
        raise ConfigError(f"{place.repo} at commit {commit}: {error}") from error
    except WeightsError as error:
        if record is not None and _agrees_with_itself(folder, place.files):
            raise WeightsError(
                f"{place.repo} at commit {commit}: {error} The files agree with each other and with what the server said, so "
                "the list of weights (weights_manifest.json, AMFZOO_MANIFEST) names others than this commit has: mend the list."
            ) from error
        kept = [str(folder / file) for file in place.files if not evict(folder / file)]
        done = f"Delete {' and '.join(kept)}" if kept else "The copy was removed from the cache"
        again = "try again without offline mode" if place.offline else "try again"
        after = f"{again}; if it repeats, the repository or the mirror serves wrong files"
        raise WeightsError(f"{place.repo} at commit {commit}: {error} ({done}; {after}.)") from error
    return Resolved(folder, record, f"{place.repo} at commit {commit}")


def _agrees_with_itself(folder: Path, files: tuple[str, ...]) -> bool:
    """Whether a commit is whole, whatever a list says of it."""
    try:
        _verify(folder, files, None)
    except (WeightsError, ConfigError):
        return False
    return True


def _verify(folder: Path, files: tuple[str, ...], record: WeightsRecord | None) -> None:
    expect = None if record is None else {name: record.files[name] for name in files if name in record.files}
    config = check_folder(folder, expect=expect)
    weights = folder / WEIGHTS_FILE
    # Large files are stored under their sha256: a third witness, of what the server said it sent.
    stored_as = os.path.basename(os.readlink(weights)) if weights.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", stored_as) and stored_as != config["weights"]["sha256"]:
        raise WeightsError(f"{weights} has sha256 {config['weights']['sha256']}, the server announced {stored_as}.")
