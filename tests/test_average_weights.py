"""examples/average_weights.py: the weighted mean of networks, tensor by tensor."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from networks import TASKS, build

SCRIPT = Path(__file__).parents[1] / "examples" / "average_weights.py"
sys.path.insert(0, str(SCRIPT.parent))  # as for a script


def test_tensors_that_all_have_are_averaged_by_their_shares_and_others_stay():
    one, other = build(seed=0, tasks=TASKS), build(seed=1, tasks={**TASKS, "streaks": ("absent", "present")})
    before, state = ({name: v.clone() for name, v in m.state_dict().items()} for m in (one, other))
    found = runpy.run_path(str(SCRIPT))["average"]([one, other], [0.75, 0.25]).state_dict()
    assert found.keys() == before.keys()
    for name, values in before.items():
        shared = name in state and state[name].shape == values.shape and values.is_floating_point()
        torch.testing.assert_close(found[name], 0.75 * values + 0.25 * state[name] if shared else values)
    assert not torch.equal(found["heads.diagnosis.weight"], before["heads.diagnosis.weight"])
    assert torch.equal(found["heads.streaks.weight"], before["heads.streaks.weight"])


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
