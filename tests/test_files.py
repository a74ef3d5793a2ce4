"""A file is replaced whole or stays as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from amfzoo import files
from amfzoo.files import FILE, FOLDER, beside, remove_left, replacing


@pytest.fixture(scope="module")
def dead():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-ISc", ""])
    process.wait()
    return process.pid


def test_the_new_content_takes_the_place_of_the_old(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with replacing(file) as partial:
        partial.write_text("new")
        assert partial.parent == tmp_path and file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and file.read_text() == "new"


def test_an_error_leaves_the_old_content_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(KeyError), replacing(file) as partial:
        partial.write_text("half")
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and file.read_text() == "old"


@pytest.mark.parametrize("name", ["a" * 251 + ".csv", "診" * 83 + ".csv"])
def test_names_may_be_as_long_as_the_file_system_takes(tmp_path, name):
    file = tmp_path / name
    with replacing(file) as partial:
        partial.write_text("new")
    assert file.read_text() == "new" and beside(file, FILE) != beside(file, FILE)


def test_two_writers_do_not_share_a_name(tmp_path):
    with replacing(tmp_path / "a") as one, replacing(tmp_path / "a") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert (tmp_path / "a").read_text() == "1"  # the last to end


def test_where_nothing_may_be_overwritten_only_the_same_content_passes(tmp_path):
    file = tmp_path / "a.txt"
    for content in ("first", "first"):
        with replacing(file, overwrite=False) as partial:
            partial.write_text(content)
    with pytest.raises(FileExistsError, match=r"a\.txt"), replacing(file, overwrite=False) as partial:
        partial.write_text("other")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"] and file.read_text() == "first"


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path):
    file, link = tmp_path / "elsewhere" / "a.txt", tmp_path / "link.txt"
    file.parent.mkdir()
    link.symlink_to(os.path.join("elsewhere", "a.txt"))
    for content in ("first", "second"):  # the link leads nowhere at first
        with replacing(link) as partial:
            partial.write_text(content)
        assert link.is_symlink() and file.read_text() == content
    assert len(list(tmp_path.iterdir())) == 2 and list(file.parent.iterdir()) == [file]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows")
def test_no_file_takes_the_place_of_a_device_or_a_pipe(tmp_path):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="no plain file"), replacing(path) as partial:
            partial.write_text("new")
    assert pipe.is_fifo() and link.is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_what_a_killed_process_left_goes_at_the_next_write_and_nothing_else(tmp_path, monkeypatch, dead):
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: dead)
        left = beside(tmp_path / "a.txt", FILE), beside(tmp_path / "model", FOLDER)
        patched.setattr(files, "_machine", lambda: "abcdef")
        stays = [beside(tmp_path / "a.txt", FILE), tmp_path / ".a.txt.0123.partial", tmp_path / ".mine.tmp"]
    stays += [beside(tmp_path / "a.txt", FILE), beside(tmp_path / "model", FOLDER)]  # of this process, which lives
    for path in (*left, *stays):
        path.mkdir() if path.name.startswith(".model") else path.write_text("half")
    (left[1] / "weights").write_text("half")
    with replacing(tmp_path / "a.txt") as partial:
        partial.write_text("new")
    assert set(tmp_path.iterdir()) == {tmp_path / "a.txt", *stays}


def test_who_holds_a_folder_removes_what_others_left_there_whoever_they_were(tmp_path):
    for name in (".a.txt.0123.partial", beside(tmp_path / "a.txt", FILE).name, ".b.txt.0123.partial", "a.partial"):
        (tmp_path / name).write_text("half")
    remove_left(tmp_path, ".a.txt.*.partial")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".b.txt.0123.partial", "a.partial"]
    remove_left(tmp_path / "no such folder")


def test_the_current_folder_is_no_file_to_write(tmp_path, monkeypatch):
    """ "." has no name beside which to write; as any other folder it is an error of the file system."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError), replacing(Path(".")):
        pass
    assert not list(tmp_path.iterdir())
