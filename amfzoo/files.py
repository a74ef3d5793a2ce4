"""Files that are there whole or not at all, written by one process at a time."""

from __future__ import annotations

import errno
import filecmp
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# of an OSError: the disk, what the user may have of it, or what a file may have
NO_ROOM = frozenset((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)))
# what a FileExistsError of `replacing` means
ANOTHER = "is there already with other content, and is left as it is; name another file, or allow overwriting"


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A name beside `path` to write to; at the end it becomes `path`, after an error it vanishes.

    Two processes may do so at once. Errors of the file system are the caller's to explain.

    Args:
        overwrite: whether a file that is there may be lost; otherwise it must hold the same.

    Raises:
        FileExistsError: it does not, and is left as it is.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        yield partial
        if not overwrite and path.exists() and not filecmp.cmp(partial, path, shallow=False):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Hold a lock file; the system frees that of a killed process.

    Raises:
        BlockingIOError: another holds it.
        OSError: it cannot be written.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(lock)) from None
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes it on release
            os.unlink(lock)
        held.release()
