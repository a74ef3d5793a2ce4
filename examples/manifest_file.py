"""A change of `weights_manifest.json`, for the scripts that release weights and measure them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amfzoo.files import replacing
from amfzoo.folder import sha256_of
from amfzoo.manifest import load_manifest


@contextmanager
def changing(path: Path) -> Iterator[dict[str, Any]]:
    """The manifest's values, to be changed in the scope; written at its end, whole and checked, or not at all.

    Raises:
        ConfigError: what it became is no manifest; the old one stays.
    """
    manifest = json.loads(path.read_text(encoding="utf-8"))
    yield manifest
    with replacing(path) as partial:
        partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        load_manifest(partial)


def entry_of(file: Path) -> dict[str, Any]:
    """What the manifest states of a file."""
    return {"sha256": sha256_of(file), "bytes": file.stat().st_size}
