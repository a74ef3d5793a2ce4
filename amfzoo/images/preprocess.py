"""From an image to the normalised array that a network reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ConfigError, ImageError
from .read import read_image
from .source import ImageSource

FITS = ("squash", "crop", "pad")
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
}
_LARGEST_SIDE = 8192

_Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Preprocess:
    """How one image becomes network input; everything that matters is in its fields.

    size: (height, width) of the network input, pixels.
    mean, std: per channel (R, G, B), of values scaled to 0..1.
    fit: "squash" resizes the whole picture to `size`, changing its aspect ratio;
        "crop" takes the largest centred part with the aspect ratio of `size`;
        "pad" keeps the whole picture and its aspect ratio, and centres it on black.
    filter: nearest, bilinear, bicubic, lanczos, box or hamming, as Pillow defines them
        (all but nearest average over the source pixels when shrinking).
    border: fraction of the width (height) cut from each side before fitting.

    Raises ConfigError, naming the field, where a value is of a wrong type or range.
    """

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    fit: str = "squash"
    filter: str = "bicubic"
    border: float = 0.0

    def __post_init__(self) -> None:
        # Lists come from JSON; tuples make the record hashable.
        object.__setattr__(self, "size", _size(self.size))
        object.__setattr__(self, "mean", _triple("mean", self.mean))
        object.__setattr__(self, "std", _triple("std", self.std))
        object.__setattr__(self, "border", _number("border", self.border))
        if any(abs(value) > 1e3 for value in self.mean):
            raise ConfigError(f"mean: {self.mean} is out of range; values are scaled to 0..1")
        if any(not 1e-6 <= value <= 1e3 for value in self.std):
            raise ConfigError(f"std: {self.std} must be positive; values are scaled to 0..1")
        if not 0 <= self.border < 0.5:
            raise ConfigError(f"border: {self.border} is not in 0 <= border < 0.5")
        _choice("fit", self.fit, FITS)
        _choice("filter", self.filter, FILTERS)

    @property
    def min_size(self) -> tuple[int, int] | None:
        """What `read_image` is asked for: (width, height), or None for every pixel."""
        if self.filter == "nearest":  # picks single pixels, so the scale would show
            return None
        height, width = self.size
        kept = 1 - 2 * self.border
        return math.ceil(width / kept), math.ceil(height / kept)

    def __call__(self, image: ImageSource) -> np.ndarray:
        """Network input (3, H, W), float32, contiguous; see `read_image` for sources and errors."""
        return self.normalise(self.resized(image))

    def resized(self, image: ImageSource) -> np.ndarray:
        """Geometry only: (H, W, 3) uint8; see `read_image` for sources and errors."""
        return np.array(self._fitted(self.read(image)))

    def read(self, image: ImageSource) -> Image.Image:
        """The picture that `fitted` takes, with as many pixels as it needs; see `read_image`."""
        return read_image(image, min_size=self.min_size)

    def fitted(self, picture: Image.Image) -> np.ndarray:
        """Network input of a picture that `read` gave; the two together are a call."""
        return self.normalise(np.array(self._fitted(picture)))

    def normalise(self, pixels: np.ndarray) -> np.ndarray:
        """(..., H, W, 3) uint8 to (..., 3, H, W) float32: (pixels / 255 - mean) / std.

        Raises ImageError for another type or shape.
        """
        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8 or pixels.ndim < 3 or pixels.shape[-1] != 3:
            raise ImageError(
                f"pixels: {pixels.dtype} of shape {pixels.shape} is not uint8 of "
                "shape (..., H, W, 3); pass the output of `resized`"
            )
        # each step on whole planes: the fastest of the ways that numpy has
        planes = np.ascontiguousarray(np.moveaxis(pixels, -1, -3)).astype(np.float32)
        scale, shift = self.affine
        planes *= scale
        planes += shift
        return planes

    @property
    def affine(self) -> tuple[np.ndarray, np.ndarray]:
        """(3, 1, 1) float32 twice, not to be changed: `normalise` is level * first + second."""
        return _affine(self.mean, self.std)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dict that `from_dict` reads back to an equal record."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """A record from `to_dict` output; keys left out keep their defaults.

        Raises ConfigError, naming the key, for unknown keys and wrong values.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"preprocessing: {type(values).__name__} is not a mapping")
        known = [field.name for field in fields(cls)]
        unknown = sorted(str(key) for key in values if key not in known)
        if unknown:
            raise ConfigError(f"preprocessing: unknown key {', '.join(unknown)}; known are {', '.join(known)}")
        return cls(**values)

    def geometry(self, size: tuple[int, int]) -> tuple[_Box, tuple[int, int], tuple[int, int]]:
        """Of a picture of `size` (width, height) pixels: what becomes network input, and where in it that lies.

        Returns:
            (left, top, right, bottom) of the part that is used; (width, height) that it is
            resized to; (left, top) of its place in the input.
        """
        height, width = self.size
        box = _inner(size, self.border)
        if self.fit == "pad":
            inside = _inside(box, width, height)
            return box, inside, ((width - inside[0]) // 2, (height - inside[1]) // 2)
        return (_aspect(box, width / height) if self.fit == "crop" else box), (width, height), (0, 0)

    def _fitted(self, picture: Image.Image) -> Image.Image:
        box, inside, corner = self.geometry(picture.size)
        resized = picture.resize(inside, FILTERS[self.filter], box)
        if self.fit != "pad":
            return resized
        canvas = Image.new("RGB", self.size[::-1])
        canvas.paste(resized, corner)
        return canvas


def _inner(size: tuple[int, int], border: float) -> _Box:
    x, y = size[0] * border, size[1] * border
    return x, y, size[0] - x, size[1] - y


def _aspect(box: _Box, ratio: float) -> _Box:
    """The largest centred part of `box` with width / height = `ratio`."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    x = max(0.0, (width - height * ratio) / 2)
    y = max(0.0, (height - width / ratio) / 2)
    return left + x, top + y, right - x, bottom - y


def _inside(box: _Box, width: int, height: int) -> tuple[int, int]:
    """The largest size with the aspect ratio of `box` that fits in width x height."""
    across, down = box[2] - box[0], box[3] - box[1]
    scale = min(width / across, height / down)
    return (min(width, max(1, round(across * scale))), min(height, max(1, round(down * scale))))


@lru_cache(maxsize=16)
def _affine(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(3, 1, 1) float32 twice: level * first + second is (level / 255 - mean) / std."""
    means, stds = (np.array(values)[:, None, None] for values in (mean, std))
    return (1 / (255 * stds)).astype(np.float32), (-means / stds).astype(np.float32)


def _size(value: Any) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ConfigError(f"size: {value!r} is not (height, width)")
    if not all(
        isinstance(side, (int, np.integer)) and not isinstance(side, bool) and 1 <= side <= _LARGEST_SIDE
        for side in value
    ):
        raise ConfigError(f"size: {value!r} is not two integers from 1 to {_LARGEST_SIDE}")
    return int(value[0]), int(value[1])


def _triple(key: str, value: Any) -> tuple[float, float, float]:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise ConfigError(f"{key}: {value!r} is not three numbers (R, G, B)")
    first, second, third = (_number(key, item) for item in value)
    return first, second, third


def _number(key: str, value: Any) -> float:
    number = isinstance(value, (int, float, np.integer, np.floating))
    if not number or isinstance(value, bool) or not math.isfinite(value):
        raise ConfigError(f"{key}: {value!r} is not a finite number")
    return float(value)


def _choice(key: str, value: Any, known: Any) -> None:
    if not isinstance(value, str) or value not in known:
        raise ConfigError(f"{key}: {value!r} is not one of {', '.join(known)}")
