"""Several seeds of one run and their leaderboard, on drawn pairs."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluation_cases import make_derm7pt

from amfzoo import create_model
from amfzoo.cli import exit_codes, main
from amfzoo.data.records import SPLITS
from amfzoo.data.sources import load_source
from amfzoo.data.synthetic import draw_set
from amfzoo.errors import ConfigError, ImageError
from amfzoo.evaluation import Cases
from amfzoo.evaluation.checklist import checklist_scores
from amfzoo.files import alone
from amfzoo.folder_check import check_folder
from amfzoo.training import TrainingError, TrainingStopped, finetune, protocol
from amfzoo.training.protocol import train_seeds
from amfzoo.training.recipes import RECIPES


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """40 drawn cases in Derm7pt's layout."""
    return draw_set(tmp_path_factory.mktemp("drawn") / "set", 40, layout="derm7pt", size=(64, 48), workers=1)


@pytest.fixture(scope="module")
def trained(release, tmp_path_factory):
    """Two seeds of one epoch, by the command."""
    out = tmp_path_factory.mktemp("runs") / "out"
    command = ["train", "--recipe", "derm7pt", "--model", "amf_test", "--data", f"derm7pt:{release}", "--seeds", "2",
               "--out", str(out), "--device", "cpu", "-q"]  # fmt: skip
    for setting in ("epochs=1", "image_size=64", "batch_size=8", "crop_start=1", "crop_end=1", "workers=1"):
        command += ["--set", setting]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train_seeds.__kwdefaults__, "resamples", 50)  # for speed
        assert main(command) == exit_codes.OK
        yield out, command


@pytest.mark.slow
def test_the_leaderboard_is_recomputed_from_the_predictions(trained, release):
    out, _ = trained
    data = json.loads((out / "leaderboard.json").read_text())
    assert data["seeds"] == [0, 1] and set(data["scores"]) == {"both", "dermoscopy", "clinical"}
    tested = {lesion.id for lesion in load_source(f"derm7pt:{release}").split("test")}
    for number, value in enumerate(data["scores"]["both"]["avg_accuracy"]["values"]):
        cases = Cases.read(out / f"seed-{number}" / "test_both.csv")
        assert set(cases.ids) == tested and set(cases.splits) == {"test"}
        assert checklist_scores(cases, resamples=0)["avg_accuracy"].value == pytest.approx(value)
    text = (out / "leaderboard.md").read_text()
    assert "FusionM4Net" in text and "**amfzoo amf_test" in text
    known = {task: int(cases.known(task).sum()) for task in cases.tasks}
    assert data["lesions"]["both"] == {"all": len(tested), "known": known}
    assert f"test split of {len(tested)} lesions" in text and f"| diagnosis | {known['diagnosis']} |" in text
    assert "drawn, not real" in text and "Not the official split" in text


def test_seeds_of_a_network_that_is_given_share_its_random_values_and_that_is_said(
    release, tmp_path, caplog, monkeypatch
):
    monkeypatch.setattr(protocol, "finetune", lambda *given, **how: pytest.fail("enough"))
    network = create_model("amf_test", fusion="none", tasks={"diagnosis": ("a", "b")})
    for seeds in ([0], [0, 1]):
        assert (
            "all 2 runs start from the values of the given network, the random ones of diagnosis too" not in caplog.text
        )
        with pytest.raises(pytest.fail.Exception):
            train_seeds(network, f"derm7pt:{release}", out=tmp_path / "out", seeds=seeds)
    assert "all 2 runs start from the values of the given network, the random ones of diagnosis too" in caplog.text


@pytest.mark.slow
def test_each_seed_has_a_model_folder_to_push(trained):
    out, _ = trained
    for seed in (0, 1):
        folder = out / f"seed-{seed}" / "model"
        check_folder(folder)
        metrics = create_model(f"local-dir:{folder}").config.info["metrics"]
        assert {metric["data"] for metric in metrics} == {"derm7pt, test"}
        assert any(metric.get("uncertain") for metric in metrics)  # drawn so small that classes are rare
        assert "derm7pt, test" in (folder / "README.md").read_text()


@pytest.mark.slow
def test_the_same_command_again_trains_nothing_and_gives_the_same(trained, monkeypatch):
    out, command = trained
    before = (out / "leaderboard.json").read_bytes()
    monkeypatch.setattr("amfzoo.training.loop.Trainer.run_epoch", None)
    assert main(command) == exit_codes.OK
    assert (out / "leaderboard.json").read_bytes() == before


