"""ONNX graphs that were made before: making one takes seconds, reading it milliseconds.

They lie in ``$AMFZOO_CACHE/graphs`` (default ``~/.cache/amfzoo/graphs``), under a hash of
all that they are made from and one of the graph itself, so that a damaged file is noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__
from ..files import replacing
from ..fingerprint import fingerprint
from .base import require
from .graph import making, onnx_graph

if TYPE_CHECKING:
    from ..models.network import PairNetwork

logger = logging.getLogger("amfzoo")
_KEPT = 16  # graphs; the one that was not used for longest goes first


def cached_onnx_graph(network: PairNetwork) -> bytes:
    """`onnx_graph`, from the cache where it is there; a cache that cannot be used is done without.

    Raises:
        ConfigError: as `onnx_graph`.
    """
    require(("onnx", "onnxscript"), "onnx", "an ONNX graph")
    key = _key(network)
    found = _kept(key)
    if found is not None:
        return found
    with making:
        found = _kept(key)  # another thread may have made it meanwhile
        if found is None:
            found = onnx_graph(network)
            folder = cache_folder()
            if folder is not None:
                try:
                    _store(folder / _name(key, found), found)
                except OSError as error:
                    _say_once(str(folder), error.strerror or str(error))
    return found


@lru_cache
def _say_once(folder: str, reason: str) -> None:
    logger.warning(
        "the graph cannot be kept in %s (%s), so it is made anew whenever it is wanted, which takes seconds: set AMFZOO_CACHE to "
        "a folder that can be written",
        *(folder, reason),
    )


def _kept(key: str) -> bytes | None:
    for file in _files(key):
        with contextlib.suppress(OSError):
            content = file.read_bytes()
            if file.name == _name(key, content):
                with contextlib.suppress(OSError):  # a cache to be read alone
                    os.utime(file)  # used now
                return content
    return None


def forget(network: PairNetwork) -> None:
    """Remove the network's graph from the cache."""
    try:
        key = _key(network)
    except PackageNotFoundError:  # without onnx no graph was made here
        return
    for file in _files(key):
        with contextlib.suppress(OSError):
            file.unlink()


def cache_folder() -> Path | None:
    """Where graphs are kept; it need not exist. None where that is below the home of a user who has none."""
    root = os.environ.get("AMFZOO_CACHE")
    if not root:
        root = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "amfzoo"
    try:
        return Path(root).expanduser() / "graphs"
    except RuntimeError:  # no home directory
        return None


def _files(key: str) -> list[Path]:
    folder = cache_folder()
    if folder is not None:
        with contextlib.suppress(OSError):
            return list(folder.glob(f"{key}-*.onnx"))
    return []


def _name(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()[:16]}.onnx"


def _key(network: PairNetwork) -> str:
    """A hash of everything that shapes the graph: settings, weights, and the programs that make it."""
    config = network.config.to_dict()
    made_from = {
        "network": {name: config[name] for name in ("architecture", "network", "preprocessing", "tasks")},
        "weights": fingerprint(network),
        "amfzoo": __version__,
        "paths": False,  # of this machine, which graphs had before
        **{name: version(name) for name in ("torch", "timm", "onnx", "onnxscript")},
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _store(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as partial:
        partial.write_bytes(content)
    by_use = sorted(file.parent.glob("*.onnx"), key=lambda path: path.stat().st_mtime)
    for old in by_use[:-_KEPT]:
        old.unlink(missing_ok=True)
