"""A folder is a model: config.json, model.safetensors, README.md and example/.

What `write_folder` writes, a Hub repository and a `local-dir:` are the same thing.
This module knows plain dicts and state dicts, no networks. Nothing here unpickles.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .checks import is_plain_name
from .errors import ConfigError, WeightsError
from .files import FOLDER, NO_ROOM, beside, remove_left
from .folder_check import SCHEMA_VERSION, backup_of, check_folder, read_checked, read_config, sha256_of
from .manifest import CONFIG_FILE, WEIGHTS_FILE, FileRecord

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SCHEMA_VERSION", "LoadedFolder", "check_folder", "read_config", "read_folder", "sha256_of", "write_folder"]

CARD_FILE = "README.md"
# Values of a tensor that half precision may store. The small kernels near the image are a few per cent of the bytes,
# and their rounding, which every later layer amplifies, most of the change.
HALF_FROM = 16_384
EXAMPLE_FOLDER = "example"
GOLDEN_FILE = "golden.json"  # in it; see `inference.golden`
_REPLACED_IN = 0.2  # seconds, at most, between the two renames that replace a folder
_MET = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)  # what these end with where two processes meet at one folder
_ATTEMPTS = 20
_OURS = {CONFIG_FILE, WEIGHTS_FILE, CARD_FILE, EXAMPLE_FOLDER, ".gitattributes"}
_NOBODYS = {".DS_Store", "Thumbs.db", "desktop.ini"}  # which file browsers leave behind


@dataclass(frozen=True)
class LoadedFolder:
    """A verified model folder: its config, its tensors (CPU, never half precision), its path."""

    config: dict[str, Any]
    state: dict[str, Tensor]
    folder: Path


def read_folder(
    folder: str | os.PathLike[str], *, expect: Mapping[str, FileRecord | Mapping[str, Any]] | None = None
) -> LoadedFolder:
    """Verify a model folder and load it.

    `expect` maps file names to the sha256 and bytes that the manifest states; those of
    the weights are also compared with config.json, on every load and before parsing.
    The tensors are in memory of their own: what becomes of the file afterwards does not change them.
    Raises WeightsError (a file is missing, damaged or not the one expected) or
    ConfigError (config.json is not one this version understands).
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    root = Path(folder).expanduser()
    try:
        config, data = read_checked(root, expect=expect)
    except WeightsError:  # another process may be replacing the folder
        time.sleep(_REPLACED_IN)
        config, data = read_checked(root, expect=expect)
    try:
        state = load(data)
    except (SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{root / WEIGHTS_FILE} is not a readable safetensors file ({error}); write or download it again."
        ) from error
    return LoadedFolder(config=config, state={k: _single(t) for k, t in state.items()}, folder=root)


