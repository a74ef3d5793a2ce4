"""A folder is a model: written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import pytest
import torch
from folder_case import CONFIG, STATE, edit_config, model, same, write  # noqa: F401

from amfzoo import folder
from amfzoo.errors import ConfigError, WeightsError
from amfzoo.files import FOLDER, beside
from amfzoo.folder import read_folder, sha256_of
from amfzoo.folder_check import backup_of

# --- round trip


def test_round_trip(tmp_path):
    given = dict(CONFIG)
    path = write(
        tmp_path / "new/deep/model", config=given, examples={"expected.json": b"{}", "copy.py": Path(__file__)}
    )
    loaded = read_folder(path)
    assert same(loaded.state, STATE) and loaded.folder == path
    assert loaded.config["tasks"] == {"diagnosis": ["NV", "MEL"]} and loaded.config["info"] == CONFIG["info"]
    weights = path / "model.safetensors"
    assert loaded.config["weights"] == {
        "file": weights.name,
        "sha256": sha256_of(weights),
        "bytes": weights.stat().st_size,
    }
    assert "weights" not in given
    assert (path / "README.md").read_text() == "# card\n"
    assert (path / "example/copy.py").read_bytes() == Path(__file__).read_bytes()
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o644 for p in path.rglob("*") if p.is_file())
    assert [p.name for p in path.parent.iterdir()] == ["model"]


def test_same_tensors_same_bytes(tmp_path):
    copies = [write(tmp_path / str(i)) for i in range(3)]
    assert len({sha256_of(c / "model.safetensors") for c in copies}) == 1
    again = write(tmp_path / "again", state=read_folder(copies[0]).state)
    assert sha256_of(again / "model.safetensors") == sha256_of(copies[0] / "model.safetensors")


def test_awkward_tensors(tmp_path):
    w = torch.randn(2, 3, 4, 5)
    state = {
        "tied": w,
        "tied2": w,
        "view": w[0],
        "t": w[0, 0].T,
        "last": w.to(memory_format=torch.channels_last),
        "p": torch.nn.Parameter(w),
    }
    assert same(read_folder(write(tmp_path / "m", state=state)).state, {k: v.detach() for k, v in state.items()})
    with pytest.raises(WeightsError, match="'meta'"):
        write(tmp_path / "m2", state={"meta": torch.ones(2, device="meta")})
    with pytest.raises(WeightsError, match="'number'"):
        write(tmp_path / "m2", state={"number": 3.0})
    assert not (tmp_path / "m2").exists()


def test_half(tmp_path):
    state = {
        "w": torch.randn(128, 128),
        "kernel": torch.randn(96, 1, 3, 3),
        "variance": torch.full((8,), 1e5),
        "n": torch.tensor(3),
    }
    path = write(tmp_path / "m", state=state, half=True)
    assert (path / "model.safetensors").stat().st_size < 128 * 128 * 2 + 96 * 9 * 4 + 1000
    loaded = read_folder(path).state
    assert loaded["w"].dtype == torch.float32 and loaded["n"].dtype == torch.int64
    assert torch.equal(loaded["w"], state["w"].half().float())
    assert all(torch.equal(loaded[name], state[name]) for name in ("kernel", "variance"))
    with pytest.raises(WeightsError, match="'w'.*half=False"):
        write(tmp_path / "m2", state={"w": torch.full((128, 128), 1e6)}, half=True)
    bfloat = write(tmp_path / "m3", state={"w": torch.ones(2, 2, dtype=torch.bfloat16)})
    assert read_folder(bfloat).state["w"].dtype == torch.float32


# --- writing


def test_weights_that_are_nan_are_not_saved(model):
    before = read_folder(model)
    with pytest.raises(WeightsError, match="'w' holds NaN"):
        write(model, state={"w": torch.tensor([1.0, float("nan")]), "mask": torch.tensor([-torch.inf])}, overwrite=True)
    assert same(read_folder(model).state, before.state)


def test_overwriting_must_be_asked_for(model):
    with pytest.raises(WeightsError, match="overwrite=True"):
        write(model, state={"w": torch.zeros(1)})
    assert same(read_folder(model).state, STATE)
    write(model, state={"w": torch.zeros(1)}, overwrite=True)
    assert same(read_folder(model).state, {"w": torch.zeros(1)})
    assert [p.name for p in model.parent.iterdir()] == ["model"]


def test_an_empty_folder_may_be_filled(tmp_path):
    assert read_folder(write(tmp_path)).config["architecture"] == "amf_small"


def test_the_current_folder_is_filled_in_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    assert same(read_folder(write(Path("."), examples={"a.json": b"1"})).state, STATE)
    assert tmp_path.stat().st_ino == before and Path.cwd() == tmp_path
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors", "README.md", "example"}
    with pytest.raises(WeightsError, match="current folder.*name a folder in it"):
        write(Path("."), state={"w": torch.zeros(1)}, overwrite=True)
    assert same(read_folder(tmp_path).state, STATE)


def test_an_error_leaves_the_current_folder_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        write(Path("."), config={"a": object()})
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_does_not_keep_the_current_folder_from_being_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as dead:
        dead.setattr(os, "getpid", lambda: 999_999_999)
        beside(tmp_path / tmp_path.name, FOLDER).mkdir()
    live = beside(tmp_path / tmp_path.name, FOLDER)
    live.mkdir()
    with pytest.raises(WeightsError, match=f"empty it .{live.name}"):
        write(Path("."))
    assert list(tmp_path.iterdir()) == [live]
    live.rmdir()
    assert same(read_folder(write(Path("."))).state, STATE)


def test_what_killed_writes_left_beside_a_model_goes_with_the_next(model, monkeypatch):
    with monkeypatch.context() as dead:
        dead.setattr(os, "getpid", lambda: 999_999_999)
        shutil.copytree(model, beside(model, FOLDER))
    write(model, overwrite=True)
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_permissions_are_the_users(tmp_path):
    before = os.umask(0o027)
    try:
        model = write(tmp_path / "m")
        assert {stat.S_IMODE(path.stat().st_mode) for path in model.iterdir()} == {0o640}
        model.chmod(0o700)
        write(model, overwrite=True)
        assert stat.S_IMODE(model.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_what_file_browsers_leave_is_not_in_the_way(model):
    (model / ".DS_Store").write_bytes(b"x")
    write(model, state={"w": torch.zeros(1)}, overwrite=True)
    assert not (model / ".DS_Store").exists()


def test_a_name_that_is_too_long_is_said(tmp_path):
    with pytest.raises(WeightsError, match="Cannot write the model folder"):
        write(tmp_path / ("x" * 256))


def test_foreign_files_are_never_lost(model):
    (model / "notes.txt").write_text("mine")
    with pytest.raises(WeightsError, match="notes.txt"):
        write(model, overwrite=True)
    assert (model / "notes.txt").read_text() == "mine"
    with pytest.raises(WeightsError, match="is a file"):
        write(model / "notes.txt", overwrite=True)


@pytest.mark.parametrize("config", [{"a": float("nan")}, {"a": object()}])
def test_config_that_is_not_json(model, config):
    with pytest.raises(ConfigError, match="JSON"):
        write(model, config=config, overwrite=True)
    assert same(read_folder(model).state, STATE)
    assert [p.name for p in model.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("name", ["../x", "a/b", "/x"])
def test_example_names(tmp_path, name):
    with pytest.raises(ConfigError, match="plain file name"):
        write(tmp_path / "m", examples={name: b""})
    assert list(tmp_path.iterdir()) == []


def test_full_disk_leaves_the_old_model(model, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(WeightsError, match="disk is full.*unchanged"):
        write(model, state={"w": torch.zeros(1)}, overwrite=True)
    assert same(read_folder(model).state, STATE)
    assert [p.name for p in model.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("failure", [OSError("no"), KeyboardInterrupt()])
def test_failing_rename_leaves_the_old_model(model, monkeypatch, failure):
    real = Path.rename

    def rename(self, target):
        if self.name.endswith(".tmp"):
            raise failure
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises((WeightsError, KeyboardInterrupt)):
        write(model, state={"w": torch.zeros(1)}, overwrite=True)
    assert same(read_folder(model).state, STATE)
    assert [p.name for p in model.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("there", [False, True])
def test_two_processes_that_write_one_folder_at_once(tmp_path, monkeypatch, there):
    """The other one has its whole turn at the worst moment."""
    place, real, met = tmp_path / "model", Path.rename, []
    other = {"w": torch.ones(1)}

    def rename(self, target):
        if self.name.endswith(".tmp") and not met:
            met.append(self)
            write(place, state=other, overwrite=there)
        return real(self, target)

    if there:
        write(place, state={"w": torch.zeros(1)})
    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(folder.time, "sleep", lambda seconds: None)
    if there:
        write(place, overwrite=True)
    else:
        with pytest.raises(WeightsError, match="exists already; pass overwrite=True"):
            write(place)
    assert same(read_folder(place).state, STATE if there else other)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_killed_between_the_two_renames(model):
    backup = backup_of(model)
    model.rename(backup)  # what a kill at the worst moment leaves
    with pytest.raises(WeightsError, match="previous model is intact"):
        read_folder(model)
    with pytest.raises(WeightsError, match="overwrite=True"):
        write(model)  # puts the old one back, then refuses as ever
    assert same(read_folder(model).state, STATE) and not backup.exists()
    shutil.copytree(model, backup)  # what a kill just after leaves
    write(model, overwrite=True)
    assert not backup.exists()
