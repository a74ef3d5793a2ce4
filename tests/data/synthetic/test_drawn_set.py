"""A drawn data set: readable, the same however it is made, taken up where it stopped, true to its masks."""

from __future__ import annotations

import csv
import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor as ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
from cli_case import amfzoo_process
from PIL import Image

from amfzoo.cli import exit_codes, main
from amfzoo.data.sources import load_source
from amfzoo.data.synthetic import draw_pair, draw_set, read_masks
from amfzoo.data.synthetic import drawn_set as module
from amfzoo.data.synthetic.truth import box, masks_png
from amfzoo.errors import ConfigError, ImageError
from amfzoo.files import FILE, beside
from amfzoo.labels import CHECKLIST, DERM7PT, DIAGNOSIS

SMALL = {"size": (64, 48), "workers": 1}


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def drawn_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "set"
    draw_set(folder, 12, **SMALL)
    return folder


def test_the_csv_reader_reads_it(drawn_folder):
    lesions = load_source(str(drawn_folder / "lesions.csv"))
    assert len(lesions) == 12 and lesions.tasks == DERM7PT.classes()
    assert all(set(lesion.labels) == set(DERM7PT.tasks) for lesion in lesions)
    assert {lesion.metadata["notes"] for lesion in lesions} == {"drawn, not real"}
    for lesion in lesions:
        for path in lesion.images.values():
            with Image.open(path) as image:
                assert image.size == (64, 48)


