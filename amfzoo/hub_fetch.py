"""Fetching the files of one model from a Hub into the client's cache, with bounded waits.

With the client's default timeouts of 10 s, which HF_HUB_ETAG_TIMEOUT and
HF_HUB_DOWNLOAD_TIMEOUT change: a server that refuses the connection is given up after
4 s, one that never answers after 25 s, one that goes away between two files after at
most 25 s, one that stalls within a file after 66 s, one that falls silent between two
files after 95 s. A server that asks for a pause of more than 5 s is not waited for:
the error says how long it wants.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .errors import WeightsError
from .folder import CARD_FILE
from .hub_errors import explain, explained, is_server_fault, is_unreachable, pause_asked, retry_after, status_of
from .manifest import CONFIG_FILE, WEIGHTS_FILE

REQUIRED = (CONFIG_FILE, WEIGHTS_FILE)
_ATTEMPTS = 3
_PATIENCE = 15.0  # seconds: no further attempt after that, so that a silent server costs two timeouts
_LONGEST_PAUSE = 5.0  # seconds a busy server may ask to wait; beyond it the user decides

_log = logging.getLogger("amfzoo")
_fetching: ContextVar[bool] = ContextVar("amfzoo_fetching", default=False)
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

        found = try_to_load_from_cache(self.repo, file, cache_dir=self.cache_dir, revision=revision or self.revision)
        return Path(found) if isinstance(found, str) else None

    def failure(self, file: str) -> str:
        return f"Cannot fetch {file} of {self.repo} (revision {self.revision}) from {server_name()}"


def server_name() -> str:
    """Address of the Hub in use, for messages: without a password that it may hold."""
    from huggingface_hub import constants

    return re.sub("//[^/]*@", "//", constants.ENDPOINT)


def cached_folder(place: Place) -> Path | None:
    """The snapshot folder that has all required files, found without any request."""
    paths = [place.cached(file) for file in place.files]
    return paths[0].parent if all(paths) else None


def fetch(place: Place) -> Path:
    """Bring all files of a model into the cache; returns their snapshot folder, named by its commit.

    A branch is resolved to a commit once. When its server is out of reach, the commit that
    the branch last had here is used, with a warning. Raises WeightsError.
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
        return folder
    config = _download(place, CONFIG_FILE, commit)  # all files come from one commit, should the branch move now
    fresh = place.cached(WEIGHTS_FILE, commit) is None
    for file in place.files:
        if file != CONFIG_FILE:
            _download(place, file, commit)
    if fresh and CARD_FILE not in place.files:
        _download_card(place, commit)
    if place.revision != commit:
        _download(place, CONFIG_FILE, place.revision)  # only now is this what the branch last had here
    return config.parent


def _ask(place: Place) -> str:
    """The commit that the revision is now."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import FileMetadataError

    url = hf_hub_url(place.repo, CONFIG_FILE, revision=place.revision, endpoint=constants.ENDPOINT)
    answer = get_hf_file_metadata(url, token=place.token, timeout=constants.HF_HUB_ETAG_TIMEOUT, library_name="amfzoo")
    if answer.commit_hash is None:
        raise FileMetadataError("no commit in the answer")
    return answer.commit_hash


def _download(place: Place, file: str, revision: str) -> Path:
    from huggingface_hub import constants, hf_hub_download

    def attempt() -> str:
        return hf_hub_download(
            place.repo,
            file,
            revision=revision,
            cache_dir=place.cache_dir,
            token=place.token,
            etag_timeout=constants.HF_HUB_ETAG_TIMEOUT,
            library_name="amfzoo",
        )

    try:
        with _limited():
            return Path(patiently(attempt, worth=is_server_fault))  # it repeats all but these by itself
    except Exception as error:
        raise explain(error, place.failure(file)) from error


def _download_card(place: Place, commit: str) -> None:
    try:
        _download(place, CARD_FILE, commit)
    except WeightsError as error:
        _log.debug("no model card: %s", error)


def patiently(request: Callable[[], T], worth: Callable[[BaseException], bool] = is_unreachable) -> T:
    """Repeat a request that failed for a passing reason (`worth`), within `_PATIENCE` seconds."""
    start = time.monotonic()
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return request()
        except Exception as error:
            asked = retry_after(error)
            pause = float(attempt) if asked is None else asked
            late = time.monotonic() - start + pause > _PATIENCE
            if attempt == _ATTEMPTS or late or pause > _LONGEST_PAUSE or not worth(error):
                raise
            _log.info(
                "attempt %d failed (%s); again in %.0f s", attempt, status_of(error) or type(error).__name__, pause
            )
            time.sleep(pause)
    raise AssertionError("unreachable")


@contextmanager
def _limited() -> Iterator[None]:
    """Inside it, the client's own retries keep to our limits.

    After a failed request the client asks again with a timeout of 60 s, and sleeps as
    long as a busy server tells it to, which may be an hour. Its HTTP session is shared
    with the rest of the process, so the two hooks act only where `_fetching` is set.
    """
    from huggingface_hub import get_session

    hooks = get_session().event_hooks
    for event, hook in (("request", _cap_timeout), ("response", _refuse_long_pause)):
        if hook not in hooks[event]:
            hooks[event].append(hook)
    reset = _fetching.set(True)
    try:
        yield
    finally:
        _fetching.reset(reset)


def _cap_timeout(request: Any) -> None:
    from huggingface_hub import constants

    if _fetching.get():
        limit = max(constants.HF_HUB_ETAG_TIMEOUT, constants.HF_HUB_DOWNLOAD_TIMEOUT)
        timeouts = request.extensions.get("timeout", {})
        timeouts.update({kind: limit if value is None else min(value, limit) for kind, value in timeouts.items()})


def _refuse_long_pause(response: Any) -> None:
    if _fetching.get() and response.status_code in (429, 503) and (pause_asked(response) or 0) > _LONGEST_PAUSE:
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
