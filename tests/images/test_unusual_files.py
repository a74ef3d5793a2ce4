"""Files that Pillow reads otherwise than they are meant, and those that would take for ever."""

from __future__ import annotations

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from amfzoo.errors import ImageError
from amfzoo.images import read_image
from amfzoo.images.own import own_copy


def tiff(
    *pages: np.ndarray, subfile: tuple[int, ...] = (), planes: bool = False, more: dict[int, list[int]] | None = None
) -> bytes:
    """Uncompressed pages, (H, W, 3) or (H, W, 1), uint8 or uint16 each; with `planes` one colour after the other, with
    `more` tags."""
    data, link = bytearray(b"II*\0\0\0\0\0"), 4
    for number, page in enumerate(pages):
        (height, width, bands), bits = page.shape, page.dtype.itemsize * 8
        strips = [page[..., c] for c in range(3)] if planes else [page]
        offsets, counts = [], []
        for strip in strips:
            offsets.append(len(data))
            data += np.ascontiguousarray(strip).astype(f"<u{page.dtype.itemsize}").tobytes()
            counts.append(len(data) - offsets[-1])
        values = {
            254: [subfile[number] if subfile else 0], 256: [width], 257: [height], 258: [bits] * bands, 259: [1],
            262: [2 if bands == 3 else 1], 273: offsets, 277: [bands], 278: [height], 279: counts,
            284: [2 if planes else 1], **(more or {}),
        }  # fmt: skip
        entries = b""
        for tag, numbers in values.items():
            place = struct.pack("<I", numbers[0])
            if len(numbers) > 1:
                place = struct.pack("<I", len(data))
                data += struct.pack(f"<{len(numbers)}I", *numbers)
            entries += struct.pack("<HHI", tag, 4, len(numbers)) + place
        data[link : link + 4] = struct.pack("<I", len(data))
        data += struct.pack("<H", len(values)) + entries
        link = len(data)
        data += bytes(4)
    return bytes(data)


def ways(data: bytes) -> list:
    """A file as one may pass it: its bytes, opened by Pillow, and loaded."""
    opened, loaded = (Image.open(io.BytesIO(data)) for _ in range(2))
    loaded.load()
    return [data, opened, loaded]


@pytest.fixture
def picture(small) -> np.ndarray:
    return np.asarray(small)


def test_tiff_with_separate_planes(picture):
    assert np.array_equal(read_image(tiff(picture, planes=True)), picture)
    deep = picture.astype(np.uint16) * 257
    for source in ways(tiff(deep)):
        assert np.array_equal(read_image(source), picture)
    for source in ways(tiff(deep, planes=True)):
        with pytest.raises(ImageError, match="16 bits in separate planes.*8 bits a channel"):
            read_image(source)  # Pillow reads noise


def test_of_a_tiff_the_picture_is_read_and_not_its_preview(picture):
    preview = picture[::2, ::2]
    assert np.array_equal(read_image(tiff(preview, picture, subfile=(1, 0))), picture)
    assert np.array_equal(read_image(tiff(picture, preview, subfile=(0, 1))), picture)
    assert np.array_equal(read_image(tiff(preview, subfile=(1,))), preview)


@pytest.mark.parametrize("more", [{330: [8]}, {330: [8, 8]}, {33422: [0x02010100]}, {50706: [0x00000401]}])
def test_camera_raw_is_not_answered_from_its_preview(picture, more):
    preview = picture[::2, ::2]
    for pages, subfile in (((preview,), (1,)), ((preview, preview[::2, ::2]), (1, 1))):
        for source in ways(tiff(*pages, subfile=subfile, more=more)):
            with pytest.raises(ImageError, match="camera raw.*export it as JPEG or PNG"):
                read_image(source)


def test_reduced_versions_of_a_picture_within_its_page(picture):
    """As of microscopes."""
    for source in ways(tiff(picture, more={330: [8, 8]})):
        assert np.array_equal(read_image(source), picture)
    assert np.array_equal(read_image(tiff(picture[::2], picture, subfile=(1, 0), more={330: [8]})), picture)


