"""JPEG files to read in a benchmark: drawn ones, or those of a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from ..data.synthetic import SyntheticPair, draw_pair, random_findings
from ..errors import TableError
from ..images import read_image
from ..inference.table_shards import open_pairs

SIZE = (600, 450)  # pixels, of most published sets of dermoscopy pictures
Files = list[tuple[Path, Path]]


def drawn_pairs(count: int) -> Iterator[SyntheticPair]:
    """Pairs of pictures, the same at every call."""
    return (draw_pair(random_findings(seed), seed=seed, size=SIZE) for seed in range(count))


def drawn_files(folder: Path, count: int) -> Files:
    """Draw pairs and write them as JPEG files, quality 90."""
    files = []
    for seed, pair in enumerate(drawn_pairs(count)):
        paths = tuple(folder / f"{seed}_{branch}.jpg" for branch in ("clinical", "dermoscopy"))
        for path, image in zip(paths, (pair.clinical, pair.dermoscopy)):
            image.save(path, quality=90)
        files.append(paths)
    return files


def table_files(table: Path, count: int) -> Files:
    """The first `count` whole pairs of a table.

    Raises:
        TableError: it cannot be read, or names no whole pair.
        ImageError: one of their files cannot be read.
    """
    pairs = open_pairs(table)
    found = (pairs.pair(row) for row in pairs.rows() if not row.problem)
    files = list(itertools.islice((pair for pair in found if all(isinstance(p, Path) for p in pair)), count))
    if not files:
        raise TableError(f"{table} has no row with both images, as paths of files")
    for file in itertools.chain(*files):
        read_image(file, min_size=SIZE)  # the ordinary script ends with a traceback where one is not there
    return files


def cycled(files: Files, count: int) -> Iterator[tuple[Path, Path]]:
    """`count` pairs, the files again and again; none is held."""
    return itertools.islice(itertools.cycle(files), count)
