"""A cross-validation and the network that it leaves, on lesions whose class is plain to see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lesions import TINY, squares
from networks import build

from amfzoo import create_model
from amfzoo.checks import UNCERTAIN_NOTE
from amfzoo.cli import exit_codes, main
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.split_file import splits_in
from amfzoo.errors import ConfigError, ImageError, WeightsError
from amfzoo.evaluation import Cases, apply_temperatures, evaluate_model, fit_temperatures
from amfzoo.evaluation.recalibration import cases_as_trained
from amfzoo.files import alone
from amfzoo.folder_check import check_folder
from amfzoo.training import TrainConfig, TrainingError, TrainingStopped, finetune, folds, train_folds
from amfzoo.training.fold_files import write_summary
from amfzoo.training.splits import folds_of

ONE_RUN = {"device": "cpu", "progress": False, **TINY}
HOW = {**ONE_RUN, "resamples": 20, "folds": 2, "epochs": 1, "lr": 3e-4}


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    """40, of which 6 are for the test."""
    found = squares(tmp_path_factory.mktemp("squares"), 40)
    return replace(found, lesions=tuple(replace(one, split="test" if n >= 34 else None) for n, one in enumerate(found)))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A network that knows the colours already, as released weights know diagnoses."""
    known = squares(tmp_path_factory.mktemp("others"), 36, gaps=False)
    folder = finetune(
        "amf_test", known, out=tmp_path_factory.mktemp("start") / "run", **{**ONE_RUN, "epochs": 8}
    ).folder
    return f"local-dir:{folder / 'model'}"


@pytest.fixture(scope="module")
def result(start, lesions, tmp_path_factory):
    return train_folds(start, lesions, out=tmp_path_factory.mktemp("runs") / "out", **HOW)


@pytest.mark.slow
def test_what_is_held_out_is_answered_by_the_network_that_did_not_learn_from_it(result, lesions):
    table = Cases.read(result.folder / "validation.csv")
    answers = {}
    for run, part in zip(result.runs, folds_of(lesions, 2, seed=0)):
        held_out = part.split("valid").select(lambda lesion: bool(lesion.labels))
        cases = cases_as_trained(create_model(f"local-dir:{run.folder / 'model'}"), held_out)
        cases = apply_temperatures(cases, result.model.config.temperatures)
        answers.update(zip(cases.ids, cases.probabilities["colour"]))
    assert sorted(table.ids) == sorted(answers) and len(table) == sum(
        bool(one.labels) for one in lesions if one.split != "test"
    )
    np.testing.assert_allclose(table.probabilities["colour"], [answers[name] for name in table.ids], atol=1e-5)
    assert table.model == result.model.config.info["name"]
    # nothing more is to be had of a temperature that was fitted to all of these answers, but for the prior's pull towards 1
    again = fit_temperatures(apply_temperatures(table, {"colour": 1 / result.model.config.temperatures["colour"]}))
    assert again["colour"] == pytest.approx(result.model.config.temperatures["colour"], rel=1e-3)


@pytest.mark.slow
def test_the_network_is_the_mean_of_those_of_the_folds(result, lesions):
    check_folder(result.folder / "model")
    mean = create_model(f"local-dir:{result.folder / 'model'}")
    states = [create_model(f"local-dir:{run.folder / 'model'}").state_dict() for run in result.runs]
    assert not torch.equal(states[0]["heads.colour.weight"], states[1]["heads.colour.weight"])
    for name, values in mean.state_dict().items():
        if values.is_floating_point():
            torch.testing.assert_close(values, (states[0][name] + states[1][name]) / 2)
    assert "2 folds of squares-colour" in mean.config.info["name"]
    assert "started from amf_test, trained on squares-colour" in mean.config.info["training_data"]
    splits = splits_in(result.folder / "split.csv", lesions)
    assert {name for name, split in splits.items() if split == "test"} == {f"L{n}" for n in range(34, 40)}
    assert set(splits.values()) == {"train", "test"}