@pytest.mark.parametrize("bits", [8, 16])
def test_signed_numbers_are_refused(picture, bits):
    gray = picture[..., :1].astype(f"u{bits // 8}") << (bits - 8) >> 1
    for source in ways(tiff(gray, more={339: [2]})):
        with pytest.raises(ImageError, match=f"signed numbers of {bits} bits.*unsigned"):
            read_image(source)
    assert read_image(tiff(gray, more={339: [1]})).size == picture.shape[1::-1]


def test_of_a_tiff_of_very_many_pages_only_the_first_are_looked_at(picture, monkeypatch):
    """Counting the pages takes a time that grows with the square of their number, hours of a file of 50 MB."""
    previews = [picture[:16, :16] + np.uint8(number) for number in range(40)]
    looked_at = []
    seek = TiffImageFile.seek
    monkeypatch.setattr(TiffImageFile, "seek", lambda image, page: looked_at.append(page) or seek(image, page))
    monkeypatch.setattr(TiffImageFile, "n_frames", property(lambda image: pytest.fail("all pages are counted")))
    data = tiff(*previews, picture, subfile=(*[1] * 40, 0))
    assert np.array_equal(read_image(data), previews[0]) and len(looked_at) <= 17
    assert np.array_equal(read_image(tiff(*previews[:3], picture, subfile=(1, 1, 1, 0))), picture)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_few_bits_in_sixteen_are_refused_and_not_answered_as_black(picture, bits):
    values = (picture.astype(np.uint16) * 257) >> (16 - bits)
    for source in ways(tiff(values)):
        with pytest.raises(ImageError, match="of their range only"):
            read_image(source)
    gray = Image.fromarray(values[..., 0])
    with pytest.raises(ImageError, match="of their range only"):
        read_image(gray)
    assert not np.any(read_image(Image.fromarray(values[..., 0] * 0)))  # black is black


def test_a_jpeg_of_very_many_scans(small, encode):
    data = encode(small, "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    assert read_image(data[:-2] + last * 20 + b"\xff\xd9").size == small.size
    with pytest.raises(ImageError, match="more than 100 scans"):
        read_image(data[:-2] + last * 100 + b"\xff\xd9")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", "/dev/zero"):
        with pytest.raises(ImageError, match="pipe or a device.*as bytes"):
            read_image(path)


def test_bytes_that_are_a_path_say_so(tmp_path, small):
    small.save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="path of a file.*as text"):
        read_image(os.fsencode(tmp_path / "a.png"))


def test_a_released_memoryview_and_an_object_without_a_path(small, encode):
    view = memoryview(encode(small, "PNG"))
    view.release()

    class Broken:
        def __fspath__(self):
            raise RuntimeError("no path")

    for source, words in ((view, "released"), (Broken(), "gives no path")):
        assert own_copy(source) is source
        with pytest.raises(ImageError, match=words):
            read_image(source)


def test_a_view_that_does_not_fit_into_memory_is_not_copied(picture):
    huge = np.broadcast_to(picture[:1, :1], (400_000, 400_000, 3))
    assert own_copy(huge) is huge
    with pytest.raises(ImageError, match="more than the limit"):
        read_image(huge)
    assert own_copy(picture) is not picture


def test_a_picture_closed_before_it_is_read_has_a_reason(small, encode):
    with Image.open(io.BytesIO(encode(small, "PNG"))) as image:
        pass
    with pytest.raises(ImageError, match=r"cannot be loaded \(\S"):
        read_image(image)


@pytest.mark.parametrize("progressive", [False, True])
def test_what_stands_behind_a_jpeg_is_not_counted(small, encode, progressive):
    """As of phones, which append a film."""
    data = encode(small, "JPEG", progressive=progressive)
    film = np.random.default_rng(0).integers(0, 256, 1 << 16, dtype=np.uint8).tobytes() + b"\xff\xda\x00\x02" * 200
    assert np.array_equal(read_image(data + film), read_image(data))