def test_lesions_of_no_split_are_left_out_with_a_word(release, caplog):
    lesions = load_source(f"derm7pt:{release}")
    first = replace(lesions.lesions[0], split=None)
    kept = protocol.lesions_with_split(replace(lesions, lesions=(first, *lesions.lesions[1:])), [0])
    assert len(kept) == len(lesions) - 1 and "1 lesions have no split" in caplog.text


@pytest.mark.parametrize(
    ("seeds", "keep", "says"), [([], "test", "at least one"), ([1, 1], "test", "different"), ([0], "valid", "'test'")]
)
def test_what_cannot_be_compared_is_said_before_training(release, tmp_path, seeds, keep, says):
    lesions = load_source(f"derm7pt:{release}").select(lambda lesion: lesion.split != "test" or keep == "test")
    with pytest.raises(ConfigError, match=says):
        train_seeds("amf_test", lesions, out=tmp_path / "out", seeds=seeds)
    assert not (tmp_path / "out").exists()


def test_seeds_are_trained_by_one_call_at_a_time(release, tmp_path):
    with alone(tmp_path / ".lock"), pytest.raises(TrainingError, match="another run is training in"):
        train_seeds("amf_test", f"derm7pt:{release}", out=tmp_path, seeds=(0, 1), progress=False)


def test_lesions_without_any_label_are_refused_in_words(release, tmp_path):
    lesions = load_source(f"derm7pt:{release}")
    lesions = replace(lesions, lesions=tuple(replace(one, labels={}) for one in lesions), tasks={})
    with pytest.raises(ConfigError, match="nothing is labelled.*--label TASK=COLUMN"):
        train_seeds("amf_test", lesions, out=tmp_path / "out", seeds=[0, 1])
    assert not (tmp_path / "out").exists()


def test_model_and_folder_may_be_left_to_the_recipe(release, tmp_path, monkeypatch, capsys):
    seen = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(protocol, "train_seeds", lambda model, lesions, **how: seen.update(how, model=model))
    assert main(["train", "--recipe", "derm7pt", "--data", f"derm7pt:{release}", "--seeds", "5", "-q"]) == exit_codes.OK
    assert (seen["model"], seen["out"], seen["pretrained"]) == (RECIPES["derm7pt"].model, "runs/derm7pt", True)
    assert list(seen["seeds"]) == [0, 1, 2, 3, 4] and seen["config"].metric == "accuracy"
    assert main(["train", "--data", f"derm7pt:{release}"]) == exit_codes.USAGE
    assert "--model" in capsys.readouterr().err


