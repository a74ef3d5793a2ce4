"""`amfzoo train` as its own little program."""

from __future__ import annotations

import csv
import itertools
import re
from types import SimpleNamespace

import pytest

from amfzoo import create_model
from amfzoo.cli import exit_codes, main, train
from amfzoo.training.checkpoint import load_checkpoint
from amfzoo.training.config import load_config, parse_setting


@pytest.fixture
def table(data, tmp_path):
    """The lesions as a user's CSV file."""
    path = tmp_path / "mine.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lesion_id", "clinical", "dermoscopy", "patient", "diagnosis"])
        for lesion in data:
            label = lesion.labels.get("colour", "")
            row = [lesion.id, lesion.clinical or "", lesion.dermoscopy or "", lesion.patient or ""]
            writer.writerow([*row, label if isinstance(label, str) else ""])
    return path


def _run(*arguments: object) -> int:
    return main(["train", *map(str, arguments)])


def _options(tiny: dict, **changes) -> list[str]:
    return [part for name, value in {**tiny, **changes}.items() for part in ("--set", f"{name}={value}")]


def test_a_users_table_is_trained_on(table, tiny, tmp_path, capsys):
    code = _run("--model", "amf_test", "--data", table, "--out", tmp_path / "run", "--device", "cpu", "--seed", 3, "--valid", 0.3,
                *_options(tiny, epochs=1))  # fmt: skip
    printed = capsys.readouterr()
    assert code == exit_codes.OK
    assert "# amf_test on" in printed.out and "epoch 1/1" in printed.err
    train, valid = re.match(r"(\d+) lesions to train on, (\d+) held out; 1 epochs of 3 steps\n", printed.err).groups()
    assert f"{train} training, {valid} validation lesions" in printed.out
    assert (tmp_path / "run" / "model" / "config.json").exists()


def test_a_log_is_told_how_far_the_run_is_ever_less_often(table, tiny, tmp_path, capsys, monkeypatch):
    moments = itertools.count(0, 45.0)  # each look at the clock
    monkeypatch.setattr("amfzoo.training.report.time", SimpleNamespace(monotonic=lambda: next(moments)))
    _run(
        "--model", "amf_test", "--data", table, "--out", tmp_path / "run", "--device", "cpu", *_options(tiny, epochs=4)
    )
    said = [int(step) for step in re.findall(r"^step (\d+) of 12, epoch", capsys.readouterr().err, re.MULTILINE)]
    assert said == [2, 6]  # the line of an epoch counts, too


def test_a_changed_network_is_trained_and_does_not_pass_for_the_named_one(table, tiny, tmp_path, capsys):
    run = ("--model", "amf_test", "--data", table, "--out", tmp_path / "run", "--device", "cpu", "--network", "fusion=none",
           "--network", "pool-clinical=true", *_options(tiny, epochs=1))  # fmt: skip
    assert _run(*run) == exit_codes.OK
    assert "# amf_test with fusion=none on mine.csv" in capsys.readouterr().out
    model = create_model(f"local-dir:{tmp_path / 'run' / 'model'}")
    assert (
        model.config.fusion == "none"
        and "# amf_test with fusion=none" in (tmp_path / "run/model/README.md").read_text()
    )
    for option, wrong, said in (
        ("--network", "dropout=0.5", "network setting dropout: training sets it"),
        ("--network", "fusoin=none", "fusion"),
        (
            "--set",
            "dermoscopy=convnext_tiny",
            "'dermoscopy' is a setting of the network, not of the training: --network",
        ),
    ):
        assert _run(*run, option, wrong) == exit_codes.USAGE
        assert said in capsys.readouterr().err


def test_given_splits_are_kept(table, data, tiny, tmp_path, capsys):
    splits = tmp_path / "splits.csv"
    splits.write_text(
        "lesion_id,split\n"
        + "".join(f"{lesion.id},{'valid' if i < 12 else 'train'}\n" for i, lesion in enumerate(data))
    )
    _run(
        "--model",
        "amf_test",
        "--data",
        table,
        "--splits",
        splits,
        "--out",
        tmp_path / "run",
        "--device",
        "cpu",
        "-q",
        *_options(tiny, epochs=1),
    )
    written = (tmp_path / "run" / "split.csv").read_text().splitlines()
    assert [line.rpartition(",")[0] for line in written] == splits.read_text().splitlines()
    assert "epoch" not in capsys.readouterr().err


