"""The folds of a cross-validation are evaluated as one table."""

from __future__ import annotations

import json

import numpy as np
import pytest
from evaluation_cases import make
from sklearn.metrics import accuracy_score, f1_score

from amfzoo import ConfigError
from amfzoo.cli.main import main
from amfzoo.evaluation import Cases, join_folds, task_scores

WHOLE = make(60, skill=2, metadata={"sex": ["f", "m"] * 30}, groups=[f"patient:P{i // 2}" for i in range(60)])


def fold(number: int, count: int = 3, **fields) -> Cases:
    rows = np.arange(len(WHOLE)) % count == number
    part = WHOLE.select(rows)
    values = {name: getattr(part, name) for name in ("ids", "tasks", "labels", "probabilities", "groups", "metadata")}
    return Cases(**{**values, "model": f"net {number}", **fields})


def test_every_lesion_is_there_once_with_all_that_is_known_of_it():
    found = join_folds([fold(i) for i in range(3)])
    assert len(found) == 60 and found.model == "3 folds: net 0, net 1, net 2"
    same = WHOLE.aligned(found)
    np.testing.assert_array_equal(same.probabilities["diagnosis"], WHOLE.probabilities["diagnosis"])
    assert (same.groups, dict(same.metadata)) == (WHOLE.groups, dict(WHOLE.metadata))
    scores, labels = task_scores(found, "diagnosis"), found.labels["diagnosis"]
    answers = found.probabilities["diagnosis"].argmax(1)
    assert scores["accuracy"].value == pytest.approx(accuracy_score(labels, answers))
    assert scores["macro_f1"].value == pytest.approx(f1_score(labels, answers, average="macro"))


def test_patients_in_several_folds_are_warned_of(caplog):
    join_folds([fold(i) for i in range(3)])
    assert "30 patients have lesions in several folds (P0, P1, P10, ...)" in caplog.text
    caplog.clear()
    apart = [WHOLE.select(np.arange(60) // 20 == i) for i in range(3)]
    assert len(join_folds(apart)) == 60 and not caplog.records


def test_what_is_called_and_the_split_go_along():
    called = {"diagnosis": np.arange(20) % 3}
    parts = [fold(i, called=called, splits=["valid"] * 20) for i in range(3)]
    found = join_folds(parts)
    assert set(found.splits) == {"valid"}
    np.testing.assert_array_equal(found.called["diagnosis"], np.tile(called["diagnosis"], 3))
    assert not join_folds([*parts[:2], fold(2)]).called  # one fold has no point


def test_classes_in_another_order_are_the_same():
    other = fold(1)
    turned = Cases(
        other.ids,
        {"diagnosis": other.tasks["diagnosis"][::-1]},
        {"diagnosis": 2 - other.labels["diagnosis"]},
        {"diagnosis": other.probabilities["diagnosis"][:, ::-1]},
    )
    found, expected = (join_folds([fold(0), part]) for part in (turned, other))
    np.testing.assert_array_equal(found.probabilities["diagnosis"], expected.probabilities["diagnosis"])
    np.testing.assert_array_equal(found.labels["diagnosis"], expected.labels["diagnosis"])
    assert found.metadata["sex"][-1] == ""  # one fold did not record it


def renamed(cases: Cases) -> Cases:
    return Cases([f"other {name}" for name in cases.ids], cases.tasks, cases.labels, cases.probabilities)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (fold(0), "lesion 'L0' is in fold 1 and in fold 2"),
        (fold(1, mode="clinical"), "fold 2 is of the mode 'clinical'"),
        (renamed(make(3, classes=("A", "B", "C"))), "fold 2 has other tasks or classes"),
    ],
)
def test_tables_that_are_no_folds(second, words):
    with pytest.raises(ConfigError, match=words):
        join_folds([fold(0), second])


def test_the_command(tmp_path, capsys):
    paths = [tmp_path / f"{i}.csv" for i in range(3)]
    for i, path in enumerate(paths):
        fold(i).write(path)
    assert main(["evaluate", *map(str, paths), "--resamples", "0"]) == 2
    assert "--folds" in capsys.readouterr().err
    assert main(["evaluate", *map(str, paths), "--folds", "--resamples", "0", "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = task_scores(join_folds([fold(i) for i in range(3)]), "diagnosis")["macro_f1"].value
    assert json.dumps(found).count(f"{expected}") and "60" in json.dumps(found)
    assert main(["evaluate", *map(str, paths), str(paths[0]), "--folds"]) == 2
    assert "lesion 'L0' is in fold 1 and in fold 4" in capsys.readouterr().err


def test_modes_are_joined_apart_and_so_are_the_tables_of_another_model(tmp_path, capsys):
    apart = [WHOLE.select(np.arange(60) // 20 == i) for i in range(3)]
    for i, part in enumerate(apart):
        for mode in ("both", "dermoscopy"):
            fields = {name: getattr(part, name) for name in ("ids", "tasks", "labels", "probabilities", "groups")}
            Cases(**fields, mode=mode).write(tmp_path / f"{mode}{i}.csv")
    both, alone = ([str(tmp_path / f"{mode}{i}.csv") for i in range(3)] for mode in ("both", "dermoscopy"))
    command = ["evaluate", *both, *alone, "--against", *both, "--folds", "--resamples", "0", "-q"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "both images: 60 cases" in said.out and "dermoscopy" in said.out and "several folds" not in said.err
    assert main(["evaluate", "--model", "amf_test", "--data", "x.csv", "--folds"]) == 2
    assert "--folds is for tables" in capsys.readouterr().err
