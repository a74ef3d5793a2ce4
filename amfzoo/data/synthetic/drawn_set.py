"""`draw_set`: a whole data set of drawn pairs with all eight tasks of Derm7pt and known truth."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from amfzoo.errors import ConfigError
from amfzoo.files import remove_left

from ..readers.derm7pt import INDEX_FILE, index_splits
from ..records import SPLITS
from .case import Case, Files, write_case, write_whole
from .label_statistics import Labels, bundled_counts, draw_from_counts, draw_from_table, read_label_table
from .pair import check_size
from .raster import stream
from .tables import RELEASE, write_lesions, write_release, write_truth

LAYOUTS = ("csv", "derm7pt")
SETTINGS_FILE = "drawn.json"
_RENDERER = 1  # changes whenever the same seed gives other pictures
_SEEDS_APART = 10_000_000  # seeds of cases of two sets are different up to so many cases
_FEW = 24  # cases for which a second process does not pay

Progress = Callable[[Iterable, str, int], Iterable]


def draw_set(
    folder: str | os.PathLike[str],
    count: int | None = None,
    *,
    seed: int = 0,
    labels: str | os.PathLike[str] | None = None,
    every_row: bool = False,
    layout: str = "csv",
    size: tuple[int, int] = (256, 192),
    valid: float = 0.2,
    test: float = 0.4,
    workers: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Draw pairs into a folder; the same call goes on where a stopped one ended.

    Case i depends on the settings and i alone: on no other case, on neither `count` nor
    `workers`, so that a set can be made longer by a call with a larger count. The folder
    gets ``masks/`` and ``truth.csv`` (where each finding lies, see `truth` and `case`) and,
    when all pictures are there, its table. Drawn lesions are not real.

    Args:
        folder: made if missing; must be empty, or hold a set of the same settings.
        count: cases; default 1011, or the rows of `labels` with `every_row`.
        seed: another one gives other lesions.
        labels: table with Derm7pt's label columns, such as its meta.csv, from whose rows
            labels are drawn; None: from counts that come with the package.
        every_row: take the rows of `labels` one by one instead, and the splits of the index
            files beside it, if they are there.
        layout: "csv" (``lesions.csv``) or "derm7pt" (``release_v0`` as its publisher's).
        size: (width, height) of each picture in pixels.
        valid, test: chance of a case to be in these splits; the others are for training.
        workers: processes; 0 is one per core.
        progress: wraps the iterable of cases; called with it, a title and the count.

    Returns:
        What to read: the table, or release_v0.

    Raises:
        ConfigError: a setting is wrong, one of the index files is missing or cannot be read,
            `folder` holds something else, or cannot be written.
    """
    rows = read_label_table(labels) if labels is not None else None
    count = _check(count, seed, rows, every_row, layout, valid, test)
    size = check_size(size)
    root = Path(folder).expanduser()
    settings = {
        "renderer": _RENDERER, "seed": seed, "size": list(size), "layout": layout, "valid": valid, "test": test,
        "every_row": every_row, "labels": "bundled" if labels is None else _digest(rows),
    }  # fmt: skip
    splits = _given_splits(Path(labels).expanduser().parent, len(rows)) if every_row and rows is not None else None
    prefix = "" if layout == "csv" else f"{RELEASE}/images/"
    cases = [(case, Files.of(case.number, prefix)) for case in _cases(count, settings, rows, splits)]
    try:
        _open(root, settings, prefix)
        tasks = [(root, case, files, size) for case, files in cases]
        done = _drawn(tasks, workers or min(os.cpu_count() or 1, 61))  # more processes than Windows waits for
        truth = [row for found in (progress(done, "drawing", count) if progress else done) for row in found]
        write_truth(root, truth)
        return write_lesions(root, cases) if layout == "csv" else write_release(root, cases)
    except OSError as error:
        raise ConfigError(
            f"{root}: the pictures cannot be written: {error.strerror or error}; mend that, and the same call goes on"
        ) from error
    except BrokenProcessPool as error:
        raise ConfigError(f"{root}: a drawing process was ended from outside; the same call goes on") from error


