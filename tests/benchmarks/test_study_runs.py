"""A whole study of some seconds: run, stopped, taken up, reported."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from lesions import TINY, squares

from amfzoo.data.export import write_csv
from amfzoo.evaluation import Cases, task_scores
from benchmarks.asymmetry import runs
from benchmarks.asymmetry.__main__ import main
from benchmarks.asymmetry.runs import with_one_split

RECIPE = {key: value for key, value in TINY.items() if key != "valid"} | {
    "epochs": 1,
    "modality_dropout": 0.0,
    "auxiliary": 0.0,
}
PLAN = {
    "recipe": RECIPE,
    "seeds": [0, 1],
    "families": {"test": {"model": "amf_test"}},
    "control": "symmetric",
    "variants": {
        "asymmetric": {"title": "asymmetric"},
        "symmetric": {"title": "symmetric | mutual", "network": {"clinical": "heavy", "fusion": "mutual"}},
        "dermoscopy": {"network": {"clinical": None}},
    },
    "ablated": "asymmetric",
    "ablations": {"auxiliary": {"recipe": {"auxiliary": 0.3}}},
}
ROWS = 4


def command(folder: Path, out: Path, *more: str) -> list[str]:
    return ["run", "--data", str(folder / "lesions.csv"), "--config", str(folder / "study.yaml"), "--out", str(out), "-q",
            "--device", "cpu", *more]  # fmt: skip


pytestmark = pytest.mark.slow  # small studies, but each run of them trains


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Table of 32 drawn lesions, and the plan."""
    folder = tmp_path_factory.mktemp("study")
    write_csv(with_one_split(squares(folder / "images", 32, gaps=False)), folder / "lesions.csv")
    (folder / "study.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    return folder


@pytest.fixture(scope="module")
def done(data) -> Path:
    """The folder of the finished study."""
    assert main(command(data, data / "out")) == 0
    return data / "out"


def test_every_run_leaves_its_predictions(done):
    files = sorted(done.glob("runs/test/*/seed-*/validation.csv"))
    assert len(files) == ROWS * len(PLAN["seeds"])
    ids = {tuple(Cases.read(file).ids) for file in files}
    held_out = [row["lesion_id"] for row in csv.DictReader((done / "split.csv").open()) if row["split"] == "valid"]
    assert ids == {tuple(held_out)}
    assert not list(done.glob("runs/**/checkpoint.pt"))


def test_finished_runs_are_not_trained_again(data, done, monkeypatch):
    monkeypatch.setattr(runs, "finetune", lambda *_, **__: pytest.fail("trained again"))
    assert main(command(data, done)) == 0


def test_a_missing_run_alone_is_trained(data, done, monkeypatch):
    folder = done / "runs" / "test" / "dermoscopy" / "seed-1"
    (folder / "run.json").write_text(json.dumps({**json.loads((folder / "run.json").read_text()), "finished": None}))
    before = (folder / "validation.csv").read_bytes()
    trained = []
    original = runs.finetune
    monkeypatch.setattr(runs, "finetune", lambda *args, **more: trained.append(more["out"]) or original(*args, **more))
    assert main(command(data, done)) == 0
    assert trained == [folder]
    assert (folder / "validation.csv").read_bytes() == before


def test_a_stopped_study_goes_on_to_the_same_predictions(data, done, tmp_path, monkeypatch, capsys):
    original = runs.finetune
    asked = []
    stop = {"should_stop": lambda: len(asked) >= 2 or bool(asked.append(1))}
    monkeypatch.setattr(runs, "finetune", lambda *args, **more: original(*args, **{**more, **stop}))
    arguments = command(data, tmp_path, "--row", "asymmetric", "--seeds", "1")
    assert main(arguments) == 130
    folder = Path("runs/test/asymmetric/seed-1")
    assert (tmp_path / folder / "checkpoint.pt").exists() and not (tmp_path / folder / "validation.csv").exists()
    monkeypatch.setattr(runs, "finetune", original)
    assert main(arguments) == 0
    assert (tmp_path / folder / "validation.csv").read_bytes() == (done / folder / "validation.csv").read_bytes()


@pytest.mark.parametrize(
    "change", [["--set", "lr=0.001"], ["--weights", "test_resnet=random", "--weights", "test_efficientnet=random"]]
)
def test_runs_that_were_made_otherwise_are_refused(data, done, change, capsys):
    before = (done / "study.json").read_bytes()
    assert main(command(data, done, *change)) == 1
    error = capsys.readouterr().err
    assert "was made otherwise" in error and ("lr was 0.003, is 0.001" in error or "weights" in error)
    assert (done / "study.json").read_bytes() == before


@pytest.mark.parametrize("more", [[], ["--seeds", "2"]])
def test_another_split_is_refused(data, done, tmp_path, capsys, more):
    """Also where the folder holds other runs than the wanted ones; its own split stays."""
    before = (done / "split.csv").read_text()
    rows = before.splitlines()
    other = "train" if rows[1].endswith("valid") else "valid"
    (tmp_path / "split.csv").write_text("\n".join([rows[0], f"{rows[1].split(',')[0]},{other}", *rows[2:]]) + "\n")
    assert main(command(data, done, "--splits", str(tmp_path / "split.csv"), *more)) == 1
    assert "other lesions, labels, split or image files" in capsys.readouterr().err
    assert (done / "split.csv").read_text() == before


def test_report_recomputes_from_the_predictions(done, capsys):
    assert main(["cost", "--out", str(done), "--rounds", "1", "--batch-size", "2", "--device", "cpu"]) == 0
    assert main(["report", "--out", str(done), "--resamples", "50"]) == 0
    text = (done / "results.md").read_text()
    assert "symmetric \\| mutual" in text and "Not complete" not in text
    rows = {row["row"]: row for row in csv.DictReader((done / "results.csv").open())}
    assert list(rows) == [*PLAN["variants"], *PLAN["ablations"]]
    scores = {
        name: [
            task_scores(Cases.read(file), "colour")["macro_f1"].value
            for file in sorted(done.glob(f"runs/test/{name}/*/validation.csv"))
        ]
        for name in rows
    }
    for name, control in (("asymmetric", "symmetric"), ("dermoscopy", "symmetric"), ("auxiliary", "asymmetric")):
        expected = sum(scores[name]) / 2 - sum(scores[control]) / 2
        assert float(rows[name]["macro_f1_difference"]) == pytest.approx(expected)
        assert rows[name]["control"] == control and float(rows[name]["macro_f1"]) == pytest.approx(
            sum(scores[name]) / 2
        )
    assert rows["symmetric"]["macro_f1_difference"] == "" and float(rows["symmetric"]["speed_ratio"]) == 1
    assert rows["auxiliary"]["parameters"] == rows["asymmetric"]["parameters"] < rows["symmetric"]["parameters"]
    assert (done / "accuracy_against_parameters.svg").read_text().startswith("<?xml")
    assert (done / "accuracy_against_parameters.png").stat().st_size > 10_000


def test_what_is_kept_makes_the_same_report_and_goes_on(data, done, tmp_path, monkeypatch, capsys):
    assert main(["report", "--out", str(done), "--resamples", "20"]) == 0
    expected = capsys.readouterr().out
    for rows in (["--row", "asymmetric", "--row", "auxiliary"], []):  # in two parts
        assert main(["report", "--out", str(done), "--to", str(tmp_path), "--resamples", "20", *rows]) == 0
    assert capsys.readouterr().out.endswith(expected)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".safetensors", ".npy", ".pt")]
    assert main(["report", "--out", str(tmp_path), "--resamples", "20"]) == 0
    assert capsys.readouterr().out == expected
    monkeypatch.setattr(runs, "finetune", lambda *_, **__: pytest.fail("trained again"))
    assert main(command(data, tmp_path)) == 0
    assert main(command(data, tmp_path, "--seeds", "0", "--dry-run")) == 0


