"""`amfzoo data`: what it prints, writes and exits with."""

from __future__ import annotations

import csv
import json

import pytest

from amfzoo.cli import main
from amfzoo.data.synthetic import draw_pair


def run(*arguments: object) -> int:
    return main(["data", *map(str, arguments)])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A clean table of ten lesions, with columns of its own names."""
    folder = tmp_path_factory.mktemp("table")
    with open(folder / "mine.csv", "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "photo", "scope", "who", "dx"])
        for n in range(10):
            pair = draw_pair(seed=n, size=(64, 48))
            pair.clinical.save(folder / f"c{n}.png")
            pair.dermoscopy.save(folder / f"d{n}.png")
            writer.writerow([f"L{n}", f"c{n}.png", f"d{n}.png", f"P{n // 2}", ("nv", "mel")[n // 2 % 2]])
    return folder / "mine.csv"


COLUMNS = (
    "--clinical",
    "photo",
    "--dermoscopy",
    "scope",
    "--id",
    "case",
    "--patient",
    "who",
    "--label",
    "diagnosis=dx:nv|mel",
)


def test_check_of_clean_data(table, capsys):
    assert run("check", table, *COLUMNS) == 0
    out = capsys.readouterr().out
    assert "mine.csv: 10 lesions, 20 images" in out and out.rstrip().endswith("no faults")
    assert [line.split() for line in out.splitlines() if line.startswith(("nv", "mel"))] == [["nv", "6"], ["mel", "4"]]


@pytest.mark.parametrize("column", ["dx", "dx: final [mm]", "dx [nv|BCC: nodular]"])
def test_columns_and_classes_that_are_named_may_hold_colons(tmp_path, capsys, column):
    path = tmp_path / "mine.csv"
    path.write_text(f"id,dermoscopy,{column}\nA,none.png,nv\nB,none.png,BCC: nodular\n")
    run("check", path, "--label", f"finding={column}:nv|BCC: nodular", "--json", "--workers", 1)
    assert json.loads(capsys.readouterr().out)["counts"]["finding"]["all"]["BCC: nodular"] == 1


def test_check_as_json_exits_with_1_on_faults(table, capsys, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("id,dermoscopy,diagnosis [nv|mel]\nA,none.png,nv\nB,,mell\n")
    assert run("check", bad, "--json", "--workers", 2) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False and report["lesions"] == 2
    assert sorted(fault["kind"] for fault in report["faults"]) == ["missing-file", "no-image", "unknown-label"]


def test_warnings_do_not_fail(table, capsys):
    assert run("check", table, *COLUMNS[:-2]) == 0
    assert "no-labels" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("check",),
        ("check", "nowhere.csv"),
        ("check", "milk10:x"),
        ("check", "x.csv", "--workers", "0"),
        ("check", "x.csv", "--label", "dx"),
        ("check", "milk10k:.", "--schema", "derm7pt"),
        ("split", "nowhere.csv", "--out", "x"),
        ("export", "nowhere.csv"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2


def test_an_option_that_a_reader_does_not_have_is_named_as_it_was_given(capsys):
    assert run("check", "milk10k:.", "--label", "diagnosis=dx") == 2
    assert "--label is for tables of your own: the reader 'milk10k' has no option 'labels'" in capsys.readouterr().err


def test_split_export_and_check_again(table, capsys, tmp_path):
    split, out = tmp_path / "split.csv", tmp_path / "out.csv"
    assert run("split", table, *COLUMNS, "--valid", 0.4, "--seed", 3, "--out", split) == 0
    assert capsys.readouterr().out == f"{split}: train 6, valid 4, test 0\n"
    assert run("export", table, *COLUMNS, "--splits", split, "--out", out) == 0
    assert run("split", out, "--out", tmp_path / "again.csv") == 0
    assert "splits already (train 6, valid 4); these are dropped" in capsys.readouterr().err
    assert run("check", out) == 0
    with open(out, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["lesion_id"] for row in rows] == [f"L{n}" for n in range(10)]
    where = {(row["patient_id"], row["split"]) for row in rows}
    assert len(where) == 5 and {split for _, split in where} == {"train", "valid"}


def test_another_split_or_table_is_not_overwritten(table, capsys, tmp_path):
    split, out = tmp_path / "split.csv", tmp_path / "out.csv"
    for command in (("split", table, *COLUMNS, "--seed"), ("split", table, *COLUMNS, "--seed")):
        assert run(*command, 3, "--out", split) == 0  # the same again is no loss
    before = split.read_bytes()
    assert run("split", table, *COLUMNS, "--seed", 4, "--out", split) == 2
    assert f"{split}: is there already" in capsys.readouterr().err and split.read_bytes() == before
    assert run("split", table, *COLUMNS, "--seed", 4, "--out", split, "--overwrite") == 0
    assert split.read_bytes() != before
    assert run("export", table, *COLUMNS, "--out", out) == 0
    before = out.read_bytes()
    assert run("export", table, *COLUMNS, "--splits", split, "--out", out) == 2 and out.read_bytes() == before
    assert run("export", table, *COLUMNS, "--splits", split, "--out", out, "--overwrite") == 0


def test_split_can_keep_copies_together(table, tmp_path, capsys):
    rows = ["id,clinical"]
    for n in range(5):  # copies on disk, which only reading shows
        (tmp_path / f"x{n}.png").write_bytes((table.parent / f"c{n}.png").read_bytes())
        rows += [f"M{n},{table.parent}/c{n}.png", f"M{n + 5},x{n}.png"]
    (tmp_path / "copies.csv").write_text("\n".join(rows))

    def parted(*options):
        assert (
            run(
                "split",
                tmp_path / "copies.csv",
                "--stratify",
                "none",
                "--valid",
                0.4,
                *options,
                "--overwrite",
                "--out",
                tmp_path / "s.csv",
            )
            == 0
        )
        with open(tmp_path / "s.csv", newline="") as stream:
            found = {row["lesion_id"]: row["split"] for row in csv.DictReader(stream)}
        assert set(found.values()) == {"train", "valid"}
        return [n for n in range(5) if found[f"M{n}"] != found[f"M{n + 5}"]]

    assert parted() and not parted("--copies")


@pytest.mark.parametrize("shares, note", [
    (("--valid", 0.98), "no lesion has come to train (0.02): 10 lesions"),
    (("--folds", 2, "--test", 0.98), "no lesion has come to train (0.01) and valid (0.01): 10 lesions"),
])  # fmt: skip
def test_a_split_that_leaves_nothing_to_train_on_is_said(table, tmp_path, capsys, shares, note):
    assert run("split", table, *COLUMNS, *shares, "--out", tmp_path / "s.csv") == 0
    assert f"note: {note}" in capsys.readouterr().err


def test_folds(table, tmp_path, capsys):
    valid = []
    for fold in range(2):
        assert run("split", table, *COLUMNS, "--folds", 2, "--fold", fold, "--out", tmp_path / f"{fold}.csv") == 0
        with open(tmp_path / f"{fold}.csv", newline="") as stream:
            valid += [row["lesion_id"] for row in csv.DictReader(stream) if row["split"] == "valid"]
    assert sorted(valid) == [f"L{n}" for n in range(10)]
    assert run("split", table, *COLUMNS, "--folds", 2, "--valid", 0.1, "--out", tmp_path / "f.csv") == 2
    assert "not allowed with argument" in capsys.readouterr().err


def test_names_of_patients_that_differ_by_case_are_told(tmp_path, capsys):
    lines = [f"L{n},d{n}.jpg,{'Pp'[n % 2]}{n // 2},{'nv' if n < 10 else 'mel'}" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["lesion_id,dermoscopy,patient,diagnosis", *lines]) + "\n")
    assert run("split", tmp_path / "t.csv", "--out", tmp_path / "s.csv") == 0
    assert "count as different people (P0, p0; P1, p1; P2, p2; ...)" in capsys.readouterr().err