def test_a_dry_run_tells_what_would_be_done_and_writes_nothing(table, tiny, tmp_path, capsys):
    code = _run(
        "--model",
        "amf_test",
        "--data",
        table,
        "--out",
        tmp_path / "run",
        "--device",
        "cpu",
        "--dry-run",
        *_options(tiny),
    )
    text = capsys.readouterr().out
    assert code == exit_codes.OK and not (tmp_path / "run").exists()
    assert "epochs: 3" in text and "M parameters" in text and "per epoch on cpu" in text
    listed = re.findall(r"^  (\w+): (.*)$", text.partition("\nmodel\n")[0], re.MULTILINE)
    assert ("border", "null") in listed and ("flip", "true") in listed and ("metric", "macro_f1") in listed
    again = load_config(**dict(parse_setting("=".join(setting)) for setting in listed))  # --set takes what is shown
    assert again.epochs == 3 and again.border is None and again.flip is True
    line = next(line for line in text.splitlines() if line.split()[:2] == ["diagnosis", "red"])
    assert sum(map(int, line.split()[2:])) > 5
    assert "(unknown)" in text


def test_a_dry_run_needs_no_folder_and_a_run_does(table, tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    where = ("--model", "amf_test", "--data", table, "--device", "cpu", *_options(tiny))
    assert _run(*where, "--dry-run") == exit_codes.OK and sorted(tmp_path.rglob("*")) == before
    assert _run(*where) == exit_codes.USAGE and "--out is needed" in capsys.readouterr().err


def test_a_dry_run_of_several_seeds_finds_that_no_lesion_is_for_testing(table, tiny, tmp_path, capsys):
    where = ("--model", "amf_test", "--data", table, "--out", tmp_path, "--device", "cpu", "--dry-run")
    assert _run(*where, "--seeds", "2", *_options(tiny)) != exit_codes.OK
    assert "amfzoo data split --test" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("optimizer=adamm", "adamm"),
        ("freeze=heads", "would stay random"),
        ("class_weights={diagnosis: {rde: 3}}", "no class 'rde'"),
        ("accumulate=5", "lower accumulate"),
    ],
)
def test_a_dry_run_finds_what_a_run_would_refuse(table, tiny, tmp_path, capsys, setting, says):
    where = ("--model", "amf_test", "--data", table, "--out", tmp_path, "--device", "cpu", "--dry-run")
    assert _run(*where, *_options(tiny), "--set", setting) == exit_codes.USAGE
    assert says in capsys.readouterr().err


def test_a_dry_run_looks_at_every_fold_and_counts_the_lesions_that_the_network_reads(table, tiny, tmp_path, capsys):
    where = ("--model", "amf_test", "--data", table, "--device", "cpu", "--dry-run", *_options(tiny))
    assert _run(*where, "--set", "valid=0", "--network", "clinical=null") == exit_codes.OK
    read = [row["diagnosis"] and row["dermoscopy"] for row in csv.DictReader(table.read_text().splitlines())]
    assert f"{len(read)} lesions, {sum(map(bool, read))} to train on" in capsys.readouterr().out
    lines = table.read_text().replace("red", "green").replace("blue", "green").splitlines()
    table.write_text("\n".join([*lines[:1], lines[1].replace("green", "red"), *lines[2:]]))
    assert _run(*where, "--folds", 3, "--set", "metric=auroc") == exit_codes.USAGE
    assert re.search("fold [012]: .*auroc is not defined", capsys.readouterr().err)


def test_an_interrupted_run_says_how_to_go_on(table, tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(train.StopSignals, "stop", lambda self: True)
    code = _run("--model", "amf_test", "--data", table, "--out", tmp_path, "--device", "cpu", "-q", *_options(tiny))
    assert code == exit_codes.INTERRUPTED
    assert "the same command goes on" in capsys.readouterr().err
    assert load_checkpoint(tmp_path)["progress"]["step"] == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [(("--set", "epoch=3"), "epochs"), (("--recipe", "defualt"), "default"), (("--label", "x"), "TASK=")],
)
def test_wrong_settings_are_wrong_usage(table, tmp_path, capsys, wrong, says):
    assert _run("--model", "amf_test", "--data", table, "--out", tmp_path, *wrong) == exit_codes.USAGE
    assert says in capsys.readouterr().err


def test_a_label_column_may_have_any_name(table, tiny, tmp_path, capsys):
    code = _run("--model", "amf_test", "--data", table, "--label", "colour=diagnosis:blue|red|green", "--out", tmp_path,
                "--device", "cpu", "--dry-run", *_options(tiny))  # fmt: skip
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines() if line.startswith("  colour")]
    assert code == exit_codes.OK and [row[1] for row in rows[:3]] == ["blue", "red", "green"]