def test_truth_is_where_the_findings_were_drawn(drawn_folder):
    lesions = {lesion.id: lesion for lesion in load_source(str(drawn_folder / "lesions.csv"))}
    with open(drawn_folder / "truth.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    for lesion in lesions.values():
        own = {row["criterion"]: row["class"] for row in rows if row["lesion_id"] == lesion.id}
        assert own == {name: lesion.labels[name] for name in CHECKLIST if lesion.labels[name] != "absent"}
    for row in rows:
        mask = read_masks(drawn_folder / row["masks"])[row["criterion"]]
        if not mask.any():
            assert row["image"] == "clinical" and row["left"] == ""
            continue
        left, top, right, bottom = (int(row[side]) for side in ("left", "top", "right", "bottom"))
        assert mask[top:bottom, left:right].sum() == mask.sum() > 0


def test_masks_survive_the_file(tmp_path):
    pair = draw_pair({"streaks": "regular", "blue_whitish_veil": "present"}, size=(64, 48))
    (tmp_path / "m.png").write_bytes(masks_png(pair.masks, pair.lesion))
    found = read_masks(tmp_path / "m.png")
    assert all((found[name] == mask).all() for name, mask in {**pair.masks, "lesion": pair.lesion}.items())
    assert box(np.zeros((3, 4), bool)) is None
    pair.clinical.save(tmp_path / "photo.png")
    with pytest.raises(ImageError, match="8 bits"):
        read_masks(tmp_path / "photo.png")


@pytest.mark.parametrize("layout", ["csv", "derm7pt"])
def test_a_set_that_could_not_even_begin_is_begun_by_the_same_call(tmp_path, monkeypatch, layout):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(module, "write_whole", full)
        with pytest.raises(ConfigError, match="the same call goes on"):
            draw_set(tmp_path, 1, layout=layout, **SMALL)
        patched.setattr(os, "getpid", lambda: 999_999_999)
        beside(tmp_path / module.SETTINGS_FILE, FILE).write_text("{")  # a kill in the middle leaves this
    monkeypatch.setattr(module, "_drawn", lambda tasks, workers: iter([[]]))
    assert draw_set(tmp_path, 1, layout=layout, **SMALL).exists()


def test_a_drawing_process_ends_with_the_one_that_started_it(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(module, "parent_process", lambda: SimpleNamespace(join=lambda: None))
    monkeypatch.setattr(os, "_exit", lambda code: ended.set())
    monkeypatch.setattr(module, "ProcessPoolExecutor", lambda *_, initializer, **__: initializer() or ThreadPool(1))
    with pytest.raises(TypeError):
        list(module._drawn([()] * module._FEW, 2))
    assert ended.wait(10)


@pytest.mark.slow
def test_no_process_is_left_of_a_killed_set(tmp_path):
    options = ("--count", "1000", "--size", "64x48", "--workers", "2", "--quiet")
    process = amfzoo_process("data", "draw", "--out", str(tmp_path / "set"), *options)
    while not list(tmp_path.glob("set/masks/*.png")):
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=120)  # which waits for all that may still write to its pipes


def test_a_stopped_set_is_taken_up_and_a_longer_one_begins_alike(drawn_folder, tmp_path, monkeypatch):
    real, done = module.write_case, []

    def stopping(folder, case, *rest):
        if case.number == 5:
            raise KeyboardInterrupt
        done.append(case.number)
        return real(folder, case, *rest)

    monkeypatch.setattr(module, "write_case", stopping)
    with pytest.raises(KeyboardInterrupt):
        draw_set(tmp_path, 8, **SMALL)
    assert done == [1, 2, 3, 4] and not (tmp_path / "lesions.csv").exists()
    monkeypatch.undo()
    before = (tmp_path / "dermoscopy" / "000002.jpg").stat().st_mtime_ns
    draw_set(tmp_path, 8, **SMALL)
    assert (tmp_path / "dermoscopy" / "000002.jpg").stat().st_mtime_ns == before
    draw_set(tmp_path, 12, **SMALL)
    assert contents(tmp_path) == contents(drawn_folder)


def test_several_processes_draw_the_same(drawn_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_FEW", 0)
    draw_set(tmp_path, 12, size=(64, 48), workers=2)
    assert contents(tmp_path) == contents(drawn_folder)


def test_other_settings_do_not_mix(drawn_folder, tmp_path):
    with pytest.raises(ConfigError, match="seed was 0, is 1"):
        draw_set(drawn_folder, 12, seed=1, **SMALL)
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="not empty"):
        draw_set(tmp_path, 2, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"count": 0}, "count"), ({"layout": "dicom"}, "csv, derm7pt"), ({"every_row": True}, "table of labels"),
        ({"valid": 0.6, "test": 0.4}, "below 1"), ({"size": (8, 8)}, "width"), ({"labels": "no.csv"}, "no.csv"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(tmp_path, wrong, says):
    with pytest.raises(ConfigError, match=says):
        draw_set(tmp_path / "new", **{"count": 2, **SMALL, **wrong})
    assert not (tmp_path / "new").exists()


def test_derm7pts_layout_with_the_rows_and_splits_of_a_table(tmp_path, table, capsys):
    rows = [
        {DIAGNOSIS: "blue nevus", **dict.fromkeys(CHECKLIST, "absent"), "vascular_structures": "wreath"},
        {
            DIAGNOSIS: "seborrheic keratosis",
            **dict.fromkeys(CHECKLIST, "absent"),
            "regression_structures": "blue areas",
        },
        {DIAGNOSIS: "melanoma (in situ)", **dict.fromkeys(CHECKLIST, "absent"), "pigment_network": "atypical"},
    ]
    meta = table("meta/meta.csv", rows)
    for split, row in (("train", 2), ("valid", 0), ("test", 1)):
        (meta.parent / f"{split}_indexes.csv").write_text(f"indexes\n{row}\n")
    command = ["data", "draw", "--labels", meta, "--every-row", "--layout", "derm7pt", "--size", "64x48", "-q"]
    assert main([*map(str, command), "--out", str(tmp_path / "copy")]) == exit_codes.OK
    source = capsys.readouterr().out.strip()
    lesions = load_source(source)
    assert source.startswith("derm7pt:") and [lesion.split for lesion in lesions] == ["valid", "test", "train"]
    assert [lesion.labels[DIAGNOSIS] for lesion in lesions] == ["NEV", "SK", "MEL"]
    assert lesions.lesions[0].labels["vascular_structures"] == "regular"
    assert all(path.is_file() for lesion in lesions for path in lesion.images.values())
    assert main(["data", "draw", "--out", str(tmp_path / "x"), "--size", "64"]) == exit_codes.USAGE


def test_index_files_are_read_as_those_of_derm7pt_are(tmp_path, table):
    meta = table("meta/meta.csv", [{DIAGNOSIS: "blue nevus", **dict.fromkeys(CHECKLIST, "absent")}] * 3)
    for row, split in enumerate(("train", "valid")):
        (meta.parent / f"{split}_indexes.csv").write_text(f",indexes\n0,{row}\n")  # as pandas writes them
    with pytest.raises(ConfigError, match=r"meta has no test_indexes\.csv"):
        draw_set(tmp_path / "set", labels=meta, every_row=True, **SMALL)
    (meta.parent / "test_indexes.csv").write_text("indexes\n7\n")
    with pytest.raises(ConfigError, match="'7' is not a row number from 0 to 2"):
        draw_set(tmp_path / "set", labels=meta, every_row=True, **SMALL)
    (meta.parent / "test_indexes.csv").write_text(",indexes\n0,2\n")
    drawn = load_source(draw_set(tmp_path / "set", labels=meta, every_row=True, **SMALL))
    assert [lesion.split for lesion in drawn] == ["train", "valid", "test"]
