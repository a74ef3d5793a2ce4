"""Why a path gives no file: links that lead nowhere or back, and disks that fail in the middle."""

from __future__ import annotations

import builtins
import io
import os

import pytest
from PIL import Image

from amfzoo.errors import ImageError
from amfzoo.images import read_image


def message(source) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source)
    return str(caught.value)


@pytest.fixture
def link(tmp_path):
    def make(name: str, target: object) -> os.PathLike[str]:
        try:
            (tmp_path / name).symlink_to(target)
        except OSError:
            pytest.skip("this user may make no links here")
        return tmp_path / name

    return make


def test_a_link_to_what_is_missing(link, tmp_path):
    for source in (link("dang.jpg", "store/photo.jpg"), str(tmp_path / "dang.jpg"), link("second.jpg", "dang.jpg")):
        found = message(source)
        assert "link to" in found and str(tmp_path / "store" / "photo.jpg") in found and "missing" in found
        assert "git annex get" in found and "mount" in found
        assert "differs by case" not in found and "no such file" not in found
    if not (tmp_path / "DANG.jpg").is_symlink():  # where case counts
        assert "'dang.jpg', which differs by case" in message(tmp_path / "DANG.jpg")


def test_a_link_by_a_relative_path(link, tmp_path, monkeypatch):
    link("dang.jpg", "gone.jpg")
    monkeypatch.chdir(tmp_path)
    assert message("dang.jpg").startswith("dang.jpg: this is a link to ")
    assert "no such file" in message("other.jpg") and "no such file" in message("folder/other.jpg")


def test_a_folder_that_is_a_link_to_an_archive_that_is_not_there(link, tmp_path):
    archive = link("photos", tmp_path / "mnt" / "archive")
    found = message(archive / "2021" / "c1.jpg")
    assert f"its folder {str(archive)!r} is a link to {str(tmp_path / 'mnt' / 'archive')!r}, which is missing" in found


def test_a_link_that_leads_back_to_itself(link, tmp_path):
    link("a.jpg", "b.jpg")
    link("b.jpg", "a.jpg")
    link("photos", "photos")
    for source in (tmp_path / "a.jpg", tmp_path / "photos" / "c.jpg"):
        assert "leads back to itself" in message(source) and "disk" not in message(source)


def test_a_link_to_a_photo_is_read(link, tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "photo.png")
    assert read_image(link("link.png", "photo.png")).size == (32, 32)


def test_a_disk_that_fails_in_the_middle_is_no_fault_of_a_file_object(tmp_path, monkeypatch):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            raise OSError(5, "Input/output error")

    (tmp_path / "photo.png").write_bytes(b"x")
    monkeypatch.setattr(builtins, "open", lambda *args, **kwargs: Failing())
    found = message(tmp_path / "photo.png")
    assert "Input/output error" in found and "check the disk, or copy the file again" in found
    assert "file object" not in found
    assert "pass a file object that is open for reading" in message(Failing())
