"""Image files of a source: names in a table to files on disk. No image is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...errors import ConfigError
from ...image_cells import followed

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".heic", ".heif", ".avif", ".dcm")


def source_folder(path: str | os.PathLike[str], name: str) -> Path:
    """`path` as an absolute folder.

    Raises:
        ConfigError: it is not a folder.
    """
    folder = followed(Path(path).expanduser().absolute())
    if not folder.is_dir():
        what = "is a file; give the folder that holds the set" if folder.exists() else "does not exist; check the path"
        raise ConfigError(f"{name}: {folder} {what}")
    return folder


def first_file(folder: Path, names: Iterable[str], name: str) -> Path:
    """The first of `names` that is a file in `folder`.

    Raises:
        ConfigError: none is; the message lists them.
    """
    names = list(names)
    for candidate in names:
        if (folder / candidate).is_file():
            return folder / candidate
    raise ConfigError(f"{name}: {folder} has no {' or '.join(names)}; give the folder that holds it")


class CaseBlindFolder:
    """Finds files below a folder although the case of letters differs, as Windows does.

    Listings are kept, so each folder is read once.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[Path, dict[str, list[str]]] = {}

    def find(self, relative: str) -> Path:
        """The file as it is spelled on disk; the exact spelling wins.

        Where there is no such file, the path as given: whether images exist is asked
        by `check`, not when a table is read.
        """
        place = self.root
        for part in Path(relative.replace("\\", "/")).parts:
            names = self._listing(place).get(part.lower(), [])
            if not names:
                return self.root / relative
            place = place / (part if part in names else names[0])
        return place

    def _listing(self, folder: Path) -> dict[str, list[str]]:
        if folder not in self._listings:
            found: dict[str, list[str]] = {}
            try:
                for name in sorted(os.listdir(folder)):
                    found.setdefault(name.lower(), []).append(name)
            except OSError:
                pass  # no such folder: nothing in it
            self._listings[folder] = found
        return self._listings[folder]


class ImageIndex:
    """All image files below a folder, found by name wherever they lie.

    Public sets come as one folder or as several parts; their names are unique. Case and
    suffix may differ from the table's. Of several files with one name, the first in
    alphabetical order of the path counts.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, Path] = {}
        self._stems: dict[str, Path] = {}
        seen: set[str] = set()
        for folder, folders, files in os.walk(root, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:  # a link that leads back
                folders.clear()
                continue
            seen.add(real)
            folders.sort()
            for name in sorted(files):
                stem, suffix = os.path.splitext(name.lower())
                if suffix in IMAGE_SUFFIXES:
                    path = Path(folder) / name
                    self._names.setdefault(name.lower(), path)
                    self._stems.setdefault(stem, path)

    def __iter__(self) -> Iterator[Path]:
        """All of them, sorted."""
        return iter(sorted(self._names.values()))

    def find(self, name: str, *endings: str) -> Path:
        """The file called `name`, with or without suffix.

        Args:
            endings: what may follow the stem, tried in order after the plain name.

        Returns:
            A path below the folder; it does not exist if there is no such file.
        """
        key = name.replace("\\", "/").rsplit("/", 1)[-1].lower()
        stem, suffix = os.path.splitext(key)
        if suffix not in IMAGE_SUFFIXES:
            stem = key
        found = self._names.get(key) or self._stems.get(stem)
        for ending in endings:
            found = found or self._stems.get(stem + ending.lower())
        return found or self.root / (name if suffix in IMAGE_SUFFIXES else f"{name}.jpg")
