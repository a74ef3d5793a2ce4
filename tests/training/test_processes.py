"""Killed runs, and runs of several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its processes")


def _run(what: str, folder: Path) -> dict:
    path = os.pathsep.join([str(HERE), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(HERE / "processes.py"), what, str(folder)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_killed_run_ends_with_the_very_weights_of_an_unbroken_one(tmp_path):
    found = _run("kill", tmp_path)
    assert found["codes"] == [-9, -9, -9, -9, 0, 0]
    assert found["killed"] == found["whole"]


@pytest.mark.slow
def test_two_processes_and_accumulated_parts_give_the_result_of_one(tmp_path):
    found = _run("share", tmp_path)
    assert found["codes"] == [0, 0, 0, 0] and found["bare"]
    assert found["moved"] > 0.01  # else agreement would say nothing
    for name in ("two", "parts"):
        assert found["gaps"][name] < 0.01 * found["moved"]
        assert found["losses"][name] == pytest.approx(found["losses"]["one"], rel=1e-3)
        assert found["valid"][name] == pytest.approx(found["valid"]["one"], rel=1e-3)