def test_rows_may_be_compared_with_another_one(done, tmp_path, capsys):
    report = ["report", "--out", str(done), "--to", str(tmp_path), "--resamples", "20"]
    assert main([*report, "--control", "asymmetric"]) == 0
    capsys.readouterr()
    rows = {row["row"]: row for row in csv.DictReader((tmp_path / "results.csv").open())}
    assert {row["control"] for row in rows.values()} == {"asymmetric"} and rows["asymmetric"][
        "macro_f1_difference"
    ] == ""
    usual = {row["row"]: row for row in csv.DictReader((done / "results.csv").open())}
    turned = -float(usual["asymmetric"]["macro_f1_difference"])
    assert float(rows["symmetric"]["macro_f1_difference"]) == pytest.approx(turned)
    assert main([*report, "--control", "nothing"]) == 1
    assert "no row 'nothing'" in capsys.readouterr().err


def test_no_finished_row_drops_out_of_the_report(data, tmp_path, capsys):
    """Whatever the plan of the last run was."""
    for rows in (["asymmetric", "mine"], ["asymmetric"]):
        plan = {
            **PLAN,
            "variants": {"symmetric": PLAN["variants"]["symmetric"]},
            "ablations": {},
            "ablated": "symmetric",
        }
        for name in rows:
            plan["variants"][name] = PLAN["variants"]["asymmetric"]
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
        arguments = command(data, tmp_path / "out", "--seeds", "0", "--row", rows[-1])
        arguments[arguments.index("--config") + 1] = str(tmp_path / "plan.yaml")
        assert main(arguments) == 0
    assert main(["report", "--out", str(tmp_path / "out"), "--resamples", "20"]) == 0
    rows = [row["row"] for row in csv.DictReader((tmp_path / "out" / "results.csv").open())]
    assert set(rows) == {"asymmetric", "mine"}


