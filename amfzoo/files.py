"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import filecmp
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
