"""Verifying a model folder: config.json of a known version, weights that are the recorded ones.

No tensor is loaded and no torch imported here.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .checks import is_count, is_plain_name, is_sha256
from .errors import ConfigError, WeightsError
from .manifest import CONFIG_FILE, WEIGHTS_FILE, FileRecord

SCHEMA_VERSION = 1
_LFS = b"version https://git-lfs"  # how a pointer starts
_CHUNK = 256 * 1024  # bytes; stays in the processor's cache


class OutOfReachError(WeightsError):
    """A file that is there, but cannot be read from here: which says nothing against it."""


def sha256_of(path: str | os.PathLike[str]) -> str:
    """sha256 of a file as 64 hex digits, read in pieces of 256 KiB."""
    digest = hashlib.sha256()
    piece = memoryview(bytearray(_CHUNK))
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(piece):
            digest.update(piece[:size])
    return digest.hexdigest()


def check_folder(
    folder: str | os.PathLike[str], *, expect: Mapping[str, FileRecord | Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Verify a folder as `read_folder` does, loading no tensor (and no torch); returns its config."""
    return _checked(folder, expect, sha256_of)


def read_checked(
    folder: str | os.PathLike[str], *, expect: Mapping[str, FileRecord | Mapping[str, Any]] | None = None
) -> tuple[dict[str, Any], bytes]:
    """The config of a folder and the bytes of its weights, the very ones that were verified."""
    read: list[bytes] = []

    def sha256_of_bytes(path: Path) -> str:
        read.append(path.read_bytes())
        return hashlib.sha256(read[-1]).hexdigest()

    return _checked(folder, expect, sha256_of_bytes), read[-1]


