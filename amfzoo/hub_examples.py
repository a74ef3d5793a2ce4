"""The golden outputs of a model on a Hub, which an explicit download brings along for `amfzoo verify`."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

from .checks import is_commit, is_plain_name, is_sha256
from .errors import WeightsError
from .folder import EXAMPLE_FOLDER, GOLDEN_FILE
from .folder_check import sha256_of
from .hub_fetch import PATIENCE_UNNEEDED, Place, download_file, evict

_PICTURES = (".jpg", ".png", ".webp", ".tif", ".bmp", ".gif")

_log = logging.getLogger("amfzoo")


def fetch_examples(place: Place, folder: Path) -> None:
    """Bring the golden outputs of a commit that is in the cache as well, and their images; no error if there are none.

    Args:
        folder: its snapshot.
    """
    from huggingface_hub import try_to_load_from_cache

    golden = f"{EXAMPLE_FOLDER}/{GOLDEN_FILE}"
    known = try_to_load_from_cache(place.repo, golden, cache_dir=place.cache_dir, revision=folder.name)
    if known is not None and not isinstance(known, str):
        return  # the cache knows that there is no such file
    try:
        found = json.loads(_have(place, folder, golden).read_text(encoding="utf-8"))
        for name in filter(is_plain_name, found.values()):
            if name.endswith(_PICTURES):
                _have(place, folder, f"{EXAMPLE_FOLDER}/{name}")
    except (WeightsError, ValueError, AttributeError, OSError, RecursionError) as error:
        _log.debug("no golden outputs: %s", error)


def _have(place: Place, folder: Path, file: str) -> Path:
    """A file of the commit, fetched if the cache does not have it as it was sent."""
    path = folder / file
    if path.is_file() and not _is_as_sent(path):
        evict(path)
    return path if path.is_file() else download_file(place, file, folder.name, PATIENCE_UNNEEDED)


def _is_as_sent(path: Path) -> bool:
    """Whether a copy is what the cache stores it as: large files under their sha256, small ones under git's name of them."""
    stored_as = os.path.basename(os.readlink(path)) if path.is_symlink() else ""
    if is_sha256(stored_as):
        return sha256_of(path) == stored_as
    data = path.read_bytes()
    return not is_commit(stored_as) or hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == stored_as
