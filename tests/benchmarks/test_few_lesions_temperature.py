"""Temperatures from few lesions: what the ways give, and that the table undoes the temperature of the answers."""

from __future__ import annotations

import numpy as np
import pytest
from cli_case import tiny_model
from evaluation_cases import CLASSES, make
from scipy.special import softmax

from amfzoo.evaluation.calibration import fit_temperature
from benchmarks import few_lesions_temperature as study


def test_the_ways_are_what_they_are_called():
    cases = make(30, skill=2.0)
    labels, p = cases.labels["diagnosis"], cases.probabilities["diagnosis"]
    found = {way: fit(labels, p) for way, fit in study.WAYS.items()}
    assert found[f"prior {study.PRIOR:g}"] == pytest.approx(fit_temperature(labels, p))
    assert found["none"] == 1 and found["prior 0.3"] > found["prior 1"] > found["likelihood"]  # held nearer to 1
    grid = np.linspace(0.1, 2, 400)
    losses = np.array([study.log_loss(labels, p, t) for t in grid])
    assert found["likelihood"] == pytest.approx(grid[np.argmin(losses)], abs=0.01)
    for width in study.PRIORS:
        best = grid[np.argmin(30 * losses + np.log(grid) ** 2 / (2 * width**2))]
        assert found[f"prior {width:g}"] == pytest.approx(best, abs=0.01)
    # a case of its own class with weight 31 / 32, and of each of the two others with half of the rest
    mixed = [
        31 / 32 * study.log_loss(labels, p, t) + sum(study.log_loss((labels + k) % 3, p, t) / 64 for k in (1, 2))
        for t in grid
    ]
    assert found["Platt"] == pytest.approx(grid[np.argmin(mixed)], abs=0.01)
    rows = np.flatnonzero(p.argmax(1) == labels)[:5]
    right = labels[rows], p[rows]
    assert (
        study.likelihood(*right) < 0.06 < 0.4 < study.WAYS["prior 0.4"](*right)
    )  # five that are right make nothing certain


def test_the_table_is_of_the_answers_without_their_temperature(tmp_path, monkeypatch, capsys):
    model = tiny_model(tasks={"diagnosis": CLASSES})
    model.config = model.config.replace(temperatures={"diagnosis": 2.0})
    run = tmp_path / "runs" / "fine-tuned-100-0"
    model.save_pretrained(run / "model")
    cases = make(600)  # as probable as they say, so that 2 is right, and without it 1 would be found
    cases.write(run / "test.csv")
    monkeypatch.setattr(study, "RELEASED", tmp_path / "none")
    study.main(["--runs", str(tmp_path / "runs"), "--draws", "3", "--out", str(tmp_path / "table.md")])
    text = (tmp_path / "table.md").read_text()
    assert text == capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    assert [row[3] for row in rows] == [str(size) for size in study.SIZES]
    labels, p = cases.labels["diagnosis"], softmax(2 * np.log(cases.probabilities["diagnosis"]), axis=1)
    lowest = study.likelihood(labels, p)
    expected = study.beyond(lowest, labels, p, 20, 3)
    assert rows[1][:3] == ["fine-tuned, fine_tuning.md", "1", f"{lowest:.2f}"]
    assert rows[1][4:] == [f"{value:.3f}" for value in expected.values()]
    assert float(rows[1][2]) == pytest.approx(2, rel=0.15) and float(rows[1][4]) > 0.05
