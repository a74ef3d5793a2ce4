"""The file that says which split each lesion is in."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError
from ..files import ANOTHER, replacing
from .faults import FaultLog
from .readers.tables import read_table
from .records import SPLITS, Lesion, LesionSet

_COLUMNS = ("lesion_id", "split", "images")


class _Row(NamedTuple):
    """images: `_images` of the lesion, "" in files that do not have it."""

    split: str | None
    images: str


def write_split(lesions: LesionSet, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Write lesion_id, split and a hash of the names of the images as CSV, for `read_split`.

    Args:
        overwrite: whether another split in this file may be lost.

    Raises:
        ConfigError: the file cannot be written, or is there and holds something else than a split, or than this one.
    """
    try:
        if os.path.exists(path) and not _holds_split(Path(path)):
            raise ConfigError(f"{path}: this file holds something else than a split and is left as it is; name another")
        with replacing(Path(path), overwrite=overwrite) as unfinished:
            with open(unfinished, "w", encoding="utf-8", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerow(_COLUMNS)
                writer.writerows([lesion.id, lesion.split or "", _images(lesion)] for lesion in lesions)
    except FileExistsError:
        raise ConfigError(f"{path}: {ANOTHER}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror or error})") from error


def _holds_split(file: Path) -> bool:
    with open(file, "rb") as stream:
        first = stream.readline(1000).decode("utf-8-sig", "replace").strip()
    return first in ("", ",".join(_COLUMNS), ",".join(_COLUMNS[:2]))


def _images(lesion: Lesion) -> str:
    """A hash of the names of its image files, not of their folders: they may have been moved."""
    names = "\0".join(f"{kind}:{path.name}" for kind, path in lesion.images.items())
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:16]


_NO_IMAGES = _images(Lesion("none"))


def read_split(lesions: LesionSet, path: str | os.PathLike[str]) -> LesionSet:
    """The same lesions with the splits of a file that `write_split` wrote.

    Lesions are found by their ids where their images have the names that they had; else, and where ids are but numbers of
    rows, by the names of their images, since rows may have been put in another order and numbered anew; and by their ids
    alone where the file has no such images. Of a file made for several sources, the lesions of one will do.

    Raises:
        ConfigError: the file lacks a lesion or names an unknown one, or as `splits_in`.
    """
    found, unknown = _match(lesions, _rows(path), path)
    for kind, names in (("lacks", {lesion.id for lesion in lesions} - set(found)), ("names the unknown", unknown)):
        if names:
            raise ConfigError(
                f"{Path(path)}: this split {kind} lesions {', '.join(sorted(names)[:5])} ({len(names)} in all); "
                f"was it made for {lesions.name}?"
            )
    return replace(lesions, lesions=tuple(replace(lesion, split=found[lesion.id]) for lesion in lesions))


def splits_in(path: str | os.PathLike[str], lesions: LesionSet) -> dict[str, str | None]:
    """{lesion: split} of those lesions that the file has.

    Raises:
        ConfigError: the file cannot be read, names a lesion twice or an unknown split, or ids stand for other lesions now and
            the images do not tell which.
    """
    return _match(lesions, _rows(path), path)[0]


def _rows(path: str | os.PathLike[str]) -> dict[str, _Row]:
    table = read_table(path, FaultLog())
    name_column, split_column = (table.column(name, "the split") for name in _COLUMNS[:2])
    images_column = _COLUMNS[2] if _COLUMNS[2] in table.columns else None
    found: dict[str, _Row] = {}
    for row in table.rows:
        name, split = row.cells[name_column], row.cells[split_column] or None
        if split is not None and split not in SPLITS:
            raise ConfigError(f"{row.where}: split {split!r} must be one of {', '.join(SPLITS)}, or empty")
        if name in found:
            raise ConfigError(f"{row.where}: the lesion {name!r} comes twice")
        found[name] = _Row(split, row.cells[images_column] if images_column else "")
    return found


def _match(
    lesions: LesionSet, rows: Mapping[str, _Row], path: str | os.PathLike[str]
) -> tuple[dict[str, str | None], set[str]]:
    """{lesion: split}, and the names of rows of this source that are no lesion of it."""
    ids = [lesion.id for lesion in lesions]
    prefix = f"{lesions.name}/"  # `records.concat` puts it before the ids of each of several sources
    joint = not any(name in rows for name in ids) and any(prefix + name in rows for name in ids)
    own = {name.removeprefix(prefix): row for name, row in rows.items() if name.startswith(prefix)} if joint else rows
    known, numbers = any(name in own for name in ids), _are_numbers(own)
    holders: dict[str, list[str]] = defaultdict(list)
    for name, row in own.items():
        if row.images not in ("", _NO_IMAGES):
            holders[row.images].append(name)
    found: dict[str, str] = {}  # lesion -> row
    by_id_alone = []
    for lesion in lesions:
        images, row = _images(lesion), own.get(lesion.id)
        if row is not None and row.images in ("", images):
            found[lesion.id] = lesion.id
        elif images in holders:
            if len({own[name].split for name in holders[images]}) > 1:
                raise ConfigError(
                    f"{Path(path)}: the images of lesion {lesion.id!r} are there under {', '.join(holders[images][:3])}, in "
                    "different splits; give the lesions the ids that they had, or make a new split"
                )
            found[lesion.id] = holders[images][0]
        elif row is not None and not numbers:  # its files have other names now
            by_id_alone.append(lesion.id)
    taken = {row: name for name, row in found.items()}
    if mixed := [name for name in by_id_alone if name in taken]:
        raise ConfigError(
            f"{Path(path)}: ids stand for other lesions than in this split: the images of {mixed[0]!r} belong to "
            f"{taken[mixed[0]]!r} now ({len(mixed)} in all); give the lesions the ids that they had, or make a new split"
        )
    found.update((name, name) for name in by_id_alone)
    # a table under another name, of several that were trained on: the others' rows are not unknown
    unknown = set(own) - set(found.values()) if known else set()
    return {name: own[found[name]].split for name in ids if name in found}, unknown


def _are_numbers(names: Iterable[str]) -> bool:
    """Whether ids are the numbers of rows, which say nothing of the lesion."""
    names = list(names)
    return set(names) == set(map(str, range(1, len(names) + 1)))
