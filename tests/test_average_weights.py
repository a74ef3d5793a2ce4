"""examples/average_weights.py; the mean itself is in tests/models/test_averaging.py."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "average_weights.py"
sys.path.insert(0, str(SCRIPT.parent))  # as for a script


def test_shares_that_do_not_fit_are_wrong_usage(tmp_path, monkeypatch, capsys):
    arguments = [
        "--run",
        str(tmp_path),
        "--with",
        "amf_test",
        "--data",
        "x.csv",
        "--out",
        "out",
        "--shares",
        "0.5",
        "0.4",
    ]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 2 and "sum to 1" in capsys.readouterr().err