@pytest.fixture(scope="module")
def copy_of_the_real_labels(tmp_path_factory):
    """The first 90 cases of the real label table, drawn in Derm7pt's layout."""
    shared = Path(__file__).resolve().parents[3] / "shared" / "data" / "derm7pt_labels"
    if not shared.is_dir():
        pytest.skip("needs the label table of Derm7pt, which is not part of the project")
    meta = tmp_path_factory.mktemp("real") / "meta"
    meta.mkdir()
    with open(shared / "meta.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))[:90]
    with open(meta / "meta.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for split in ("train", "valid", "test"):
        numbers = (shared / "splits" / f"asymmetric_{split}_indexes_filtered.csv").read_text().split()[1:]
        (meta / f"{split}_indexes.csv").write_text("\n".join(["indexes", *(n for n in numbers if int(n) < 90), ""]))
    drawn = draw_set(
        meta.parent / "copy", labels=meta / "meta.csv", every_row=True, layout="derm7pt", size=(64, 48), workers=1
    )
    return load_source(f"derm7pt:{drawn}"), rows


@pytest.mark.slow
def test_a_drawn_copy_has_the_real_labels_and_can_be_trained_on(copy_of_the_real_labels, tmp_path, tiny):
    lesions, rows = copy_of_the_real_labels
    assert [lesion.metadata["notes"] for lesion in lesions] == ["drawn, not real"] * 90
    assert sum(lesion.labels["blue_whitish_veil"] == "present" for lesion in lesions) == sum(
        row["blue_whitish_veil"] == "present" for row in rows
    )
    result = train_seeds("amf_test", lesions, out=tmp_path, seeds=[7], device="cpu", progress=False, resamples=20,
                         **{**tiny, "epochs": 1, "metric": "accuracy"})  # fmt: skip
    assert list(result.runs) == [7] and 0 < result.scores["avg_accuracy"].mean < 1


def test_a_test_split_that_cannot_be_judged_is_refused_before_training(release, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "finetune", lambda *_, **__: pytest.fail("trained"))
    lesions = load_source(f"derm7pt:{release}")
    unlabelled = replace(
        lesions, lesions=tuple(replace(one, labels={} if one.split == "test" else one.labels) for one in lesions)
    )
    with pytest.raises(ConfigError, match="no test lesion has a label"):
        train_seeds("amf_test", unlabelled, out=tmp_path, seeds=[0])
    open_ = {"diagnosis": ("MEL", "NEV"), "streaks": ("regular", "irregular")}
    candidates = replace(
        lesions, lesions=tuple(replace(one, labels=open_ if one.split == "test" else one.labels) for one in lesions)
    )
    with pytest.raises(ConfigError, match="every label of the test lesions leaves several classes open"):
        train_seeds("amf_test", candidates, out=tmp_path, seeds=[0])
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    chosen = lesions.split("test").lesions[0].id
    damaged = replace(
        lesions,
        lesions=tuple(replace(one, clinical=tmp_path / "bad.jpg") if one.id == chosen else one for one in lesions),
    )
    with pytest.raises(ImageError, match="test split: .*bad.jpg"):
        train_seeds("amf_test", damaged, out=tmp_path, seeds=[0])
    with pytest.raises(pytest.fail.Exception, match="trained"):  # such a lesion is left out
        train_seeds("amf_test", damaged, out=tmp_path, seeds=[0], on_bad_image="skip")


@pytest.mark.parametrize("labelled", [True, False])
def test_a_mean_of_one_image_is_told_where_there_is_one(release, tmp_path, monkeypatch, labelled):
    """Without a label of one of the eight tasks there is no AVG."""
    cases = make_derm7pt(60)
    alone = cases if labelled else replace(cases, labels={**cases.labels, "streaks": np.full(60, -1)})
    run = SimpleNamespace(model=create_model("amf_test"), folder=tmp_path)
    monkeypatch.setattr(protocol, "finetune", lambda *_, **__: run)
    monkeypatch.setattr(protocol, "judge", lambda *_, **__: {"both": cases, "clinical": alone})
    train_seeds("amf_test", f"derm7pt:{release}", out=tmp_path, seeds=[0, 1], resamples=0)
    text, average = (
        (tmp_path / "leaderboard.md").read_text(),
        checklist_scores(cases, resamples=0)["avg_accuracy"].value,
    )
    told = f"With the clinical image alone the mean over the runs is AVG {100 * average:.2f} %.\n"
    assert text.endswith(told) if labelled else "image alone" not in text
    assert "nan" not in text.lower()


@pytest.mark.parametrize("lacking", ["image", "readable"])
def test_a_test_split_without_an_image_that_the_network_reads_is_refused_before_training(
    release, tmp_path, tiny, lacking
):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    lesions = load_source(f"derm7pt:{release}")
    path = tmp_path / "bad.jpg" if lacking == "readable" else None
    without = replace(
        lesions, lesions=tuple(replace(one, dermoscopy=path) if one.split == "test" else one for one in lesions)
    )
    how = {"device": "cpu", "progress": False, "should_stop": lambda: pytest.fail("trained"), **tiny}
    with pytest.raises(ConfigError, match="no test lesion of known class has a dermoscopy image"):
        train_seeds(
            "amf_test", without, out=tmp_path / "out", seeds=[0], network={"clinical": None}, on_bad_image="skip", **how
        )


def test_seeds_that_throw_others_away_go_on_where_they_were_stopped(data, tmp_path, tiny):
    lesions = replace(data, lesions=tuple(replace(one, split=SPLITS[i % 3]) for i, one in enumerate(data)))
    how = {"device": "cpu", "progress": False, **tiny, "epochs": 1}
    with pytest.raises(TrainingStopped):
        finetune("amf_test", lesions, out=tmp_path / "seed-0", should_stop=lambda: True, **{**how, "epochs": 2})
    (tmp_path / "seed-0" / "test_both.csv").write_text("of the earlier one")
    for seed in (1, 7):
        shutil.copytree(tmp_path / "seed-0", tmp_path / f"seed-{seed}")
    (tmp_path / "leaderboard.md").write_text("of the earlier ones")
    with pytest.raises(TrainingStopped):
        train_seeds("amf_test", lesions, out=tmp_path, seeds=[0, 1], overwrite=True, should_stop=lambda: True, **how)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["seed-0", "seed-7"]
    assert not (tmp_path / "seed-0" / "test_both.csv").exists()
    assert (tmp_path / "seed-7" / "test_both.csv").exists()  # which is no seed of this call
    with pytest.raises(TrainingStopped, match="seed-1"):
        train_seeds("amf_test", lesions, out=tmp_path, seeds=[0, 1], should_stop=(tmp_path / "seed-1").exists, **how)
