"""What a run may throw away or write over, and what it leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

import amfzoo
from amfzoo.data.split import make_split
from amfzoo.data.split_file import read_split, write_split
from amfzoo.errors import ConfigError, ImageError, WeightsError
from amfzoo.training import TrainingError, TrainingStopped, finetune
from amfzoo.training.report import BOARD_FOLDER
from amfzoo.training.run_folder import clear


def test_clearing_a_folder_leaves_what_is_not_of_the_run(tmp_path):
    for name in (
        "checkpoint.pt",
        "split.csv",
        "validation.csv",
        "config.yaml",
        "history.csv",
        "summary.md",
        "test_both.csv",
        "test_clinical.csv",
        "test_dermoscopy.csv",
        "notes.txt",
    ):
        (tmp_path / name).write_text("")
    for name in ("model", BOARD_FOLDER, ".decoded"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    clear(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", ".decoded"}


def test_a_run_is_thrown_away_only_for_one_that_can_begin(data, tiny, tmp_path):
    settings, go = {**tiny, "epochs": 1}, {"out": tmp_path / "run", "device": "cpu", "progress": False}
    finetune("amf_test", data, **go, **settings)
    kept = {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    lost = replace(data, lesions=tuple(replace(lesion, dermoscopy=tmp_path / "gone.jpg") for lesion in data))
    with pytest.raises(ImageError):
        finetune("amf_test", lost, overwrite=True, **go, **settings)
    assert kept == {file: file.read_bytes() for file in (tmp_path / "run").rglob("*") if file.is_file()}
    (tmp_path / "run" / "model" / "precious.txt").write_text("mine")
    with pytest.raises(WeightsError, match=r"precious.txt"):
        finetune("amf_test", data, overwrite=True, **go, **settings)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "validation.csv").write_text("mine")
    with pytest.raises(TrainingError, match="no run"):
        finetune("amf_test", data, overwrite=True, **{**go, "out": tmp_path / "mine"}, **settings)


def test_settings_that_the_data_contradict_throw_nothing_away(data, tiny, tmp_path):
    go = {"out": tmp_path, "device": "cpu", "progress": False, "should_stop": lambda: True, **tiny}
    with pytest.raises(TrainingStopped):
        finetune("amf_test", data, **go)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    for wrong in ({"class_weights": {"colour": {"pink": 3}}}, {"optimizer": "adamx"}, {"accumulate": 7}):
        with pytest.raises(ConfigError):
            finetune("amf_test", data, overwrite=True, **{**go, **wrong})
        assert (tmp_path / "checkpoint.pt").read_bytes() == kept


@pytest.mark.parametrize("name", ["config.yaml", "validation.csv", "summary.md", "history.csv"])
def test_files_of_somebody_else_are_not_overwritten(data, tiny, tmp_path, name):
    (tmp_path / name).write_text("epochs: 3\n")
    with pytest.raises(TrainingError, match=f"has {name}, but no run"):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **tiny)
    with pytest.raises(TrainingError, match="no run that could be thrown away"):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, overwrite=True, **tiny)
    assert (tmp_path / name).read_text() == "epochs: 3\n"


def test_a_model_that_no_run_wrote_is_not_replaced(data, tiny, tmp_path):
    saved = amfzoo.create_model("amf_test", tasks=data.tasks).save_pretrained(tmp_path / "model")
    before = (saved / "model.safetensors").read_bytes()
    with pytest.raises(TrainingError, match="has model, but no run"):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **tiny)
    assert (saved / "model.safetensors").read_bytes() == before


def test_a_folder_called_cache_and_another_split_stay(data, tiny, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "mine.txt").write_text("mine")
    write_split(make_split(data, seed=9, stratify="colour"), tmp_path / "split.csv")
    go = {"out": tmp_path, "device": "cpu", "progress": False, **tiny, "epochs": 1}
    with pytest.raises(ConfigError, match=r"split.csv: is there already"):
        finetune("amf_test", data, **go)
    finetune("amf_test", read_split(data, tmp_path / "split.csv"), **go)
    assert (tmp_path / "cache" / "mine.txt").exists() and not (tmp_path / ".lock").exists()


def test_overwriting_begins_again_where_a_killed_one_had_only_begun(data, tiny, tmp_path, monkeypatch):
    go = {"out": tmp_path, "device": "cpu", "progress": False, "overwrite": True, "should_stop": lambda: True, **tiny}

    def killed(*_):
        (tmp_path / ".config.yaml.partial").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("amfzoo.training.report.write_config", killed)
        finetune("amf_test", data, **go)
    mine = make_split(data, seed=9, stratify="colour")  # of the user: nothing says that a run has written it
    with pytest.raises(ConfigError, match=r"split.csv: is there already"):
        finetune("amf_test", mine, **go)
    with pytest.raises(TrainingStopped):
        finetune("amf_test", data, **go)
    assert not (tmp_path / ".config.yaml.partial").exists()