def _checked(
    folder: str | os.PathLike[str],
    expect: Mapping[str, FileRecord | Mapping[str, Any]] | None,
    weights_sha256: Callable[[Path], str],
) -> dict[str, Any]:
    """The config of a folder that is right; its weights are read by `weights_sha256`, once."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise WeightsError(missing_folder(root))
    records = {name: _file_record(value) for name, value in (expect or {}).items()}
    for name, record in records.items():
        if name != WEIGHTS_FILE:
            _verify(_member(root, name), record, "the weights manifest")
    config = read_config(root)
    own = _own_record(config["weights"])
    path = _member(root, WEIGHTS_FILE)
    if WEIGHTS_FILE in records:
        _verify(path, records[WEIGHTS_FILE], "the weights manifest", weights_sha256)
        if own != records[WEIGHTS_FILE]:
            raise WeightsError(
                f"{root / CONFIG_FILE} records other weights ({own.sha256}) than the weights manifest lists."
            )
    else:
        _verify(path, own, CONFIG_FILE, weights_sha256)
    return config


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """config.json of a model folder, its version and its record of the weights checked."""
    path = _member(Path(folder).expanduser(), CONFIG_FILE)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or a number of thousands of digits
        raise WeightsError(f"{path} is not readable JSON ({error}); write or download the folder again.") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} must hold a JSON object, got {type(config).__name__}.")
    version = config.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ConfigError(f"{path} has schema_version {version!r}; it was not written by amfzoo's save_pretrained.")
    if version > SCHEMA_VERSION:
        raise ConfigError(
            f"{path} has schema_version {version}, this amfzoo reads up to {SCHEMA_VERSION}: "
            "upgrade it (pip install --upgrade amfzoo)."
        )
    _own_record(config.get("weights"), path)
    return config


def _member(folder: Path, name: str) -> Path:
    """Path of a file that must be in `folder`, links followed; WeightsError if it is not."""
    if not is_plain_name(name):
        raise WeightsError(f"{name!r} is not a plain file name in {folder}.")
    path = folder / name
    try:
        there = path.is_file()
    except OSError as error:  # a folder on the way may not be entered
        raise _unreadable(path, error) from error
    if not there:
        others = sorted(p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"))
        pickled = f" {', '.join(others)} will not be read: pickle files can run code." if others else ""
        state = "is a link to a file that is missing" if path.is_symlink() else "is missing"
        run = (folder / "model" / CONFIG_FILE).is_file()  # the folder of a run of `amfzoo train`, which has it there
        mend = f"that is {folder / 'model'}." if run else "write or download it again."
        raise WeightsError(f"{path} {state}.{pickled} A model folder holds {CONFIG_FILE} and {WEIGHTS_FILE}; {mend}")
    return inside(folder, path)


def inside(folder: Path, path: Path) -> Path:
    """`path`, if it does not lead out of the model folder; WeightsError if a link there does."""
    real = path.resolve()
    if not any(real.is_relative_to(allowed) for allowed in _allowed_roots(folder)):
        raise OutOfReachError(f"{path} links to {real}, outside its folder; put the file itself in the folder.")
    return path


def _allowed_roots(folder: Path) -> list[Path]:
    real = folder.resolve()
    roots = [real]
    # In the Hub's cache, snapshots/<commit>/ links to blobs/ of the repository or of the whole cache.
    storage = real.parent.parent
    if real.parent.name == "snapshots" and storage.name.startswith("models--"):
        roots += [(storage / "blobs").resolve(), (storage.parent / "blobs").resolve()]
    return roots


def _verify(path: Path, record: FileRecord, stated_by: str, sha256: Callable[[Path], str] = sha256_of) -> None:
    size = path.stat().st_size
    if size != record.bytes and _is_pointer(path):
        raise WeightsError(
            f"{path} is a pointer of Git LFS, not the file itself: run `git lfs install` and `git lfs pull` in the clone."
        )
    if size != record.bytes:
        state = "truncated" if size < record.bytes else "not the file expected"
        raise WeightsError(
            f"{path} is {state}: {size} bytes, {stated_by} says {record.bytes}. Write or download it again."
        )
    try:
        found = sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if found != record.sha256:
        raise WeightsError(
            f"{path} is damaged or altered: its sha256 is {found}, {stated_by} says {record.sha256}. "
            "Do not use it; write or download it again."
        )


def _unreadable(path: Path, error: OSError) -> OutOfReachError:
    return OutOfReachError(f"{path} cannot be read ({error.strerror or error}); check its permissions.")


def _is_pointer(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def _own_record(weights: Any, path: Path | None = None) -> FileRecord:
    name = path or CONFIG_FILE
    keys = ("file", "sha256", "bytes")
    if not isinstance(weights, Mapping) or any(key not in weights for key in keys):
        raise ConfigError(f"{name} lacks 'weights' with {', '.join(keys)}; write the folder with save_pretrained.")
    file, sha256, size = (weights[key] for key in keys)
    if file != WEIGHTS_FILE:
        raise ConfigError(
            f"{name}: weights.file must be {WEIGHTS_FILE!r}, got {file!r}; no other file or format is read "
            "(pickle files can run code)."
        )
    if not is_sha256(sha256) or not is_count(size):
        raise ConfigError(f"{name}: weights.sha256 must be 64 hex digits and weights.bytes a positive number.")
    return FileRecord(sha256=sha256, bytes=size)


def _file_record(value: FileRecord | Mapping[str, Any]) -> FileRecord:
    return value if isinstance(value, FileRecord) else FileRecord(sha256=value["sha256"], bytes=value["bytes"])


def missing_folder(folder: Path) -> str:
    backup = backup_of(folder)
    if os.path.isdir(backup):
        return (
            f"{folder} is missing: a write was interrupted. The previous model is intact in {backup}: rename it back."
        )
    kind = "is not a folder" if os.path.exists(folder) else "does not exist"
    return f"The model folder {folder} {kind}; name the folder that holds {CONFIG_FILE} and {WEIGHTS_FILE}."


def backup_of(target: Path) -> Path:
    """Where the old model waits while a new one takes its place."""
    return target.with_name(f".{target.name}.previous")