@pytest.mark.slow
def test_only_the_test_split_judges_the_network_itself(result, lesions):
    answers = evaluate_model(result.model, lesions.split("test"))["both"]
    table = Cases.read(result.folder / "test_both.csv")
    assert table.ids == answers.ids
    np.testing.assert_allclose(table.probabilities["colour"], answers.probabilities["colour"], atol=1e-5)
    assert {row["data"] for row in result.model.config.info["metrics"]} == {"squares-colour, test"}
    assert all("cross-validation in 2 folds" in row["data"] for row in result.metrics)
    summary = (result.folder / "summary.md").read_text()
    assert "| fold-1 | 1 | " in summary and "flatter" in summary and summary.count("| colour | macro_f1 |") == 2
    f1 = next(row["value"] for row in result.model.config.info["metrics"] if row["name"] == "macro_f1")
    assert f"| colour | macro_f1 | {f1:.3f}" in summary.partition("test split, with both images")[2]


@pytest.mark.slow
def test_the_summary_marks_the_averages_over_few_lesions(result, tmp_path):
    row = {"task": "colour", "value": 0.5, "low": 0.4, "high": 0.6, "cases": 9, "data": "mine"}
    rows = [{**row, "name": "accuracy"}, {**row, "name": "macro_f1", "uncertain": True}]

    def summary(metrics, **config):
        write_summary(tmp_path, None, result.runs, "mine", metrics, TrainConfig(**config))
        return (tmp_path / "summary.md").read_text()

    assert "| colour | macro_f1 | 0.500 [0.400, 0.600] † | 9 |" in summary(rows)
    assert "| colour | accuracy | 0.500 [0.400, 0.600] | 9 |" in summary(rows) and f"\n{UNCERTAIN_NOTE}.\n" in summary(
        rows
    )
    assert "†" not in summary(rows[:1])
    assert "chose its epoch" in summary(rows) and "chose its epoch" not in summary(rows, keep="last")
    assert "chose its epoch" in summary(rows, keep="last", patience=2)


@pytest.mark.slow
def test_the_same_call_again_trains_nothing_and_gives_the_same(start, result, lesions, monkeypatch):
    files = ("validation.csv", "summary.md", "split.csv", "model/model.safetensors", "model/config.json")
    before = {name: (result.folder / name).read_bytes() for name in files}
    monkeypatch.setattr("amfzoo.training.loop.Trainer.run_epoch", None)
    train_folds(start, lesions, out=result.folder, **HOW)
    assert {name: (result.folder / name).read_bytes() for name in before} == before


@pytest.mark.slow
def test_classes_that_the_start_does_not_know_are_warned_of(start, result, lesions, tmp_path, caplog):
    """And what each fold has too few lesions to be calibrated by is no matter."""
    told = "does not know all of the classes"
    train_folds(start, lesions, out=result.folder, **HOW)
    assert told not in caplog.text
    train_folds("amf_test", lesions, out=tmp_path, **{**HOW, "folds": 4})
    assert told in caplog.text and "not calibrated" not in caplog.text


@pytest.mark.slow
def test_a_mean_that_knows_nothing_is_not_kept(start, result, lesions, monkeypatch, caplog):
    monkeypatch.setattr("amfzoo.training.loop.Trainer.run_epoch", None)
    wrong = build(tasks=lesions.tasks, seed=5)
    with torch.no_grad():
        wrong.heads["colour"].weight.mul_(1e3)  # sure of what it does not know
    wrong.config = result.runs[0].model.config.unfitted()
    monkeypatch.setattr(folds, "averaged", lambda networks: wrong)
    found = train_folds(start, lesions, out=result.folder, **HOW)
    try:
        assert found.model is None and found.metrics and not (result.folder / "model").exists()
        assert "is not kept" in caplog.text and "none: see the folds'" in (result.folder / "summary.md").read_text()
    finally:
        monkeypatch.undo()
        train_folds(start, lesions, out=result.folder, **HOW)  # for the tests after this one
    assert (result.folder / "model").exists()


def test_one_cross_validation_at_a_time(lesions, tmp_path):
    (tmp_path / ".model.0123.tmp").mkdir()  # the mean that the other one is writing
    with alone(tmp_path / ".lock"), pytest.raises(TrainingError, match="another run is training in"):
        train_folds("amf_test", lesions, out=tmp_path, **HOW)
    assert (tmp_path / ".model.0123.tmp").exists()


