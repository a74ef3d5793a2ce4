"""Lesions as tensors: pixels, gaps, caches, bad images."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from lesions import squares

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.errors import ConfigError, ImageError
from amfzoo.images import Preprocess
from amfzoo.training import TrainingError, pixels
from amfzoo.training.dataset import PairDataset, labelled

PREPROCESS = {"clinical": Preprocess(size=(32, 48)), "dermoscopy": Preprocess(size=(40, 40))}


def _same(one: PairDataset, other: PairDataset) -> bool:
    rows = np.arange(len(one))
    return all(torch.equal(a, b) for a, b in zip(one.pixels(rows).values(), other.pixels(rows).values(), strict=True))


def test_pixels_are_what_prediction_sees_and_gaps_are_zeros(data):
    dataset = PairDataset(data, PREPROCESS)
    assert len(dataset) == 48
    for index in (0, 4, 5):  # whole, without clinical, without dermoscopy
        lesion, item = dataset.lesions[index], dataset[index]
        assert item["present"].tolist() == ["clinical" in lesion.images, "dermoscopy" in lesion.images]
        for branch, preprocess in PREPROCESS.items():
            path = lesion.images.get(branch)
            expected = np.zeros((*preprocess.size, 3), np.uint8) if path is None else preprocess.resized(path)
            assert np.array_equal(item["pixels"][branch], expected)
    assert dataset[0]["targets"]["colour"].tolist() == [True, False, False]
    assert dataset[7]["targets"]["colour"].tolist() == [False, False, False]  # unlabelled
    assert dataset[8]["targets"]["colour"].tolist() == [True, False, True]  # candidates
    assert [lesion.id for lesion in labelled(data)][6:9] == ["L6", "L8", "L9"]
    with pytest.raises(IndexError):
        dataset[48]


def test_memory_file_and_decoding_when_needed_give_the_same_pixels(data, tmp_path, monkeypatch):
    memory = PairDataset(data, PREPROCESS)
    file = PairDataset(data, PREPROCESS, cache_dir=tmp_path)
    assert _same(memory, file) and _same(memory, PairDataset(data, PREPROCESS, cache_gb=0))
    assert not list(tmp_path.glob("*.partial"))
    monkeypatch.setattr(pixels.Pictures, "decode", lambda *_: pytest.fail("decoded again"))
    assert _same(memory, PairDataset(data, PREPROCESS, cache_dir=tmp_path))


def test_pictures_that_could_not_all_be_decoded_leave_no_file(tmp_path):
    data = squares(tmp_path / "images", 3, gaps=False)
    data.lesions[1].clinical.write_bytes(b"no image")
    with pytest.raises(ImageError, match="'L1'"):
        PairDataset(data, PREPROCESS, cache_dir=tmp_path / "cache")
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} <= {".lock"}


@pytest.mark.parametrize("folder", [False, True])
def test_pictures_kept_on_a_device_are_the_same_and_those_that_do_not_fit_stay(data, tmp_path, monkeypatch, folder):
    usual = PairDataset(data, PREPROCESS)
    moved = PairDataset(data, PREPROCESS, cache_dir=tmp_path if folder else None)
    assert not moved.move(torch.device("cpu")) and _same(usual, moved)  # they are there already
    monkeypatch.setattr("amfzoo.training.dataset.fits_on", lambda device, needed: True)
    assert moved.move(torch.device("cpu")) and _same(usual, moved)
    rows = np.array([7, 0, 7])
    assert all(torch.equal(moved.pixels(rows)[name][1], usual.pixels(rows)[name][1]) for name in PREPROCESS)
    assert not PairDataset(data, PREPROCESS, cache_gb=0).move(torch.device("cpu"))  # nothing is decoded ahead


def test_more_pictures_than_are_moved_at_once_keep_their_places():
    array = np.random.default_rng(0).integers(0, 256, (600, 2, 2, 3), dtype=np.uint8)
    store = pixels.PixelStore(None, array, {}, 1)
    store.move(torch.device("cpu"))
    assert np.array_equal(store.tensor(np.arange(600)).numpy(), array)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_keeps_the_pictures_if_a_tenth_of_its_free_memory_holds_them(data):
    usual, moved = PairDataset(data, PREPROCESS), PairDataset(data, PREPROCESS)
    assert moved.move(torch.device("cuda"))
    rows = np.arange(len(moved))
    for found, expected in zip(moved.pixels(rows).values(), usual.pixels(rows).values(), strict=True):
        assert found.is_cuda and torch.equal(found.cpu(), expected)
    assert not pixels.fits_on(torch.device("cuda"), torch.cuda.mem_get_info()[1])


def test_a_changed_file_or_geometry_is_never_answered_from_an_old_cache(tmp_path):
    data = squares(tmp_path / "images", 6, gaps=False)
    cache = tmp_path / "cache"
    before = PairDataset(data, PREPROCESS, cache_dir=cache)
    other, path = data.lesions[1].clinical, data.lesions[0].clinical
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(1, 1))
    after = PairDataset(data, PREPROCESS, cache_dir=cache)
    assert torch.equal(after[0]["pixels"]["clinical"], before[1]["pixels"]["clinical"])
    cropped = {branch: replace(p, fit="crop") for branch, p in PREPROCESS.items()}
    assert _same(PairDataset(data, cropped, cache_dir=cache), PairDataset(data, cropped))


def test_whatever_changes_the_pixels_changes_the_name_of_the_cache(tmp_path):
    path, other = tmp_path / "a.png", tmp_path / "b.png"
    path.write_bytes(b"first")
    other.write_bytes(b"first")
    usual = Preprocess()
    changed = [{"size": (224, 225)}, {"fit": "crop"}, {"filter": "bilinear"}, {"border": 0.1}]
    shown = [pixels.Pictures("", "L", [path], p) for p in (usual, *(replace(usual, **one) for one in changed))]
    keys = [one.key() for one in shown] + [pixels.Pictures("", "L", [one], usual).key() for one in (other, None)]
    os.utime(path, ns=(1, 1))  # replaced by one of the same size
    keys.append(shown[0].key())
    assert len(set(keys)) == len(keys) == 8


def test_a_set_over_the_budget_is_decoded_when_needed(data, caplog):
    with caplog.at_level(logging.WARNING):
        dataset = PairDataset(data, PREPROCESS, cache_gb=1e-5)
    assert not any(store.cached for store in dataset._stores.values())
    assert "cache_gb" in caplog.text


@pytest.mark.parametrize("cache_gb", [0.0, 8.0])
def test_an_unreadable_image_stops_with_its_lesion_or_is_skipped(tmp_path, caplog, cache_gb):
    data = squares(tmp_path, 8, gaps=False)
    data.lesions[3].dermoscopy.write_bytes(b"no image")
    data.lesions[5].clinical.unlink()
    with pytest.raises(ImageError, match="'L[35]', (dermoscopy|clinical) image: .* --set on_bad_image=skip leaves"):
        PairDataset(data, PREPROCESS, cache_gb=cache_gb).pixels(np.arange(8))
    with caplog.at_level(logging.WARNING):
        dataset = PairDataset(data, PREPROCESS, cache_gb=cache_gb, on_bad_image="skip")
    assert [lesion.id for lesion in dataset.lesions] == ["L0", "L1", "L2", "L4", "L6", "L7"]
    assert "'L3'" in caplog.text and "'L5'" in caplog.text
    assert "on_bad_image" not in caplog.text  # which is what the user has set
    assert torch.equal(
        dataset[3]["pixels"]["clinical"], torch.from_numpy(PREPROCESS["clinical"].resized(data.lesions[4].clinical))
    )


def test_a_file_of_decoded_pictures_remembers_what_was_bad(tmp_path):
    data = squares(tmp_path / "images", 4, gaps=False)
    data.lesions[2].clinical.write_bytes(b"no image")
    for _ in range(2):
        assert len(PairDataset(data, PREPROCESS, cache_dir=tmp_path / "cache", on_bad_image="skip")) == 3
    with pytest.raises(ImageError, match="'L2'.* --set on_bad_image=skip leaves"):
        PairDataset(data, PREPROCESS, cache_dir=tmp_path / "cache")


def test_lesions_without_a_usable_image_are_left_out(data, caplog):
    only = {"dermoscopy": PREPROCESS["dermoscopy"]}
    with caplog.at_level(logging.WARNING):
        dataset = PairDataset(data, only)
    assert len(dataset) == 40 and "8 lesions have no dermoscopy image" in caplog.text
    assert not dataset.has[:, 0].any() and dataset.has[:, 1].all()  # what the network does not read is not there
    with pytest.raises(ConfigError, match="no lesion is left"):
        PairDataset(LesionSet("empty", (Lesion("a"),), data.tasks), PREPROCESS)


def test_a_cache_folder_that_cannot_be_written_is_a_clear_error(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cache_dir"):
        PairDataset(data, PREPROCESS, cache_dir=tmp_path / "file" / "cache")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such call")
def test_room_that_is_gone_when_decoding_begins_is_a_clear_error(tmp_path, monkeypatch):
    def full(file, start, size):
        assert size > np.prod((4, *PREPROCESS["clinical"].size, 3)) and start == 0
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(TrainingError, match="No space left.*cache_dir"):
        PairDataset(squares(tmp_path / "images", 4, gaps=False), PREPROCESS, cache_dir=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if "npy" in path.name]


def test_the_limit_of_a_container_counts(tmp_path, monkeypatch):
    (tmp_path / "max").write_text("5000000000\n")
    (tmp_path / "current").write_text("1000000000\n")
    limits = [(tmp_path / "none", tmp_path / "none"), (tmp_path / "max", tmp_path / "current")]
    monkeypatch.setattr(pixels, "_CONTAINER", [(str(limit), str(used)) for limit, used in limits])
    assert not pixels.fits(3_300_000_000, 10, None)
    (tmp_path / "max").write_text("max\n")
    assert pixels.fits(1_000_000, 10, None)