def _cases(
    count: int, settings: Mapping[str, Any], rows: Sequence[Labels] | None, splits: Mapping[int, str] | None
) -> Iterator[Case]:
    counts = bundled_counts() if rows is None else {}
    for number in range(1, count + 1):
        seed = settings["seed"] * _SEEDS_APART + number
        if rows is None:
            labels = draw_from_counts(counts, stream(seed, "labels"))
        else:
            labels = rows[number - 1] if settings["every_row"] else draw_from_table(rows, stream(seed, "labels"))
        split = _split(seed, settings["valid"], settings["test"]) if splits is None else splits.get(number - 1, "")
        yield Case(number, seed, labels, split)


def _split(seed: int, valid: float, test: float) -> str:
    place = stream(seed, "split").random()
    return "test" if place < test else "valid" if place < test + valid else "train"


def _given_splits(meta: Path, rows: int) -> dict[int, str] | None:
    """Row, from 0 -> split, of the index files in a folder; None if there is none of them."""
    if not any((meta / INDEX_FILE.format(split)).is_file() for split in SPLITS):
        return None
    return index_splits(meta, rows)


def _drawn(tasks: Sequence[tuple], workers: int) -> Iterator[list[dict[str, str]]]:
    """The result of every task, in order."""
    if workers == 1 or len(tasks) < _FEW:
        yield from (_draw(task) for task in tasks)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        try:
            yield from pool.map(_draw, tasks, chunksize=8)
        finally:
            pool.shutdown(cancel_futures=True)  # after an interrupt the rest is not drawn first


def _end_with_parent() -> None:
    """End this process when the one that started it ends; of a pool whose owner was killed it would wait for ever."""

    def watch() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _draw(task: tuple[Path, Case, Files, tuple[int, int]]) -> list[dict[str, str]]:
    return write_case(*task)


def _open(root: Path, settings: Mapping[str, Any], prefix: str) -> None:
    """Make the folders, or check that they hold a set of these settings."""
    file = root / SETTINGS_FILE
    remove_left(root)  # of a call that was killed before it had written the settings
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{file} is damaged ({error}); name another folder") from error
        other = [
            f"{name} was {found.get(name)!r}, is {value!r}"
            for name, value in settings.items()
            if found.get(name) != value
        ]
        if other:
            raise ConfigError(f"{root} holds a set drawn with other settings: {'; '.join(other)}; name another folder")
    elif root.is_dir() and any(root.iterdir()):
        raise ConfigError(f"{root} is not empty and holds no drawn set; name another folder")
    root.mkdir(parents=True, exist_ok=True)
    # first, since by them the folder is known as a drawn set, with which the same call may go on
    write_whole(file, (json.dumps(settings, indent=1) + "\n").encode())
    for name in (f"{prefix}clinical", f"{prefix}dermoscopy", "masks", *([f"{RELEASE}/meta"] if prefix else [])):
        (root / name).mkdir(parents=True, exist_ok=True)


def _digest(rows: Sequence[Labels] | None) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def _check(
    count: int | None, seed: int, rows: Sequence[Labels] | None, every_row: bool, layout: str, valid: float, test: float
) -> int:
    """The number of cases."""
    if layout not in LAYOUTS:
        raise ConfigError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")
    if every_row and rows is None:
        raise ConfigError(
            "every_row draws the rows of a table of labels, and none is named: give labels (--labels FILE)"
        )
    if every_row and count not in (None, len(rows or ())):
        raise ConfigError(f"every_row draws the {len(rows or ())} rows of the table; leave count out, it is {count}")
    if not (min(valid, test) >= 0 and valid + test < 1):
        raise ConfigError(f"valid and test must be at least 0 and together below 1, got {valid} and {test}")
    number = (len(rows or ()) if every_row else 1011) if count is None else count
    if number < 1 or seed < 0:
        raise ConfigError(f"count must be at least 1 and seed at least 0, got {number} and {seed}")
    return number
