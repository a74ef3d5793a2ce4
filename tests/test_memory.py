"""`keep_freed_memory`, in a process of its own: it lasts as long as the process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# page faults of an array that is made and freed again and again
PROGRAM = """
import resource, sys
import numpy as np
from amfzoo.memory import keep_freed_memory

effect = keep_freed_memory() if sys.argv[1] == "keep" else None
for _ in range(3):
    np.ones(10_000_000, np.float32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(10_000_000, np.float32)
print(effect, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
GLIBC = platform.libc_ver()[0] == "glibc"


def run(how: str, **environment: str) -> tuple[str, int]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_", "LD_PRELOAD"))
    }
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], env=clean | environment, check=True, capture_output=True, text=True
    )
    effect, faults = ended.stdout.split()
    return effect, int(faults)


@pytest.mark.skipif(not GLIBC, reason="needs glibc, whose allocator it sets")
def test_freed_memory_is_used_again():
    pages = 5 * 10_000_000 * 4 // 4096
    effect, faults = run("keep")
    assert effect == "True" and faults < pages / 50
    _, without = run("leave")
    assert without > pages / 600  # huge pages of 2 MiB at best


def test_what_the_user_set_is_kept():
    assert run("keep", MALLOC_TRIM_THRESHOLD_="100000")[0] == "False"
