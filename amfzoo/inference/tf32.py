"""fp32 that is fp32 on CUDA.

As it is by itself, torch rounds the input of fp32 convolutions on CUDA to TF32, which keeps 10 bits. That
moves probabilities of `amf_small.open` by up to .006 (imitated on a CPU), more than the .001 that
runtimes may differ by. Who wants speed has bf16, whose effect was measured.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_changing = threading.Lock()
_threads = 0  # that are within
_found = False  # what the first of them found


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Convolutions without TF32 in this process; the last of the threads that are within puts it back as it was.

    Torch's newer settings, `torch.backends.cudnn.conv.fp32_precision`, are left alone where they were used.
    """
    global _threads, _found
    cudnn = torch.backends.cudnn
    with _changing:
        if not _threads:
            try:
                _found = cudnn.allow_tf32
            except RuntimeError:  # the user set it in the newer way, in which it has no single answer
                _found = False
            if _found:
                cudnn.allow_tf32 = False
        _threads += 1
    try:
        yield
    finally:
        with _changing:
            _threads -= 1
            if not _threads and _found:
                cudnn.allow_tf32 = True
