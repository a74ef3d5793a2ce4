"""What may be given as an image: its name in messages, its bytes, its limits."""

from __future__ import annotations

import errno
import inspect
import os
import stat
from typing import BinaryIO, Union

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..image_cells import not_a_path
from .missing import why_not
from .names import shorten

ImageSource = Union[str, os.PathLike[str], bytes, bytearray, memoryview, BinaryIO, Image.Image, np.ndarray]

MIN_SIDE = 16  # pixels; smaller pictures are icons or mistakes, not lesions
MAX_PIXELS = 1024**3 // 12  # 89 million: Pillow's own threshold for "decompression bomb"
MAX_BYTES = 1024**3  # of one encoded file

_CHUNK = 1 << 20
_LONGEST_PATH = 4096
_BYTES = (bytes, bytearray, memoryview)


class _NamedBytes(bytes):
    name: str


def named_bytes(data: bytes, name: str) -> bytes:
    """`data` under a name of its own in messages."""
    named = _NamedBytes(data)
    named.name = name
    return named


def source_name(source: object) -> str:
    """A short name for `source`, to begin an error message with."""
    if isinstance(source, (str, os.PathLike)):
        try:
            return shorten(os.fsdecode(source))
        except Exception:  # any object may stand behind `__fspath__`
            return f"<{type(source).__name__}>"
    if isinstance(source, _BYTES):
        return shorten(getattr(source, "name", "<bytes>"))
    if isinstance(source, np.ndarray):
        return f"<array {'x'.join(map(str, source.shape))} {source.dtype}>"
    if isinstance(source, Image.Image):
        file = getattr(source, "filename", "")
        suffix = f" of {shorten(os.fsdecode(file))}" if file else ""
        return f"<PIL image {source.width}x{source.height} {source.mode}{suffix}>"
    if hasattr(source, "read"):
        file = getattr(source, "name", None)
        return shorten(file) if isinstance(file, str) else "<file object>"
    return f"<{type(source).__name__}>"


def is_encoded(source: object) -> bool:
    """Whether `source` leads to the bytes of an image file."""
    return isinstance(source, (str, os.PathLike, *_BYTES)) or hasattr(source, "read")


def encoded_bytes(source: object, name: str) -> bytes:
    """The bytes of the image file behind a path, bytes or a file object.

    A file object is read from where it stands and left open.
    """
    if isinstance(source, _BYTES):
        data = _plain_bytes(source, name)
    elif isinstance(source, (str, os.PathLike)):
        data = _path_bytes(source, name)
    else:
        data = _stream_bytes(source, name)
    if not data:
        what = "nothing left to read in this file object; rewind it with seek(0)"
        if isinstance(source, (str, os.PathLike)):
            what = "the file is empty; copy or download it again"
        elif isinstance(source, _BYTES):
            what = "no bytes; pass the whole content of an image file"
        raise ImageError(f"{name}: {what}")
    return data


def _plain_bytes(source: bytes | bytearray | memoryview, name: str) -> bytes:
    try:
        data = bytes(source)
    except ValueError as error:  # a memoryview that was released
        raise ImageError(f"{name}: {error}; pass the whole content of an image file") from error
    if 0 < len(data) < _LONGEST_PATH and b"\0" not in data and os.path.isfile(data):
        raise ImageError(f"{name}: these bytes are the path of a file, not its content; pass the path as text")
    return data


def check_size(size: tuple[int, int], name: str) -> None:
    """Refuse pictures too small to show a lesion or too large to decode safely."""
    width, height = size
    if min(size) < MIN_SIDE:
        raise ImageError(
            f"{name}: the image is {width}x{height} pixels, less than {MIN_SIDE} on a side; "
            "pass the photo itself, not an icon or a thumbnail of it"
        )
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name}: the image is {width}x{height} pixels, more than the limit of "
            f"{MAX_PIXELS} in all (a decompression bomb?); make it smaller first"
        )


def _path_bytes(path: str | os.PathLike[str], name: str) -> bytes:
    try:
        text = os.fsdecode(path)
    except Exception as error:  # any object may stand behind `__fspath__`
        raise ImageError(f"{name}: it gives no path ({error}); pass the path of an image file as text") from error
    if reason := not_a_path(text):
        raise ImageError(f"{name}: {reason} or its bytes")
    if not text:
        raise ImageError("'': the path is empty; pass the path of an image file")
    try:
        mode = os.stat(text).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder")
        if not stat.S_ISREG(mode):  # reading one may never end
            raise ImageError(
                f"{name}: this is a pipe or a device, not a file; read it yourself, and pass its content as bytes"
            )
        with open(text, "rb") as stream:
            return _stream_bytes(stream, name, "check the disk, or copy the file again")
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name}: {why_not(text, error)}") from error


def _stream_bytes(stream: object, name: str, mend: str = "pass a file object that is open for reading") -> bytes:
    parts: list[bytes] = []
    total = 0
    # In pieces: `read(limit)` would first allocate the limit.
    while True:
        try:
            part = stream.read(_CHUNK)  # type: ignore[attr-defined]
        except MemoryError:
            raise
        except Exception as error:  # any object may stand behind `read`
            raise ImageError(f"{name}: reading failed ({error}); {mend}") from error
        if inspect.isawaitable(part):
            if inspect.iscoroutine(part):
                part.close()
            raise ImageError(f"{name}: this file object is asynchronous; pass what it reads, `await file.read()`")
        if part is not None and not isinstance(part, _BYTES):
            raise ImageError(
                f'{name}: reading gives {type(part).__name__}, not bytes; open the file in binary mode ("rb")'
            )
        if not part:
            return b"".join(parts)
        parts.append(bytes(part))
        total += len(part)
        if total > MAX_BYTES:
            raise ImageError(f"{name}: more than {MAX_BYTES} bytes; this is not one photo")
