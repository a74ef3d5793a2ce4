"""What the runtime shares in a process; needs no OpenVINO."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier
from types import SimpleNamespace

from amfzoo.runtimes import openvino_runtime


def test_threads_that_start_together_share_one_core(monkeypatch):
    made, together = [], Barrier(2)

    class Core:
        def __init__(self):
            made.append(self)
            time.sleep(0.2)

    def asked(_):
        together.wait()
        return openvino_runtime.core()

    monkeypatch.setattr(openvino_runtime, "imported", lambda *_: SimpleNamespace(Core=Core))
    monkeypatch.setattr(openvino_runtime, "_core", lru_cache(openvino_runtime._core.__wrapped__))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(asked, range(2))
    assert made == [first] and first is second
