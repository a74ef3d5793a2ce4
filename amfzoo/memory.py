"""The C library's allocator, set for the large arrays that come and go with every layer of a network."""

from __future__ import annotations

import ctypes
import functools
import os

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2  # of malloc.h
_GIB, _MIB = 1 << 30, 1 << 20
_SET_BY_THE_USER = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")


@functools.cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 1 GiB of the memory that it frees, for its next arrays.

    By default glibc (Linux) gives large blocks back to the system at once, and each activation of
    a network is then mapped and cleared page by page again, which takes about a third of the time
    of a forward pass on a CPU. The `amfzoo` command and `create_predictor` call this.

    Returns:
        Whether it had an effect: not with another C library or allocator, nor where one of glibc's
        environment variables (MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES, ...) says what is wanted.
    """
    if any(name in os.environ for name in _SET_BY_THE_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no glibc; on Windows no library without a name
        return False
    # older versions refuse a threshold above 32 MiB
    large = mallopt(_MMAP_THRESHOLD, _GIB) or mallopt(_MMAP_THRESHOLD, 32 * _MIB)
    return bool(large and mallopt(_TRIM_THRESHOLD, _GIB) and mallopt(_TOP_PAD, 64 * _MIB))
