"""A folder is a model: written whole or not at all, verified whenever it is read."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from pathlib import Path

import pytest
import safetensors.torch
import torch

from amfzoo import folder, folder_check
from amfzoo.errors import AmfzooError, ConfigError, WeightsError
from amfzoo.folder import check_folder, read_folder, sha256_of, write_folder
from amfzoo.folder_check import backup_of
from amfzoo.manifest import FileRecord

CONFIG = {
    "schema_version": 1,
    "architecture": "amf_small",
    "tasks": {"diagnosis": ("NV", "MEL")},
    "info": {"note": "Übung"},
}
STATE = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3), "n": torch.tensor(7)}


def write(folder: Path, **changes) -> Path:
    return write_folder(folder, **{"config": CONFIG, "state": STATE, "card": "# card\n", **changes})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


def edit_config(model: Path, **changes) -> None:
    path = model / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def same(state: dict, other: dict) -> bool:
    return state.keys() == other.keys() and all(torch.equal(state[key], other[key]) for key in state)


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


def test_overwriting_must_be_asked_for(model):
    with pytest.raises(WeightsError, match="overwrite=True"):
        write(model, state={"w": torch.zeros(1)})
    assert same(read_folder(model).state, STATE)
    write(model, state={"w": torch.zeros(1)}, overwrite=True)
    assert same(read_folder(model).state, {"w": torch.zeros(1)})
    assert [p.name for p in model.parent.iterdir()] == ["model"]


def test_an_empty_folder_may_be_filled(tmp_path):
    assert read_folder(write(tmp_path)).config["architecture"] == "amf_small"


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


# --- reading


def flip(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


DAMAGE = {
    "no folder": (lambda m: shutil.rmtree(m), "does not exist"),
    "a file": (lambda m: (shutil.rmtree(m), m.write_text("")), "not a folder"),
    "no config": (lambda m: (m / "config.json").unlink(), "config.json is missing"),
    "no weights": (lambda m: (m / "model.safetensors").unlink(), "model.safetensors is missing"),
    "pickle": (lambda m: (m / "model.safetensors").rename(m / "model.pt"), "model.pt will not be read"),
    "truncated": (lambda m: os.truncate(m / "model.safetensors", 50), "truncated: 50 bytes"),
    "longer": (lambda m: (m / "model.safetensors").open("ab").write(b"x"), "not the file expected"),
    "one bit": (lambda m: flip(m / "model.safetensors"), "damaged or altered"),
    "config is no JSON": (lambda m: (m / "config.json").write_text("{"), "not readable JSON"),
    "config is no text": (lambda m: (m / "config.json").write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "deep config": (lambda m: (m / "config.json").write_text("[" * 100_000), "not readable JSON"),
    "config is a list": (lambda m: (m / "config.json").write_text("[]"), "JSON object"),
    "newer": (lambda m: edit_config(m, schema_version=2), "upgrade"),
    "no version": (lambda m: edit_config(m, schema_version=None), "schema_version None"),
    "no record": (lambda m: edit_config(m, weights=None), "lacks 'weights'"),
    "bad hash": (lambda m: edit_config(m, weights={"file": "model.safetensors", "sha256": "x", "bytes": 1}), "64 hex"),
    "path in file": (
        lambda m: edit_config(m, weights={"file": "../model.safetensors", "sha256": "a" * 64, "bytes": 1}),
        "must be",
    ),
    "other format": (lambda m: edit_config(m, weights={"file": "model.pt", "sha256": "a" * 64, "bytes": 1}), "pickle"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(model, name):
    damage, words = DAMAGE[name]
    damage(model)
    with pytest.raises(AmfzooError, match=words) as caught:
        read_folder(model)
    assert str(model) in str(caught.value)
    with pytest.raises(AmfzooError, match=words):
        check_folder(model)


def test_garbage_with_a_matching_hash(model):
    weights = model / "model.safetensors"
    weights.write_bytes(b"garbage" * 10)
    edit_config(model, weights={"file": weights.name, "sha256": sha256_of(weights), "bytes": 70})
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        read_folder(model)


def test_nothing_is_parsed_before_it_is_verified(model, monkeypatch):
    monkeypatch.setattr(safetensors.torch, "load_file", lambda *_: pytest.fail("parsed"))
    flip(model / "model.safetensors")
    with pytest.raises(WeightsError, match="damaged"):
        read_folder(model)


def test_manifest_hashes(model):
    expect = {
        name: FileRecord(sha256_of(model / name), (model / name).stat().st_size)
        for name in ("config.json", "model.safetensors")
    }
    assert same(read_folder(model, expect=expect).state, STATE)
    plain = {name: {"sha256": record.sha256, "bytes": record.bytes} for name, record in expect.items()}
    assert same(read_folder(model, expect=plain).state, STATE)
    other = write(model.parent / "other", state={"w": torch.zeros(1)})
    with pytest.raises(WeightsError, match="manifest says"):
        read_folder(other, expect=expect)
    shutil.copy(model / "model.safetensors", other)  # its config.json still records its own
    with pytest.raises(WeightsError, match="records other weights"):
        read_folder(other, expect={"model.safetensors": expect["model.safetensors"]})
    edit_config(model, architecture="other")
    with pytest.raises(WeightsError, match="config.json"):
        read_folder(model, expect=expect)
    with pytest.raises(WeightsError, match="plain file name"):
        read_folder(model, expect={"../x": expect["config.json"]})


# --- links


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_links_out_of_the_folder_are_refused(model, name):
    outside = model.parent / "outside"
    (model / name).rename(outside)
    (model / name).symlink_to(outside)
    with pytest.raises(WeightsError, match="outside its folder"):
        read_folder(model)
    outside.unlink()
    with pytest.raises(WeightsError, match="link to a file that is missing"):
        read_folder(model)


def test_links_that_are_fine(model, tmp_path):
    (tmp_path / "alias").symlink_to(model)
    assert same(read_folder(tmp_path / "alias").state, STATE)
    write(tmp_path / "alias", overwrite=True)
    assert (tmp_path / "alias").is_symlink()
    (model / "model.safetensors").rename(model / "real")
    (model / "model.safetensors").symlink_to("real")
    assert same(read_folder(model).state, STATE)


def test_the_layout_of_the_hub_cache(model, tmp_path):
    storage = tmp_path / "cache/models--org--name"
    snapshot = storage / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (storage / "blobs").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(model / name, storage / "blobs" / name)
        (snapshot / name).symlink_to(f"../../blobs/{name}")
    assert same(read_folder(snapshot).state, STATE)
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(model / "config.json")
    with pytest.raises(WeightsError, match="outside its folder"):
        read_folder(snapshot)


def test_what_becomes_of_the_file_does_not_change_a_loaded_network(model):
    loaded = read_folder(model).state
    weights = model / "model.safetensors"
    with open(weights, "r+b") as file:  # as rsync --inplace writes
        file.seek(-12, os.SEEK_END)
        file.write(b"\xff" * 12)
    assert same(loaded, STATE)
    os.truncate(weights, 0)
    assert same(loaded, STATE)


def test_the_verified_bytes_are_those_that_are_loaded(model, tmp_path, monkeypatch):
    other = write(tmp_path / "other", state={name: tensor + 1 for name, tensor in STATE.items()})
    real = folder_check.hashlib.sha256

    def swapped(data=b""):
        shutil.copy(other / "model.safetensors", model / "model.safetensors")
        return real(data)

    monkeypatch.setattr(folder_check.hashlib, "sha256", swapped)
    assert same(read_folder(model).state, STATE)


def test_a_folder_that_is_being_replaced_is_read_once_more(model, monkeypatch):
    away = model.with_name("away")
    model.rename(away)
    monkeypatch.setattr(folder.time, "sleep", lambda _: away.rename(model))
    assert same(read_folder(model).state, STATE)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_named(model):
    (model / "model.safetensors").chmod(0)
    with pytest.raises(WeightsError, match="cannot be read.*permissions"):
        read_folder(model)


def test_a_number_of_thousands_of_digits_is_no_json(model):
    (model / "config.json").write_text('{"schema_version": ' + "9" * 5000 + "}")
    with pytest.raises(WeightsError, match="not readable JSON"):
        read_folder(model)