def test_a_folder_of_something_else_is_left_as_it_is(lesions, tmp_path, monkeypatch):
    monkeypatch.setattr(folds, "finetune", lambda *_, **__: pytest.fail("trained"))
    (tmp_path / "validation.csv").write_text("mine")
    with pytest.raises(TrainingError, match="has validation.csv, but no folds"):
        train_folds("amf_test", lesions, out=tmp_path, **HOW)
    with pytest.raises(TrainingError, match="has validation.csv, but no folds"):
        train_folds("amf_test", lesions, out=tmp_path, **HOW, overwrite=True)
    assert (tmp_path / "validation.csv").read_text() == "mine"


@pytest.mark.slow
def test_runs_with_and_without_folds_do_not_overwrite_each_other(result, lesions, tmp_path):
    with pytest.raises(TrainingError, match="holds a cross-validation"):
        finetune("amf_test", lesions, out=result.folder, **ONE_RUN)
    finetune("amf_test", lesions, out=tmp_path, **ONE_RUN)
    with pytest.raises(TrainingError, match="holds a run without folds"):
        train_folds("amf_test", lesions, out=tmp_path, **HOW)


@pytest.mark.slow
def test_fewer_folds_than_before_need_overwrite_and_leave_none_of_the_others(start, lesions, tmp_path):
    train_folds(start, lesions, out=tmp_path, **{**HOW, "folds": 3})
    with pytest.raises(TrainingError, match="more folds than 2"):
        train_folds(start, lesions, out=tmp_path, **HOW)
    assert (tmp_path / "fold-2").exists() and (tmp_path / "model").exists()
    train_folds(start, lesions, out=tmp_path, **HOW, overwrite=True)
    assert sorted(path.name for path in tmp_path.glob("fold-*")) == ["fold-0", "fold-1"]


@pytest.fixture(scope="module")
def earlier(lesions, tmp_path_factory):
    """Three folds of an earlier cross-validation, each stopped at once, and what such a one leaves beside them; to be copied."""
    folder = tmp_path_factory.mktemp("earlier") / "out"
    with pytest.raises(TrainingStopped):
        finetune("amf_test", lesions, out=folder / "fold-0", **{**ONE_RUN, "epochs": 2}, should_stop=lambda: True)
    for fold in (1, 2):
        shutil.copytree(folder / "fold-0", folder / f"fold-{fold}")
    build(tasks=lesions.tasks).save_pretrained(folder / "model")
    for name in ("validation.csv", "summary.md", "test_both.csv", "fold-1/test_clinical.csv", "fold-1/notes.txt"):
        (folder / name).write_text("of the earlier one")
    return folder


def test_folds_that_throw_others_away_go_on_where_they_were_stopped(lesions, earlier, tmp_path):
    out = shutil.copytree(earlier, tmp_path / "out")
    (out / ".model.0123.tmp").mkdir()  # what is left of a mean that was being written when the process was killed
    with pytest.raises(TrainingStopped):
        train_folds("amf_test", lesions, out=out, overwrite=True, should_stop=lambda: True, **HOW)
    assert sorted(path.name for path in out.iterdir()) == ["fold-0", "fold-1"]
    assert [path.name for path in (out / "fold-1").iterdir()] == ["notes.txt"]  # which no run wrote
    begun = [out / f"fold-{number}" / "checkpoint.pt" for number in range(2)]
    before = begun[0].read_bytes()
    with pytest.raises(TrainingStopped, match="fold-1"):
        train_folds("amf_test", lesions, out=out, should_stop=lambda: (out / "fold-1" / "config.yaml").exists(), **HOW)
    assert begun[0].read_bytes() != before and begun[1].exists()


def test_folds_are_thrown_away_all_or_none(lesions, earlier, tmp_path):
    out = shutil.copytree(earlier, tmp_path / "out")
    precious = out / "fold-2" / "model" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine")
    before = _files(out)
    how = {**HOW, "overwrite": True, "should_stop": lambda: True}
    with pytest.raises(WeightsError, match="precious.txt"):
        train_folds("amf_test", lesions, out=out, **how)
    assert _files(out) == before
    precious.unlink()
    del before[precious]
    with alone(out / "fold-1" / ".lock"), pytest.raises(TrainingError, match="another run is training in .*fold-1"):
        train_folds("amf_test", lesions, out=out, **how)
    lost = _changed(lesions, lambda one: one.id == "L0", dermoscopy=tmp_path / "gone.jpg")
    with pytest.raises(ImageError):
        train_folds("amf_test", lost, out=out, **how)
    assert _files(out) == before


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_test_split_that_judges_nothing_is_said_at_the_start(lesions, tmp_path, caplog):
    no_class = _changed(lesions, lambda one: one.split == "test", labels={"colour": ("red", "blue")})
    no_image = _changed(lesions, lambda one: one.split == "test", dermoscopy=None)
    stop = {**HOW, "should_stop": lambda: True}
    for number, (found, how, why) in enumerate(
        (
            (lesions, {}, None),
            (no_class, {}, "every label of the test lesions leaves several classes open"),
            (no_image, {"network": {"clinical": None}}, "no test lesion of known class has a dermoscopy image"),
        )
    ):
        caplog.clear()
        with pytest.raises(TrainingStopped):
            train_folds("amf_test", found, out=tmp_path / str(number), **how, **stop)
        told = [line for line in caplog.messages if "will not be judged" in line]
        assert told == (
            []
            if why is None
            else [f"squares-colour: {why}, so the mean of the folds' networks will not be judged on them"]
        )


