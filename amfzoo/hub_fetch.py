"""Fetching the files of one model from a Hub into the client's cache, with bounded waits.

With the client's default timeouts of 10 s, which HF_HUB_ETAG_TIMEOUT and
HF_HUB_DOWNLOAD_TIMEOUT change: a server that refuses the connection is given up after
4 s, one that never answers after 25 s, one that goes away between two files after at
most 25 s, one that stalls within a file after 66 s, one that falls silent between two
files after 95 s. A server that asks for a pause of more than 5 s is not waited for:
the error says how long it wants. The card and the golden outputs, which nothing needs,
are given up after 5 s each.
"""

from __future__ import annotations

import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import ConfigError, WeightsError
from .files import replacing
from .folder import CARD_FILE
from .folder_check import read_config
from .hub_errors import (
    explain,
    explained,
    is_server_fault,
    is_unreachable,
    is_unwritable,
    pause_asked,
    retry_after,
    status_of,
)
from .hub_variables import check_variables
from .manifest import CONFIG_FILE, WEIGHTS_FILE

REQUIRED = (CONFIG_FILE, WEIGHTS_FILE)
_ATTEMPTS = 3
_ATTEMPTS_NEEDED = 5  # of a file without which there is no model, where the server answers that it is down or busy
_PATIENCE = 15.0  # seconds: no further attempt after that, so that a silent server costs two timeouts
_LONGEST_PAUSE = 5.0  # seconds a busy server may ask to wait; beyond it the user decides
PATIENCE_UNNEEDED = 5.0  # seconds for a file that nothing needs

_log = logging.getLogger("amfzoo")
# while files are fetched: until when, on the monotonic clock; without an end, as long as each request may take
_deadline: ContextVar[float | None] = ContextVar("amfzoo_deadline", default=None)
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A repository at a revision, and how to get at it."""

    repo: str
    revision: str
    cache_dir: Path | None
    token: str | bool | None
    offline: bool
    files: tuple[str, ...] = REQUIRED  # what a complete folder must have

    def cached(self, file: str, revision: str | None = None) -> Path | None:
        """The cached copy of `file`, found without any request."""
        from huggingface_hub import try_to_load_from_cache

        try:
            found = try_to_load_from_cache(
                self.repo, file, cache_dir=self.cache_dir, revision=revision or self.revision
            )
        except ValueError:  # the note of a branch's commit is no text, as after a power cut
            return None
        except OSError as error:  # a cache of somebody else's
            raise explain(error, self.failure(file)) from error
        # HF_HUB_CACHE may be relative, and what is printed is used from elsewhere
        return Path(found).absolute() if isinstance(found, str) else None

    def failure(self, file: str) -> str:
        return f"Cannot fetch {file} of {self.repo} (revision {self.revision}) from {server_name()}"


def server_name() -> str:
    """Address of the Hub in use, for messages: without a password that it may hold."""
    check_variables()
    from huggingface_hub import constants

    return re.sub("//[^/]*@", "//", constants.ENDPOINT)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE is set, be it after the client was imported."""
    check_variables()
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in constants.ENV_VARS_TRUE_VALUES


def cached_folder(place: Place) -> Path | None:
    """The snapshot folder that has all required files, found without any request."""
    paths = [place.cached(file) for file in place.files]
    return paths[0].parent if all(paths) else None


def fetch(place: Place) -> tuple[Path, bool]:
    """Bring all files of a model into the cache; returns their snapshot folder, named by its commit, and whether its card was
    asked for.

    A branch is resolved to a commit once. When its server is out of reach, the commit that
    the branch last had here is used, with a warning; that it has another now is for `remember`, once
    the files were checked. Of a repository whose config.json is not ours only that is fetched. Raises WeightsError.
    """
    if place.offline:
        from huggingface_hub.errors import OfflineModeIsEnabled

        raise explain(OfflineModeIsEnabled(), place.failure("the model")) from None
    try:
        # The client retries for minutes; this single request first finds out whether it is worth it.
        commit = patiently(lambda: _ask(place))
    except Exception as error:
        folder = cached_folder(place) if is_unreachable(error) else None
        if folder is None:
            raise explain(error, place.failure(CONFIG_FILE)) from error
        _log.warning("%s: %s; using the cached commit %s", *explained(error, place.failure(CONFIG_FILE)), folder.name)
        return folder, False
    fresh = place.cached(WEIGHTS_FILE, commit) is None
    try:
        config = download_file(place, CONFIG_FILE, commit)  # all files come from one commit, should the branch move now
        for file in place.files if _is_ours(config.parent) else ():
            if file != CONFIG_FILE:
                download_file(place, file, commit)
    except WeightsError as error:
        folder = cached_folder(place) if error.__cause__ is not None and is_unwritable(error.__cause__) else None
        if folder is None:
            raise
        _log.warning("%s; using the cached commit %s", error, folder.name)
        return folder, False
    if fresh:
        download_card(place, commit)
    return config.parent, fresh


def _is_ours(snapshot: Path) -> bool:
    """Whether the weights beside this config.json are worth fetching; if not, whoever checks the folder says why."""
    try:
        read_config(snapshot)
    except (ConfigError, WeightsError):
        return False
    return True


