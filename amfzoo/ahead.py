"""Work done in threads ahead of those who want its results."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")  # one by one, or type checkers do not know them
_R = TypeVar("_R")


def ahead(
    function: Callable[[_T], _R],
    items: Iterable[_T],
    depth: int = 2,
    *,
    workers: int = 1,
    initializer: Callable[[], object] | None = None,
) -> Iterator[_R]:
    """`map`, computed up to `depth` results ahead in threads, each of which calls `initializer` first.

    Not torch's DataLoader: decoding and copying release the interpreter lock, so threads
    do, and processes would need shared memory, which containers often have too little of.
    """
    with ThreadPoolExecutor(workers, initializer=initializer) as pool:
        waiting: deque[Future[_R]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def batched(items: Iterator[_T], size: int) -> Iterator[list[_T]]:
    """Lists of `size` items, the last one shorter; `itertools.batched` of Python 3.12."""
    while batch := list(itertools.islice(items, size)):
        yield batch
