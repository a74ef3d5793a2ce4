"""A file is replaced whole or stays as it was."""

from __future__ import annotations

import pytest

from amfzoo.files import replacing


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
