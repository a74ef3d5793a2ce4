"""Decoded pictures of one branch: in memory, in a memory-mapped file, or decoded when needed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError
from ..files import FILE, NO_ROOM, remove_left, replacing
from ..images import Preprocess
from .errors import TrainingError

_VERSION = 1  # of the files; other numbers are not read
_RESERVE = 1 << 30  # bytes of disk that stay free
_DEVICE_SHARE = 0.1  # of a device's free memory, at most, for decoded pictures; the rest is for training

# limit and use of memory of the container that the process may be in (cgroups, version 2 and 1)
_CONTAINER = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)

Progress = Callable[[Iterable[Any], str, int], Iterable[Any]]


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of one branch are, and what is to become of them.

    Attributes:
        branch: for messages.
        names: N lesion ids.
        paths: N image files, None where there is none.
        preprocess: its `resized` is what is stored.
    """

    branch: str
    names: Sequence[str]
    paths: Sequence[Path | None]
    preprocess: Preprocess

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.paths), *self.preprocess.size, 3)

    @property
    def bytes(self) -> int:
        return int(np.prod(self.shape))

    def decode(self, row: int) -> np.ndarray:
        """(H, W, 3) uint8; zeros where there is no image.

        Raises:
            ImageError: the file cannot be read; the message names the lesion.
        """
        path = self.paths[row]
        if path is None:
            return np.zeros(self.shape[1:], np.uint8)
        try:
            return self.preprocess.resized(path)
        except ImageError as error:
            raise ImageError(f"lesion {self.names[row]!r}, {self.branch} image: {error}") from error

    def key(self) -> str:
        """A hash that changes when a file, its place, or the preprocessing does."""
        files = []
        for path in self.paths:
            try:
                stat = None if path is None else os.stat(path)
            except OSError:  # decoding will say what is wrong
                stat = None
            files.append(
                [None if path is None else os.path.abspath(path), stat and stat.st_mtime_ns, stat and stat.st_size]
            )
        geometry = {name: value for name, value in self.preprocess.to_dict().items() if name not in ("mean", "std")}
        return hashlib.sha256(json.dumps([_VERSION, geometry, files]).encode()).hexdigest()[:24]


class PixelStore:
    """Rows of pictures, whichever way they are kept.

    Attributes:
        bad: row -> why its image cannot be read; empty for rows that were never tried.
        cached: whether the pictures are kept decoded.
    """

    def __init__(self, pictures: Pictures, array: np.ndarray | None, bad: dict[int, str], workers: int) -> None:
        self._pictures, self._array, self._workers = pictures, array, workers
        self._on_device: Tensor | None = None
        self.bad, self.cached = bad, array is not None

    @property
    def bytes(self) -> int:
        return self._pictures.bytes

    def move(self, device: torch.device) -> None:
        """Keep a copy of the decoded pictures on a device; nothing where they are not decoded."""
        if self._array is not None:
            self._on_device = torch.empty(self._array.shape, dtype=torch.uint8, device=device)
            for first in range(0, len(self._array), 256):  # a memory-mapped file need not fit into memory
                part = np.array(self._array[first : first + 256])
                self._on_device[first : first + 256] = torch.from_numpy(part).to(device)

    def tensor(self, rows: np.ndarray) -> Tensor:
        """(B,) indices -> (B, H, W, 3) uint8, where the pictures are.

        Raises:
            ImageError: an image cannot be read.
        """
        if self._on_device is None:
            return torch.from_numpy(self.rows(rows))
        return self._on_device.index_select(0, torch.from_numpy(rows).to(self._on_device.device))

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """(B,) indices -> (B, H, W, 3) uint8.

        Raises:
            ImageError: an image cannot be read.
        """
        if self._array is not None:
            return np.ascontiguousarray(self._array[rows])
        try:
            with ThreadPoolExecutor(self._workers) as pool:
                return np.stack(list(pool.map(self._pictures.decode, rows.tolist())))
        except ImageError as error:
            raise _with_remedy(error) from error