def remember(snapshot: Path, revision: str) -> None:
    """Note in the cache, as the client does, which commit a branch or tag is: of a snapshot that was checked, so that one which
    cannot be used here does not hide the one before."""
    if snapshot.name == revision:
        return
    reference = snapshot.parents[1] / "refs" / revision
    try:
        if not reference.is_file() or reference.read_bytes() != snapshot.name.encode():
            reference.parent.mkdir(parents=True, exist_ok=True)
            with replacing(reference) as unfinished:
                unfinished.write_text(snapshot.name)
    except OSError as error:  # a cache that cannot be written: offline the branch will not be known
        _log.debug("%s is not noted: %s", revision, error)


def _ask(place: Place) -> str:
    """The commit that the revision is now."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import FileMetadataError

    url = hf_hub_url(place.repo, CONFIG_FILE, revision=place.revision, endpoint=constants.ENDPOINT)
    answer = get_hf_file_metadata(url, token=place.token, timeout=constants.HF_HUB_ETAG_TIMEOUT, library_name="amfzoo")
    if answer.commit_hash is None:
        raise FileMetadataError("no commit in the answer")
    return answer.commit_hash


def download_file(place: Place, file: str, commit: str, seconds: float = math.inf) -> Path:
    """Bring one file of a commit into the cache, if it is not there, or give up after some seconds. Raises WeightsError."""
    try:
        with _limited(seconds):
            attempts = _ATTEMPTS_NEEDED if seconds == math.inf else _ATTEMPTS
            # the client repeats all but these by itself
            return Path(patiently(lambda: _from_client(place, file, commit), is_server_fault, attempts))
    except Exception as error:
        raise explain(error, place.failure(file)) from error


def download_card(place: Place, commit: str) -> None:
    """Bring the card of a commit into the cache, if it is not there and there may be one; no error if it does not come."""
    from huggingface_hub import try_to_load_from_cache

    if try_to_load_from_cache(place.repo, CARD_FILE, cache_dir=place.cache_dir, revision=commit) is not None:
        return  # it is there, or known not to exist
    try:
        with _limited(PATIENCE_UNNEEDED):
            _from_client(place, CARD_FILE, commit)
    except Exception as error:  # whatever the client raises: the card is not needed
        _log.debug("no model card: %s", explain(error, place.failure(CARD_FILE)))


def _from_client(place: Place, file: str, commit: str) -> str:
    from huggingface_hub import constants, hf_hub_download

    return hf_hub_download(
        place.repo,
        file,
        revision=commit,
        cache_dir=place.cache_dir,
        token=place.token,
        etag_timeout=constants.HF_HUB_ETAG_TIMEOUT,
        library_name="amfzoo",
    )


def patiently(
    request: Callable[[], T], worth: Callable[[BaseException], bool] = is_unreachable, attempts: int = _ATTEMPTS
) -> T:
    """Repeat a request that failed for a passing reason (`worth`), within `_PATIENCE` seconds."""
    start = time.monotonic()
    for attempt in range(1, attempts + 1):
        try:
            return request()
        except Exception as error:
            asked = retry_after(error)
            pause = float(attempt) if asked is None else asked
            late = time.monotonic() - start + pause > _PATIENCE
            if attempt == attempts or late or pause > _LONGEST_PAUSE or not worth(error):
                raise
            _log.info(
                "attempt %d failed (%s); again in %.0f s", attempt, status_of(error) or type(error).__name__, pause
            )
            time.sleep(pause)
    raise AssertionError("unreachable")


@contextmanager
def _limited(seconds: float = math.inf) -> Iterator[None]:
    """Inside it, the client's own retries keep to our limits, and end after some seconds where these are given.

    After a failed request the client asks again with a timeout of 60 s, and sleeps as
    long as a busy server tells it to, which may be an hour; a server with a fault it asks
    again for half a minute, which `patiently` does in 10 s. Its HTTP session is shared
    with the rest of the process, so the two hooks act only where `_deadline` is set.
    """
    from huggingface_hub import get_session

    hooks = get_session().event_hooks
    for event, hook in (("request", _cap_timeout), ("response", _refuse_fault)):
        if hook not in hooks[event]:
            hooks[event].append(hook)
    reset = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(reset)


def _cap_timeout(request: Any) -> None:
    from huggingface_hub import constants

    deadline = _deadline.get()
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise WeightsError("the time for it is over")
    limit = min(left, max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT))
    timeouts = request.extensions.get("timeout", {})
    timeouts.update({kind: limit if value is None else min(value, limit) for kind, value in timeouts.items()})


def _refuse_fault(response: Any) -> None:
    if _deadline.get() is None:
        return
    if response.status_code >= 500 or (response.status_code == 429 and (pause_asked(response) or 0) > _LONGEST_PAUSE):
        from huggingface_hub.utils import hf_raise_for_status

        hf_raise_for_status(response)  # what the client would raise after its last retry


def evict(pointer: Path) -> bool:
    """Remove a file of a snapshot and the blob behind it; False if that is not permitted."""
    cache = pointer.parents[3].resolve()  # <cache>/models--org--name/snapshots/<commit>/<file>
    links = [pointer]
    while links[-1].is_symlink() and len(links) < 5:
        links.append(Path(os.path.abspath(links[-1].parent.resolve() / os.readlink(links[-1]))))
    try:
        for path in links:
            if path.parent.resolve().is_relative_to(cache):
                path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