def test_rows_of_two_recipes_are_not_compared(data, tmp_path, capsys):
    for row, rate in (("symmetric", "0.003"), ("asymmetric", "0.001")):
        assert main(command(data, tmp_path, "--row", row, "--seeds", "0", "--set", f"lr={rate}")) == 0
    assert main(["report", "--out", str(tmp_path)]) == 1
    assert "lr was 0.003, is 0.001" in capsys.readouterr().err


def test_runs_that_were_made_otherwise_are_not_kept_together(data, done, tmp_path, capsys):
    other = ["--row", "dermoscopy", "--seeds", "1", "--set", "lr=0.001"]
    assert main(command(data, tmp_path, *other)) == 0
    before = (tmp_path / "study.json").read_bytes()
    assert main(["report", "--out", str(done), "--to", str(tmp_path)]) == 1
    assert "lr was 0.001, is 0.003" in capsys.readouterr().err
    assert (tmp_path / "study.json").read_bytes() == before and not (tmp_path / "runs/test/asymmetric").exists()


def test_report_of_an_unfinished_study_says_so(data, tmp_path, capsys):
    assert main(["report", "--out", str(tmp_path)]) == 1
    assert "holds no study" in capsys.readouterr().err
    assert main(command(data, tmp_path, "--row", "dermoscopy", "--seeds", "0")) == 0
    assert main(command(data, tmp_path, "--row", "asymmetric", "--seeds", "1")) == 0
    assert main(["report", "--out", str(tmp_path), "--resamples", "20"]) == 0
    text = capsys.readouterr().out
    assert "Not complete" in text and "test/dermoscopy seed 1" in text and "paired by lesion" not in text


def test_lesions_without_a_split_are_left_out_where_others_have_one(tmp_path):
    lesions = with_one_split(squares(tmp_path, 12, gaps=False))
    some = replace(lesions, lesions=tuple(replace(le, split=None) if i < 3 else le for i, le in enumerate(lesions)))
    assert [le.id for le in with_one_split(some)] == [le.id for le in lesions][3:]
