"""The tutorial runs as it is printed, block after block, on the lesions that it draws."""

import re
import shlex
from pathlib import Path

import pytest

from amfzoo.cli import main

TUTORIAL = Path(__file__).resolve().parent.parent / "examples" / "fine_tune_on_your_own_pairs.md"


@pytest.mark.slow
@pytest.mark.skipif(not TUTORIAL.exists(), reason="needs a checkout: a wheel has no examples")
def test_every_block_runs(tmp_path, monkeypatch):
    for package in ("accelerate", "sklearn", "matplotlib"):
        pytest.importorskip(package, reason="the tutorial needs the extra [train]")
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    blocks = re.findall(r"```(python|bash)\n(.*?)```", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL)
    assert [kind for kind, _ in blocks] == ["python", "bash", "python", "python", "bash", "python"]
    for kind, code in blocks:
        if kind == "python":
            exec(compile(code, str(TUTORIAL), "exec"), scope)
        else:
            for line in code.strip().splitlines():
                assert main(shlex.split(line)[1:]) == 0, line
    assert scope["lesions"].counts("finding") == {"plain": 24, "veil": 24}
    assert len(scope["result"].history) == 2
    assert (tmp_path / "run" / "report" / "report.html").stat().st_size > 10_000
    assert sum(scope["answer"].probabilities["streaks"].values()) == pytest.approx(1)