def open_store(
    pictures: Pictures,
    *,
    cache: bool,
    folder: Path | None,
    workers: int,
    find_bad: bool,
    progress: Progress | None = None,
) -> PixelStore:
    """Decode all pictures once, or find them decoded.

    Args:
        cache: keep them; without it nothing is decoded here, unless `find_bad`.
        folder: of the memory-mapped file; None keeps them in memory.
        workers: threads that decode.
        find_bad: note unreadable images in `PixelStore.bad` instead of raising.

    Raises:
        ImageError: an image cannot be read, and `find_bad` is false.
        TrainingError: the folder cannot be written.
    """
    if not cache or not len(pictures.paths):
        bad = _decode_all(pictures, None, workers, find_bad, progress) if find_bad else {}
        return PixelStore(pictures, None, bad, workers)
    if folder is None:
        array = np.zeros(pictures.shape, np.uint8)
        return PixelStore(pictures, array, _decode_all(pictures, array, workers, find_bad, progress), workers)
    target = folder / f"{pictures.branch}-{pictures.key()}.npy"
    try:
        array, bad = _open_file(pictures, target, workers, find_bad, progress)
    except OSError as error:
        raise TrainingError(
            f"the decoded pictures cannot be kept in {folder}: {error.strerror or error}; "
            "set cache_dir to another folder, or to null"
        ) from error
    return PixelStore(pictures, array, bad, workers)


def fits_on(device: torch.device, bytes_needed: int) -> bool:
    """Whether decoded pictures may be kept on a device besides: on a CUDA device with plenty of free memory."""
    return device.type == "cuda" and bytes_needed < _DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]


def fits(bytes_needed: int, budget_gb: float, folder: Path | None) -> bool:
    """Whether decoded pictures fit the budget and the memory or disk that is free now."""
    if bytes_needed > budget_gb * 1e9:
        return False
    if folder is not None:
        return True  # `_open_file` looks, since the file may be there already
    import psutil  # comes with accelerate

    free = psutil.virtual_memory().available
    for limit, used in _CONTAINER:
        with suppress(OSError, ValueError):  # no such file, or "max": no limit
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
    return bytes_needed < 0.8 * free


def _open_file(
    pictures: Pictures, target: Path, workers: int, find_bad: bool, progress: Progress | None
) -> tuple[np.ndarray, dict[int, str]]:
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    faults = target.with_suffix(".bad.json")
    with FileLock(target.with_suffix(".lock")):  # another run may want the same pictures
        if not target.exists():
            free = shutil.disk_usage(target.parent).free
            if pictures.bytes + _RESERVE > free:
                raise TrainingError(
                    f"the decoded pictures need {pictures.bytes / 1e9:.1f} GB in {target.parent}, where {free / 1e9:.1f} GB "
                    "are free; make room, or set another cache_dir"
                )
            remove_left(target.parent, f".{target.name}.*.{FILE}")  # whoever wrote there held the lock
            with replacing(target) as partial:
                array = np.lib.format.open_memmap(partial, "w+", np.uint8, pictures.shape)
                _take_room(partial)
                bad = _decode_all(pictures, array, workers, find_bad, progress)
                array.flush()
                del array  # Windows renames no file that is still mapped
                faults.write_text(json.dumps(bad), encoding="utf-8")  # before the rename, which says that all is there
        bad = {int(row): reason for row, reason in json.loads(faults.read_text(encoding="utf-8")).items()}
    if bad and not find_bad:
        raise _with_remedy(next(iter(bad.values())))
    return np.load(target, mmap_mode="r"), bad


def _take_room(file: Path) -> None:
    """Take the room of a file of holes now, where the system can: a mapped page that finds none later ends the process, and what is
    free on the disk does not tell what others, or a quota, will take."""
    if hasattr(os, "posix_fallocate"):
        with open(file, "r+b") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
            except OSError as error:
                if error.errno in NO_ROOM:
                    raise


def _with_remedy(problem: ImageError | str) -> ImageError:
    """For a run that an image ends; where lesions are left out, the advice is taken already."""
    return ImageError(
        f"{problem}. `amfzoo data check` lists all of these; --set on_bad_image=skip leaves such lesions out"
    )


def _decode_all(
    pictures: Pictures, into: np.ndarray | None, workers: int, find_bad: bool, progress: Progress | None
) -> dict[int, str]:
    bad: dict[int, str] = {}

    def store(row: int) -> None:
        try:
            pixels = pictures.decode(row)
        except ImageError as error:
            if not find_bad:
                raise _with_remedy(error) from error
            bad[row] = str(error)
            return
        if into is not None:
            into[row] = pixels

    pool = ThreadPoolExecutor(workers)
    try:
        done: Iterable = pool.map(store, range(len(pictures.paths)))
        if progress:
            done = progress(done, f"decoding {pictures.branch} images", len(pictures.paths))
        for _ in done:
            pass
    finally:
        pool.shutdown(cancel_futures=True)  # after an error the rest is not worth decoding
    return dict(sorted(bad.items()))
