"""What may be given as an image: its name in messages, its bytes, its limits."""

from __future__ import annotations

import errno
import inspect
import os
import stat
import unicodedata
from functools import lru_cache
from typing import BinaryIO, Union

import numpy as np
from PIL import Image

from ..errors import ImageError
from ..image_cells import URL

ImageSource = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO, Image.Image, np.ndarray]

MIN_SIDE = 16  # pixels; smaller pictures are icons or mistakes, not lesions
MAX_PIXELS = 1024**3 // 12  # 89 million: Pillow's own threshold for "decompression bomb"
MAX_BYTES = 1024**3  # of one encoded file

_CHUNK = 1 << 20
_LONGEST_NAME = 200
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


def shorten(text: str) -> str:
    """`text` cut in the middle where it is too long for a message."""
    if len(text) <= _LONGEST_NAME:
        return text
    return f"{text[: _LONGEST_NAME // 2]}...{text[-_LONGEST_NAME // 4 :]}"


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
    if URL.match(text):
        raise ImageError(
            f"{name}: this is a URL, and URLs are not fetched; download the image and pass its path or its bytes"
        )
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
            return _stream_bytes(stream, name)
    except (OSError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name}: {_os_reason(error)}{_near(text, error)}") from error


def _os_reason(error: Exception) -> str:
    # content decoded to text has zeros; in UTF-8 only what no file is named by cannot be written
    if isinstance(error, UnicodeEncodeError) and error.encoding != "utf-8" and "\0" not in error.object:
        return f"this process cannot write that name in its file-system encoding ({error.encoding}); set PYTHONUTF8=1"
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG) or isinstance(error, ValueError):
        hint = (
            ""
            if number in (errno.ENOENT, errno.ENOTDIR)
            else " (encoded image data must be passed as bytes, not as text)"
        )
        return f"there is no such file; check the path{hint}"
    if number == errno.EISDIR:
        return "this is a folder; pass the path of one image file"
    if isinstance(error, PermissionError):
        return "permission denied; make the file readable for this user"
    return f"the file cannot be read ({error}); check the disk or copy the file again"


def _near(path: str, error: Exception) -> str:
    """That a missing file is there under a name that differs by case, or by how accents are stored, which look alike."""
    if getattr(error, "errno", None) != errno.ENOENT:
        return ""
    folder, file = os.path.split(path)
    try:
        folder = os.path.abspath(folder)
        names = _listing(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return ""
    found = names.get(_alike(file))
    return f" (there is {found!r}, which differs by case or by the form of its accents)" if found else ""


@lru_cache(maxsize=8)
def _listing(folder: str, changed: int) -> dict[str, str]:
    """{`_alike` of a name: name}; of a long table whose every file is missing the folder is read once."""
    return {_alike(name): name for name in os.listdir(folder)}


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stream_bytes(stream: object, name: str) -> bytes:
    parts: list[bytes] = []
    total = 0
    # In pieces: `read(limit)` would first allocate the limit.
    while True:
        try:
            part = stream.read(_CHUNK)  # type: ignore[attr-defined]
        except MemoryError:
            raise
        except Exception as error:  # any object may stand behind `read`
            raise ImageError(
                f"{name}: reading failed ({error}); pass a file object that is open for reading"
            ) from error
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
