"""examples/changed_run.py: a changed network is calibrated anew and written as a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_case import pictures
from networks import build, settle

from amfzoo import create_model
from amfzoo.data.records import Lesion, LesionSet

pytest.importorskip("sklearn", reason="needs amfzoo[train]")
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
from changed_run import save_changed  # noqa: E402

TASKS = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}


def test_what_was_fitted_before_is_fitted_anew(tmp_path, capsys):
    pictures(tmp_path)
    images = [(tmp_path / f"c{i % 2}.jpg", tmp_path / f"d{i % 2}.jpg") for i in range(40)]
    labels = [{"diagnosis": ("NV", "MEL")[i % 2]} for i in range(40)]
    lesions = tuple(Lesion(str(i), *pair, label) for i, (pair, label) in enumerate(zip(images, labels)))
    model = settle(build(tasks=TASKS)).eval()
    model.config = model.config.replace(temperatures={"diagnosis": 7.0, "streaks": 7.0})
    run, out = tmp_path / "run", tmp_path / "out"
    run.mkdir()
    (run / "split.csv").write_text("lesion_id,split\n0,valid\n")
    save_changed(model, LesionSet("x", lesions, TASKS), run, out)
    kept = create_model(f"local-dir:{out}/model")
    assert kept.config.temperatures == model.config.temperatures and kept.config.temperatures.keys() <= {"diagnosis"}
    assert kept.config.temperatures.get("diagnosis") != 7.0
    assert (out / "split.csv").read_text() == (run / "split.csv").read_text()
    assert str(out) in capsys.readouterr().out
