"""A model folder is verified whenever it is read; links, and folders that change meanwhile."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch
from folder_case import CONFIG, STATE, edit_config, model, same, write  # noqa: F401

from amfzoo import folder, folder_check
from amfzoo.errors import AmfzooError, WeightsError
from amfzoo.folder import check_folder, read_folder, sha256_of
from amfzoo.manifest import FileRecord

# --- damage


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
    "lfs": (
        lambda m: (m / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid"),
        "git lfs pull",
    ),
    "one bit": (lambda m: flip(m / "model.safetensors"), "damaged or altered"),
    "config is no JSON": (lambda m: (m / "config.json").write_text("{"), "not readable JSON"),
    "config is no text": (lambda m: (m / "config.json").write_bytes(b"\xff\xfe\x00"), "not readable JSON"),
    "deep config": (lambda m: (m / "config.json").write_text("[" * 100_000), "not readable JSON"),
    "config is a list": (lambda m: (m / "config.json").write_text("[]"), "JSON object"),
    "newer": (lambda m: edit_config(m, schema_version=2), "upgrade"),
    "no version": (lambda m: edit_config(m, schema_version=None), "schema_version None"),
    "version true": (lambda m: edit_config(m, schema_version=True), "schema_version True"),
    "version 0": (lambda m: edit_config(m, schema_version=0), "schema_version 0"),
    "no bytes": (
        lambda m: edit_config(m, weights={"file": "model.safetensors", "sha256": "a" * 64, "bytes": 0}),
        "positive number",
    ),
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


def test_of_a_run_the_model_folder_is_named(model, tmp_path):
    shutil.copytree(model, tmp_path / "run" / "model")
    with pytest.raises(WeightsError, match=r"run.config\.json is missing.*; that is .*run.model\.$"):
        read_folder(tmp_path / "run")


def test_garbage_with_a_matching_hash(model):
    weights = model / "model.safetensors"
    weights.write_bytes(b"garbage" * 10)
    edit_config(model, weights={"file": weights.name, "sha256": sha256_of(weights), "bytes": 70})
    with pytest.raises(WeightsError, match="not a readable safetensors"):
        read_folder(model)


def test_nothing_is_parsed_before_it_is_verified(model, monkeypatch):
    monkeypatch.setattr(safetensors.torch, "load", lambda *_: pytest.fail("parsed"))
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
    for old, moved in ((storage, storage.with_name("name")), (snapshot.parent, storage / "copies")):
        old.rename(moved)
        with pytest.raises(WeightsError, match="outside its folder"):  # as no link of the cache is
            read_folder(moved / snapshot.relative_to(old))
        moved.rename(old)
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
