"""Large batches in equal parts, one after another: what a layer hands to the next then stays in the caches of a CPU.

`results/speed.md` has what it gives: up to a sixth with `amf_small`, nothing with `amf_base`, whose layers compute for longer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..inference.batch import Batch, Logits

_LEAST = 16  # pairs; with 8, amf_base loses 3 %
_OF_A_THREAD = 8  # of more threads, each wants its share


def pairs_a_part(pairs: int, threads: int) -> int:
    """How many of a batch's pairs are computed at a time: a divisor, so that all parts have one shape."""
    parts = pairs // max(_LEAST, _OF_A_THREAD * threads)
    return pairs // next((count for count in range(parts, 1, -1) if pairs % count == 0), 1)


def in_parts(logits: Callable[[Batch], Logits], batch: Batch, size: int) -> Logits:
    """The logits of a batch, of `size` pairs at a time."""
    pairs = len(batch.present)
    if size >= pairs:
        return logits(batch)
    found = [logits(_rows(batch, start, start + size)) for start in range(0, pairs, size)]
    return {task: np.concatenate([part[task] for part in found]) for task in found[0]}


def _rows(batch: Batch, start: int, end: int) -> Batch:
    return Batch(*(None if column is None else column[start:end] for column in batch))
