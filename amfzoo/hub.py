"""From a name to a verified model folder on this disk: bundled, local, or from a Hub.

HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_HUB_ETAG_TIMEOUT and
HF_HUB_DOWNLOAD_TIMEOUT are honoured. The client reads them when it is first imported, which
timm does, so set them before amfzoo is used; HF_HUB_OFFLINE counts whenever it is set. How
long things may take is said in `hub_fetch`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .checks import is_commit, is_repo_id
from .errors import ConfigError, UnknownModelError, WeightsError
from .folder import check_folder
from .folder_check import OutOfReachError, missing_folder
from .hub_examples import fetch_examples
from .hub_fetch import Place, cached_folder, download_card, evict, fetch, is_offline, remember, server_name
from .hub_push import push
from .manifest import CONFIG_FILE, WEIGHTS_FILE, FileRecord, Manifest, WeightsRecord, load_manifest

__all__ = ["HUB_PREFIX", "LOCAL_PREFIX", "Resolved", "download", "is_here", "push", "resolve"]

HUB_PREFIX = "hf-hub:"
LOCAL_PREFIX = "local-dir:"
# the page of a model's repository, or of a file in it, on its server
_PAGE = re.compile(r"(?!datasets/|spaces/)([^/?#]+/[^/?#]+)(?:/(?:tree|blob|resolve)/([^/?#]+))?(?:[/?#].*)?")

_log = logging.getLogger("amfzoo")


@dataclass(frozen=True)
class Resolved:
    """Where a name leads: the folder, its manifest record if it is listed, and words for a log."""

    folder: Path
    record: WeightsRecord | None
    description: str
    place: Place | None = field(default=None, compare=False)  # on a Hub
    card_asked: bool = field(default=False, compare=False)  # of the Hub, just now

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
    `cache_dir`, `local_files_only` and `token` are as of `create_model`; `manifest` is the list of weights that names
    lead to, by default the package's own.

    Raises UnknownModelError (no such name), ConfigError (an ill-formed name, manifest or
    config.json) or WeightsError (the files cannot be had, or are not the right ones).
    """
    if isinstance(name, os.PathLike):
        return _local(Path(name))
    if name.startswith(LOCAL_PREFIX):
        if not name[len(LOCAL_PREFIX) :].strip():
            raise ConfigError(f"{name!r} names no folder; write 'local-dir:/folder'.")
        return _local(Path(name[len(LOCAL_PREFIX) :]))
    manifest = load_manifest() if manifest is None else manifest
    if name.startswith(HUB_PREFIX):
        repo, revision = _parse_hub_name(name)
        place = _place(repo, revision, cache_dir, local_files_only, token)
        return _from_hub(place, manifest.find_hub(repo, revision), manifest)
    if manifest.find(name) is None and (os.sep in name or "/" in name):
        raise UnknownModelError(f"No model named {name!r}: {how_written(name)}.")
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
    """As `resolve`, verifying every kind of source, and with the golden outputs of a Hub's; returns the folder. Loads no torch.

    Args and errors are those of `resolve`.
    """
    found = resolve(name, cache_dir=cache_dir, local_files_only=local_files_only, token=token, manifest=manifest)
    check_folder(found.folder, expect=found.expect)
    if found.place is not None and not found.place.offline:
        if not found.card_asked:  # a download that was killed may have left it out
            download_card(found.place, found.folder.name)
        fetch_examples(found.place, found.folder)  # for `amfzoo verify`
    return found.folder


def how_written(name: str) -> str:
    """For messages: how the folder or repository is written that somebody named without its prefix. Only names that are taken."""
    server = f"{server_name().rstrip('/')}/"
    page = _PAGE.fullmatch(name.removeprefix(server)) if name.startswith(server) else None
    if page and is_repo_id(page[1]):
        return f"the repository of that page is written '{HUB_PREFIX}{page[1]}{f'@{page[2]}' if page[2] else ''}'"
    if re.match("[A-Za-z][A-Za-z_-]+:", name):  # another address, or a misspelt prefix; a drive has one letter
        return f"a folder is written '{LOCAL_PREFIX}/folder', a Hub repository '{HUB_PREFIX}organisation/name'"
    repository = f", a Hub repository '{HUB_PREFIX}{name}'" if is_repo_id(name.partition("@")[0]) else ""
    return f"a folder is written '{LOCAL_PREFIX}{name}'{repository}"


def name_without_place(folder: str | os.PathLike[str]) -> str:
    """The own name of a folder, given with or without "local-dir:": what others may read of it."""
    return Path(os.fspath(folder).removeprefix(LOCAL_PREFIX)).expanduser().absolute().name


def is_here(record: WeightsRecord, manifest: Manifest, *, cache_dir: str | os.PathLike[str] | None = None) -> bool:
    """Whether listed weights should be on this machine: they came with amfzoo, or lie in the Hub's cache. Asks no server."""
    if record.source.type == "hub":
        place = _place(record.source.repo, record.source.revision, cache_dir, local_files_only=True, token=None)
        return place.cached(WEIGHTS_FILE) is not None
    # a checkout has more weights than the installed package, which has all bundled ones
    return record.source.type == "bundled" or manifest.folder_of(record).is_dir()


def _local(folder: Path) -> Resolved:
    folder = Path(os.path.expanduser(folder)).absolute()
    if not os.path.isdir(folder):  # which raises nothing, however long the name is
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
    cache = None if cache_dir is None else Path(cache_dir).expanduser().absolute()
    token = token.strip() if isinstance(token, str) else token  # read from a file it has a line end
    return Place(repo, revision, cache, token, offline=local_files_only or is_offline())


def _from_hub(place: Place, record: WeightsRecord | None, manifest: Manifest) -> Resolved:
    if record is not None:
        place = replace(place, files=tuple(record.files))
    folder = cached_folder(place) if place.offline or is_commit(place.revision) else None
    card_asked = False
    if folder is None:
        folder, card_asked = fetch(place)
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
    except OutOfReachError as error:  # nothing is wrong with it, and it may be somebody else's
        raise WeightsError(f"{place.repo} at commit {commit}: {error}") from error
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
    if not place.offline:
        remember(folder, place.revision)
    return Resolved(folder, record, f"{place.repo} at commit {commit}", place, card_asked)


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