def write_folder(
    folder: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    state: Mapping[str, Tensor],
    card: str,
    half: bool = False,
    examples: Mapping[str, bytes | os.PathLike[str]] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a model folder, all of it or nothing; returns its path.

    A folder that cannot be replaced, since it is a mount point or the current folder, must be empty; it gets
    config.json, without which there is no model, last.

    `half` stores floating tensors of two or more dimensions and at least 16 384 values as
    float16 (small kernels, norm weights and statistics stay float32). `examples` maps file names in
    example/ to their bytes, or to a file to copy. An existing folder is replaced only
    with `overwrite`, and only if it holds nothing but a model; of several processes the last one's model stays.
    Raises WeightsError (the folder is in the way, the disk is full, a tensor does not
    fit or holds NaN) or ConfigError (`config` is not JSON).
    """
    from safetensors import SafetensorError

    target = Path(folder).expanduser().resolve()
    stays = os.path.isdir(target) and must_stay(target)
    temporary = work_folder(target, stays)
    try:
        if stays:
            _check_empty(target)
        else:
            _meeting(partial(_free, target, overwrite))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        _fill(temporary, dict(config), state, card, half, examples or {})
        if stays:
            move_into(temporary, target, last=CONFIG_FILE)
        else:
            _meeting(partial(_replace, temporary, target, overwrite))
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) in NO_ROOM or "No space left" in str(error)
        reason = "the disk is full" if full else str(error)
        raise WeightsError(
            f"Cannot write the model folder {target}: {reason}. What was there before is unchanged."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _fill(
    folder: Path,
    config: dict[str, Any],
    state: Mapping[str, Tensor],
    card: str,
    half: bool,
    examples: Mapping[str, Any],
) -> None:
    from safetensors.torch import save_file

    tensors = {name: _stored(name, tensor, half) for name, tensor in state.items()}
    weights = folder / WEIGHTS_FILE
    # One metadata key keeps the bytes, and so the sha256, the same from save to save.
    save_file(tensors, weights, metadata={"format": "pt"})
    config["weights"] = {"file": WEIGHTS_FILE, "sha256": sha256_of(weights), "bytes": weights.stat().st_size}
    try:
        text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"The configuration cannot be written as JSON: {error}") from error
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    if examples:
        (folder / EXAMPLE_FOLDER).mkdir()
    for name, content in examples.items():
        if not is_plain_name(name):
            raise ConfigError(f"Example file name {name!r} must be a plain file name.")
        data = content if isinstance(content, bytes) else Path(content).read_bytes()
        (folder / EXAMPLE_FOLDER / name).write_bytes(data)
    # safetensors writes 0600, useless on a shared drive; of the others the user's umask decides
    weights.chmod(stat.S_IMODE((folder / CONFIG_FILE).stat().st_mode))
    for file in folder.rglob("*"):
        if file.is_file():
            flush(file)


def _stored(name: str, tensor: Tensor, half: bool) -> Tensor:
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.is_meta or tensor.layout != torch.strided:
        raise WeightsError(f"{name!r} is not a dense tensor with values and cannot be saved.")
    copy = tensor.detach().to("cpu", copy=True).contiguous()
    if copy.is_floating_point() and torch.isnan(copy).any():
        raise WeightsError(f"{name!r} holds NaN, as after a training that diverged; such weights are not saved.")
    if half and copy.is_floating_point() and copy.ndim > 1 and copy.numel() >= HALF_FROM:
        rounded = copy.to(torch.float16)
        if torch.isinf(rounded).sum() != torch.isinf(copy).sum():
            raise WeightsError(f"{name!r} holds values beyond the range of float16; save with half=False.")
        return rounded
    return copy


def _single(tensor: Tensor) -> Tensor:
    import torch

    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def flush(file: Path) -> None:
    """Bring a file to the disk."""
    # Without it a power cut after the rename can leave the new name on empty files.
    with open(file, "r+b") as handle:  # Windows flushes nothing that cannot be written
        os.fsync(handle.fileno())


def _meeting(action: Callable[[], None]) -> None:
    """Do what other processes may disturb that write the same folder; they are through in milliseconds, and then once more."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return action()
        except OSError as error:
            if error.errno not in _MET:
                raise
        time.sleep(random.uniform(0, _REPLACED_IN))
    action()


def _free(target: Path, overwrite: bool) -> None:
    recover(target)
    check_replaceable(target, overwrite)


def _replace(temporary: Path, target: Path, overwrite: bool) -> None:
    """Rename `temporary` to `target`; an old `target` is removed only after that."""
    _free(target, overwrite)  # another process may have written there meanwhile
    if not target.exists():
        temporary.rename(target)
        return
    backup = backup_of(target)
    shutil.copymode(target, temporary)
    target.rename(backup)
    try:
        temporary.rename(target)
    except BaseException:  # an interrupt from the keyboard too
        with suppress(OSError):  # another process put it back, or its own model there
            backup.rename(target)
        raise
    shutil.rmtree(backup, ignore_errors=True)


def work_folder(target: Path, stays: bool) -> Path:
    """Where to make what becomes the folder `target`: beside it, or in it if it stays; not made yet, while what killed processes left
    there is removed."""
    work = beside(target / target.name if stays else target, FOLDER)
    remove_left(work.parent)
    return work


def must_stay(folder: Path) -> bool:
    """Whether a folder is one that no other may take the place of."""
    try:
        current = Path.cwd()
    except OSError:  # it was removed
        return os.path.ismount(folder)
    return os.path.ismount(folder) or current.is_relative_to(folder)


def _check_empty(target: Path) -> None:
    """Raise WeightsError unless a folder that stays has nothing in it."""
    if found := sorted({child.name for child in target.iterdir()} - _NOBODYS):
        raise WeightsError(
            f"{target} is the current folder, or a disk of its own, and cannot be replaced as a whole; name a folder in it, "
            f"or empty it ({', '.join(found[:5])})."
        )


def move_into(temporary: Path, target: Path, *, last: str) -> None:
    """Rename the files of `temporary` into `target`, the one named `last` at the end, and back after an error."""
    moved: list[Path] = []
    try:
        for child in sorted(temporary.iterdir(), key=lambda path: path.name == last):
            child.rename(target / child.name)
            moved.append(child)
    except BaseException:
        for child in moved:
            (target / child.name).rename(child)
        raise


def recover(target: Path) -> None:
    """Put right a replacement that was killed between its two renames, or just after."""
    backup = backup_of(target)
    if not os.path.isdir(backup):
        return
    if target.exists():
        shutil.rmtree(backup, ignore_errors=True)
    else:
        backup.rename(target)


def check_replaceable(target: Path, overwrite: bool) -> None:
    """Raise WeightsError unless a model folder may be written there."""
    if not target.exists():
        return
    if not target.is_dir():
        raise WeightsError(f"{target} is a file; name a folder to write the model to.")
    found = {child.name for child in target.iterdir()} - _NOBODYS
    if found and not overwrite:
        raise WeightsError(
            f"{target} exists already; pass overwrite=True to replace the model in it, or name another folder."
        )
    foreign = sorted(found - _OURS)
    if foreign:
        shown = ", ".join(foreign[:5])
        raise WeightsError(
            f"{target} also holds files that are no part of a model ({shown}); they would be lost. Name another folder."
        )
