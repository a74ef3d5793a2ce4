"""benchmarks/rare_class.py: the ranking of a class by its own logit and by that of others."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs amfzoo[train]")
from amfzoo.errors import ConfigError  # noqa: E402
from amfzoo.evaluation import Cases  # noqa: E402
from benchmarks.rare_class import main, ranking  # noqa: E402

CLASSES = ("NV", "MEL", "BCC", "MAL_OTH")


@pytest.fixture
def cases():
    random = np.random.default_rng(0)
    logits = random.normal(size=(40, 4))
    labels = np.arange(40) % 4
    labels[:3] = -1  # not known
    logits[labels == 3, 1] += 2
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Cases(
        ids=[str(i) for i in range(40)],
        tasks={"diagnosis": CLASSES},
        labels={"diagnosis": labels},
        probabilities={"diagnosis": probabilities},
    )


@pytest.mark.parametrize("share", [0.0, 0.75, 1.0])
def test_the_ranking_is_of_the_geometric_mean_of_probabilities(cases, share):
    known = cases.labels["diagnosis"] >= 0
    p, labels = cases.probabilities["diagnosis"][known], cases.labels["diagnosis"][known]
    score = p[:, 3] ** (1 - share) * np.sqrt(p[:, 1] * p[:, 2]) ** share
    mine, others = score[labels == 3], score[labels != 3]
    expected = np.mean([a > b for a in mine for b in others])  # the share of pairs in the right order
    assert ranking(cases, "diagnosis", "MAL_OTH", ("MEL", "BCC"), share) == (pytest.approx(expected), len(mine))


def test_the_table_has_a_row_for_each_file(cases, tmp_path, capsys):
    cases.write(tmp_path / "a.csv")
    main([str(tmp_path / "a.csv"), "--class", "MAL_OTH", "--like", "MEL", "BCC"])
    *_, row = capsys.readouterr().out.strip().splitlines()
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == [str(tmp_path / "a.csv"), "10"] and len(cells) == 7
    assert float(cells[5]) == pytest.approx(ranking(cases, "diagnosis", "MAL_OTH", ("MEL", "BCC"), 0.75)[0], abs=6e-4)


def test_several_tables_have_a_mean(cases, tmp_path, capsys):
    cases.write(tmp_path / "a.csv")
    cases.select(np.arange(40) < 25).write(tmp_path / "b.csv")
    main([*(str(tmp_path / name) for name in ("a.csv", "b.csv")), "--class", "MAL_OTH", "--like", "MEL"])
    *_, one, other, mean = ([cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines())
    assert mean[1] == "mean of 2" and one != other
    for column in range(3, 8):
        assert float(mean[column]) == pytest.approx((float(one[column]) + float(other[column])) / 2, abs=6e-4)


def test_a_class_that_is_not_there_is_named(cases):
    with pytest.raises(ConfigError, match="task 'diagnosis' has no class 'SCCKA'; it has"):
        ranking(cases, "diagnosis", "MAL_OTH", ("SCCKA",), 0.5)
    none = cases.select(cases.labels["diagnosis"] != 3)
    with pytest.raises(ConfigError, match="no case is MAL_OTH"):
        ranking(none, "diagnosis", "MAL_OTH", ("MEL",), 0.5)