def test_a_fold_that_cannot_be_measured_is_said_at_the_start(lesions, tmp_path):
    held_out = {one.id for one in folds_of(lesions, 3, seed=0)[1].split("valid")}
    lost = _changed(lesions, lambda one: one.id in held_out, dermoscopy=None)
    how = {**HOW, "folds": 3, "network": {"clinical": None}, "should_stop": lambda: True}
    with pytest.raises(
        ConfigError, match=r"fold 1 would hold out no lesion of known class with an image .*\(dermoscopy\)"
    ):
        train_folds("amf_test", lost, out=tmp_path, **how)
    rare = replace(
        lesions,
        lesions=tuple(
            replace(one, labels={"colour": "blue" if n in (1, 5) else "red"}) for n, one in enumerate(lesions)
        ),
    )
    with pytest.raises(ConfigError, match="fold 1: training setting metric: auroc is not defined on .* of fewer folds"):
        train_folds("amf_test", rare, out=tmp_path, **{**how, "network": None, "metric": "auroc"})


@pytest.mark.slow
def test_lesions_that_are_skipped_are_not_counted_and_a_test_split_of_candidates_is_not_judged(
    start, lesions, tmp_path
):
    (tmp_path / "bad.png").write_bytes(b"no image")
    found = _changed(lesions, lambda one: one.split == "test", labels={"colour": ("red", "blue")})
    found = _changed(found, lambda one: one.id in ("L0", "L1"), clinical=tmp_path / "bad.png")
    result = train_folds(start, found, out=tmp_path / "out", **HOW, on_bad_image="skip")
    labelled = sum(bool(one.labels) for one in found if one.split != "test")
    assert len(Cases.read(tmp_path / "out" / "validation.csv")) == labelled - 2
    assert (
        f": {labelled - 2} training lesions in 2 folds"
        in result.runs[0].folder.parent.joinpath("model/README.md").read_text()
    )
    assert not list((tmp_path / "out").glob("test_*.csv"))


def _changed(lesions: LesionSet, which: Callable[[Lesion], bool], **change) -> LesionSet:
    return replace(lesions, lesions=tuple(replace(one, **change) if which(one) else one for one in lesions))


def test_the_command_takes_folds_and_refuses_what_contradicts_them(tmp_path, monkeypatch, capsys):
    (tmp_path / "x.csv").write_text("lesion_id,dermoscopy,diagnosis\n1,1.jpg,nv\n2,2.jpg,mel\n")
    command = ["train", "--model", "amf_test", "--data", str(tmp_path / "x.csv"), "--label", "diagnosis=diagnosis",
               "--out", str(tmp_path / "out"), "-q"]  # fmt: skip
    for more, says in ((["--folds", "1"], "at least 2"), (["--folds", "5", "--seeds", "2"], "--folds and --seeds"),
                       (["--folds", "5", "--valid", "0.2"], "--folds and --valid")):  # fmt: skip
        assert main([*command, *more]) == exit_codes.USAGE
        assert says in capsys.readouterr().err
    seen = {}
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.md").write_text("five folds")
    monkeypatch.setattr(folds, "train_folds", lambda model, lesions, **how: seen.update(how, count=len(lesions)))
    assert main([*command[:-1], "--folds", "5", "--seed", "3"]) == exit_codes.OK
    assert seen["folds"] == 5 and seen["config"].seed == 3 and seen["count"] == 2
    assert "five folds" in capsys.readouterr().out
