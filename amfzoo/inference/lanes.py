"""Lanes: threads on a CPU that each prepare pairs and compute their logits, on a share of the cores.

From files they answer more pairs than one network on all cores, for which other threads decode: there the cores wait
for each other after every layer, and longest where one of them has an image to decode (`amfzoo benchmark`, part "bulk").
What belongs to the caller's thread alone, such as torch's function modes, does not reach them; with ``workers=1`` there are none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch

from ..ahead import ahead, batched
from ..errors import AmfzooError
from .batch import Batch, Logits, Started
from .prepare import Model, Pair, Prepared, prepare, stacked
from .table_batch import LANES
from .torch_logits import may_leave_thread, torch_logits

_changing = threading.Lock()


class Lanes(NamedTuple):
    """How a network is computed in lanes.

    Attributes:
        count: of lanes.
        threads: of torch, and of any other runtime, in each.
        pairs: in a step of each; fewer are taken too.
        logits: may be called by all lanes at the same time.
    """

    count: int
    threads: int
    pairs: int
    logits: Callable[[Batch], Logits]


def lanes_of(model: Model, batch_size: int, workers: int | None) -> Lanes | None:
    """The lanes of a model, which share its threads and a batch between them; None where it has none, or just one.

    Args:
        workers: lanes at most; default one per core, at most 8. Of more than there are threads to compute, all decode
            alone, which is what slow storage wants.
    """
    threads = torch.get_num_threads()
    most = min(workers or min(LANES, os.cpu_count() or 1), threads)
    if most < 2 or (workers or 0) > threads:
        return None
    # of 12 threads six lanes use all, eight would use eight
    count = max(range(2, most + 1), key=lambda count: (threads // count * count, count))
    pairs, share = batch_size // count, threads // count
    if not pairs:
        return None
    if hasattr(model, "lanes"):
        logits = model.lanes(count, share, pairs)
    elif hasattr(model, "start") or hasattr(model, "logits") or not may_leave_thread(model):
        return None
    else:
        logits = partial(torch_logits, model)
    return None if logits is None else Lanes(count, share, pairs, logits)


def in_lanes(
    model: Model, lanes: Lanes, pairs: Iterator[Pair], guards: bool
) -> Iterator[tuple[list[Prepared | AmfzooError], Started]]:
    """Steps in order, at most two for each lane ahead."""
    return ahead(
        partial(_step, model, lanes, guards),
        batched(pairs, lanes.pairs),
        2 * lanes.count - 1,
        workers=lanes.count,
        initializer=partial(_limit_threads, lanes.threads),
    )


def _step(model: Model, lanes: Lanes, guards: bool, pairs: list[Pair]) -> tuple[list[Prepared | AmfzooError], Started]:
    items = prepare(model, pairs, guards)
    batch = stacked(model, items)
    logits = {} if batch is None else lanes.logits(batch)
    return items, Started(lambda: logits)


def _limit_threads(count: int) -> None:
    """Let torch use so many threads in this thread alone.

    `torch.set_num_threads` sets this thread's number, and one for all threads that have not computed yet. The
    latter is put back by a thread that does nothing else.
    """
    with _changing:
        before = torch.get_num_threads()  # of a new thread: what is set for all
        changed = threading.Event()
        restoring = threading.Thread(target=lambda: changed.wait() and torch.set_num_threads(before))
        restoring.start()  # first, since a container may refuse one more thread
        try:
            torch.set_num_threads(count)
        finally:
            changed.set()
            restoring.join()
