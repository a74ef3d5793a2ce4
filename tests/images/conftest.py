"""Pictures made in the test: nothing is read from disk."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw


def _natural(width: int, height: int, seed: int = 0) -> Image.Image:
    """A skin-like picture: detail of every size, a dark blob and hairs."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for octave in range(1, 9):
        cells = rng.normal(size=(2**octave, 2**octave, 3)).astype(np.float32)
        total += (
            np.stack(
                [np.asarray(Image.fromarray(cells[..., c]).resize((width, height), 3)) for c in range(3)],
                axis=-1,
            )
            / 1.8**octave
        )
    total = (total - total.mean()) / total.std() * 20 + (200, 150, 130)
    image = Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width * 0.3, height * 0.3, width * 0.6, height * 0.7), fill=(95, 60, 50))
    for _ in range(12):
        ends = rng.uniform(0, 1, (2, 2)) * (width, height)
        draw.line([tuple(end) for end in ends], fill=(60, 45, 40), width=max(1, width // 300))
    return image


def _encode(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    if kind == "HEIC":  # without its plugin, which would stay registered for all tests
        heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed (extra heic)")
        file = heif.from_pillow(image)
        if "exif" in options:
            file.info["exif"] = options.pop("exif").tobytes()
        file.save(stream, **options)
    else:
        image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="session")
def natural():
    return _natural


@pytest.fixture(scope="session")
def encode():
    return _encode


@pytest.fixture(scope="session")
def small():
    """64 x 48, every corner different."""
    return _natural(64, 48, seed=5)


@pytest.fixture
def rgb(small) -> np.ndarray:
    return np.asarray(small)


@pytest.fixture
def gray(small) -> np.ndarray:
    return np.asarray(small.convert("L"))


@pytest.fixture(scope="session")
def files(small):
    """The same small picture as files of every kind and compression."""
    turned = small.rotate(90)
    made = {
        "jpeg": _encode(small, "JPEG"),
        "jpeg progressive": _encode(small, "JPEG", progressive=True, subsampling=0),
        "jpeg thumbnail": _encode(small, "JPEG", exif=b"Exif\0\0" + b"\xff\xd9" * 8),
        "jpeg cmyk": _encode(small.convert("CMYK"), "JPEG"),
        "mpo": _encode(small, "MPO", save_all=True, append_images=[turned]),
        "png": _encode(small, "PNG"),
        "png palette": _encode(small.quantize(16), "PNG"),
        "webp": _encode(small, "WEBP"),
        "webp lossless": _encode(small, "WEBP", lossless=True),
        "webp animated": _encode(small, "WEBP", save_all=True, append_images=[turned]),
        "gif": _encode(small, "GIF"),
        "gif animated": _encode(small, "GIF", save_all=True, append_images=[turned]),
        "bmp": _encode(small, "BMP"),
        "tiff": _encode(small, "TIFF"),
    }
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        made[compression] = _encode(small, "TIFF", compression=compression)
    return made
