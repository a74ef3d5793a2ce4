"""Files that are there whole or not at all, written by one process at a time."""

from __future__ import annotations

import errno
import filecmp
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

# of an OSError: the disk, what the user may have of it, or what a file may have
NO_ROOM = frozenset((errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)))
# what a FileExistsError of `replacing` means
ANOTHER = "is there already with other content, and is left as it is; name another file, or allow overwriting"
FILE, FOLDER = "partial", "tmp"  # what such names end in, see `owned`
_OWNED = re.compile(
    rf".+\.(?P<machine>[0-9a-f]{{6}})-(?P<process>[1-9][0-9]{{,8}})-[0-9a-z_]{{6,8}}\.(?:{FILE}|{FOLDER})", re.DOTALL
)
_SHOWN = 50  # characters of a name that such names begin with: file systems take 255 bytes, of which one character may need four
_looked_at: set[str] = set()  # folders, by `replacing`


def beside(path: Path, ending: str) -> Path:
    """A hidden name beside `path` for what shall take its place, with the mark of this process."""
    return path.with_name(f".{owned(path.name[:_SHOWN])}{uuid.uuid4().hex[:6]}.{ending}")


def owned(name: str) -> str:
    """What names of this process's own begin with: they say which process of which machine writes there."""
    return f"{name}.{_machine()}-{os.getpid()}-"


def remove_left(folder: Path, held: str | None = None) -> None:
    """Remove what killed processes of this machine left in a folder under names of `owned`, as far as it can be.

    Args:
        held: a pattern of names that nobody else can be writing; all that fit go, from whatever machine they are.
    """
    with suppress(OSError):
        for left in list(os.scandir(folder)):
            if fnmatchcase(left.name, held) if held else _is_dead(left.name):
                if left.is_dir(follow_symlinks=False):
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    with suppress(OSError):
                        os.unlink(left)


def _is_dead(name: str) -> bool:
    found = _OWNED.fullmatch(name)
    if not found or found["machine"] != _machine() or os.name == "nt":  # where asking would end the process
        return False
    try:
        os.kill(int(found["process"]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        pass
    return False


@lru_cache
def _machine() -> str:
    """Tells the machines apart that may share a disk, also of one name, and containers, in which process ids are others."""
    import socket

    known = [socket.gethostname()]
    with suppress(OSError):
        known.append(Path("/etc/machine-id").read_text())
    with suppress(OSError):
        known.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256(" ".join(known).encode()).hexdigest()[:6]


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """A name beside `path` to write to; at the end it becomes `path`, after an error it vanishes.

    Where `path` is a link it stays one: written is what it leads to, as by `open`. Two processes may do so at once. Errors
    of the file system are the caller's to explain.

    Args:
        overwrite: whether a file that is there may be lost; otherwise it must hold the same.

    Raises:
        FileExistsError: it does not, and is left as it is.
        OSError: a device or a pipe is there, which no file may take the place of; and others of the file system.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    if not path.name:  # ".", beside which no name can be made
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    if (folder := os.path.abspath(path.parent)) not in _looked_at:  # once, since it may hold very many files
        _looked_at.add(folder)
        remove_left(path.parent)
    partial = beside(path, FILE)
    try:
        yield partial
        if not overwrite and path.exists() and not filecmp.cmp(partial, path, shallow=False):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        os.replace(partial, path)
    finally:
        with suppress(OSError):  # it is gone; Windows keeps one that is still mapped
            partial.unlink()


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
