"""One network from several sources: criteria that are only absent or present beside a graded table."""

from __future__ import annotations

import csv
import json

import pytest
from lesions import TINY, squares

from amfzoo.cli import exit_codes
from amfzoo.cli.main import main


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A graded table of pairs, and dermoscopy whose streaks are absent or present only."""
    root = tmp_path_factory.mktemp("sources")
    with open(root / "graded.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lesion_id", "clinical", "dermoscopy", "diagnosis [nv|mel]", "streaks"])
        for number, lesion in enumerate(squares(root / "pairs", 24, gaps=False)):
            grade = ("absent", "regular", "irregular")[number % 3]
            table.writerow([lesion.id, lesion.clinical, lesion.dermoscopy, ("nv", "mel")[number % 2], grade])
    with open(root / "isic2018_task2.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_id", "pigment_network", "streaks", "globules"])
        for number, lesion in enumerate(squares(root / "isic", 25, gaps=False)):
            lesion.dermoscopy.rename(root / "isic" / f"ISIC_{number}.png")
            table.writerow([f"ISIC_{number}", number // 2 % 2, number % 2, ""])
    return "--data", str(root / "graded.csv"), "--data", f"isic2018-task2:{root}", "--schema", "derm7pt"


@pytest.fixture(scope="module")
def run(sources, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    settings = [part for name, value in {**TINY, "epochs": 1}.items() for part in ("--set", f"{name}={value}")]
    assert main(["train", "--model", "amf_test", *sources, "--out", str(out), "--device", "cpu", "-q", *settings]) == 0
    return out


@pytest.mark.slow
def test_candidates_come_from_the_source_that_does_not_grade(sources, tmp_path, capsys):
    code = main(
        ["train", "--model", "amf_test", *sources, "--out", str(tmp_path / "run"), "--device", "cpu", "--dry-run"]
    )
    lines = capsys.readouterr().out.replace("(several candidates)", "several").splitlines()
    tables = (line.split() for line in lines)
    rows = {tuple(cells[:2]): sum(map(int, cells[2:])) for cells in tables if len(cells) == 5 and cells[-1].isdigit()}
    assert code == exit_codes.OK
    assert rows["streaks", "irregular"] == 8 and rows["streaks", "absent"] == 8 + 13
    assert rows["streaks", "several"] == 12 and rows["diagnosis", "mel"] == 12


@pytest.mark.slow
def test_one_network_answers_the_tasks_of_all_sources(run):
    tasks = json.loads((run / "model" / "config.json").read_text())["tasks"]
    assert tasks["diagnosis"] == ["nv", "mel"] and tasks["streaks"] == ["absent", "regular", "irregular"]
    assert set(tasks) == {"diagnosis", "streaks", "pigment_network", "dots_and_globules"}


def test_figures_of_one_image_are_of_lesions_that_have_it(run):
    rows = [line for line in (run / "summary.md").read_text().splitlines() if "| pigment_network |" in line]
    figures = {row.split("|")[1].strip(): row.split("|")[3].strip() for row in rows}
    assert figures["clinical"] == "-" and figures["both"] == figures["dermoscopy"] != "-"


def test_the_splits_of_the_run_fit_its_sources_again(sources, run, capsys):
    code = main(["evaluate", "--model", f"local-dir:{run / 'model'}", *sources, "--splits", str(run / "split.csv"),
                 "--split", "valid", "--resamples", "0", "--json", "-q"])  # fmt: skip
    modes = json.loads(capsys.readouterr().out)["modes"]
    validation = sum(",valid," in line for line in (run / "split.csv").read_text().splitlines())
    assert code == exit_codes.OK and modes["both"]["cases"] == validation > modes["clinical"]["cases"]


def test_an_option_that_fits_no_source_is_wrong_usage(sources, tmp_path, capsys):
    root = sources[3]
    code = main(["data", "check", root, root, "--patient", "who"])
    assert code == exit_codes.USAGE and "has no option 'patient'" in capsys.readouterr().err
