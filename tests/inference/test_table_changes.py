"""Bulk prediction of a table that is written to or replaced while it is read."""

from __future__ import annotations

import os

import pytest
from cli_case import write_table
from shards_case import ROWS

from amfzoo import TableError
from amfzoo.inference import table_shards
from amfzoo.inference.table_shards import predict_shards

OTHER = [*ROWS[1:], ROWS[0]]  # as long


def replaced(source):
    write_table(source.with_name("new.csv"), OTHER).rename(source)


def replaced_alike(source):
    """By a file as long and as old."""
    before = source.stat()
    new = write_table(source.with_name("new.csv"), OTHER)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert new.stat().st_size == before.st_size
    new.rename(source)


def rewritten(source):
    """In place."""
    before = source.stat()
    write_table(source, OTHER)
    assert (source.stat().st_size, source.stat().st_ino) == (before.st_size, before.st_ino)


def added_to(source):
    source.write_text(source.read_text() + "r11,c0.jpg,d0.jpg\n")


def removed(source):
    source.unlink()


@pytest.mark.parametrize("change", [replaced, replaced_alike, rewritten, added_to, removed])
def test_an_input_that_changes_meanwhile_gets_no_answers(model, folder, source, change):
    def progress(done, rows):
        if done == 0:
            change(source)

    with pytest.raises(TableError, match="was changed, replaced or removed|cannot be read"):
        predict_shards(model, source, folder / "out", progress=progress)
    assert [file.name for file in (folder / "out").iterdir()] == ["_manifest.json"]


def test_an_input_that_changes_once_its_hash_is_taken_gets_no_answers(model, folder, source, monkeypatch):
    real = table_shards.sha256_of

    def hashed(path):
        found = real(path)
        replaced(source)
        return found

    monkeypatch.setattr(table_shards, "sha256_of", hashed)
    with pytest.raises(TableError, match="was changed, replaced or removed"):
        predict_shards(model, source, folder / "out")
