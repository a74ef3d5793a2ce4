"""What identifies an image file: a hash of its bytes, and one of what it looks like."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import ImageError
from ...images import read_image
from ...images.damage import damage
from ...images.names import shorten
from ...images.source import encoded_bytes

_SIDE, _KEPT = 32, 16
_BLOCK = 256  # rows of the table of all pairs that are held at once


@dataclass(frozen=True)
class Fingerprint:
    """One file.

    Attributes:
        sha256: of the bytes; None if they cannot be read.
        look: see `perceptual_hash`; None if it is no image.
        problem: why not, for people.
        damage: how the picture looks damaged, if it does; see `amfzoo.images.damage`.
    """

    sha256: str | None = None
    look: bytes | None = None
    problem: str | None = None
    damage: str | None = None


def fingerprint(path: Path) -> Fingerprint:
    """Read a file once, to its last pixel."""
    name = shorten(os.fspath(path))
    digest = None
    try:
        data = encoded_bytes(path, name)
        digest = hashlib.sha256(data).hexdigest()
        picture = read_image(data, min_size=(_SIDE, _SIDE), name=name)
        return Fingerprint(digest, perceptual_hash(picture), damage=damage(picture))
    except ImageError as error:
        return Fingerprint(digest, problem=str(error))


def fingerprints(paths: Iterable[Path], workers: int | None = None, progress: bool = False) -> dict[Path, Fingerprint]:
    """Path -> fingerprint, read by threads.

    Args:
        workers: number of threads; default one per core (decoding leaves Python's lock).
        progress: show a bar on stderr, if that is a terminal.
    """
    paths = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        found = pool.map(fingerprint, paths)
        if progress:
            from tqdm import tqdm

            found = tqdm(found, total=len(paths), unit="image", desc="reading", disable=None)
        return dict(zip(paths, found))


def perceptual_hash(image: Image.Image) -> bytes:
    """256 bits of what an image looks like: copies that were resized, saved again or
    slightly recoloured differ in few of them.

    The signs, about their median, of the 16 x 16 lowest frequencies (cosine transform of
    a 32 x 32 gray copy), without those that are constant along an axis.
    """
    gray = np.asarray(image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float64)
    cosines = _cosines()
    waves = (cosines @ gray @ cosines.T).ravel()
    return np.packbits(waves > np.median(waves)).tobytes()


@lru_cache(maxsize=1)
def _cosines() -> np.ndarray:
    """(16, 32): frequencies 1 to 16 at the middles of 32 samples."""
    frequency = np.arange(1, _KEPT + 1)[:, None]
    return np.cos(np.pi * frequency * (np.arange(_SIDE) + 0.5) / _SIDE)


def near_pairs(looks: Sequence[bytes], threshold: int) -> list[tuple[int, int, int]]:
    """(i, j, differing bits) of all pairs i < j of `perceptual_hash` that differ in at most
    `threshold` bits."""
    if len(looks) < 2:
        return []
    bits = np.unpackbits(np.frombuffer(b"".join(looks), np.uint8)).reshape(len(looks), -1)
    signs = bits.astype(np.float32) * 2 - 1  # the product of two rows is bits - 2 * differing bits
    length, found = signs.shape[1], []
    for start in range(0, len(signs), _BLOCK):
        products = signs[start : start + _BLOCK] @ signs[start:].T
        for i, j in np.argwhere(products >= length - 2 * threshold):
            if i < j:
                found.append((start + int(i), start + int(j), int(length - products[i, j]) // 2))
    return found
