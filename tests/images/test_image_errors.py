"""Every fault is an ImageError that names the source, the trouble and the mend."""

from __future__ import annotations

import builtins
import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from amfzoo.errors import AmfzooError, ConfigError, ImageError
from amfzoo.images import MAX_PIXELS, MIN_SIDE, read_image


def _fails(source, *words: str, **options) -> str:
    with pytest.raises(ImageError) as caught:
        read_image(source, **options)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    return message


def test_missing_files(tmp_path):
    _fails(str(tmp_path / "lesion.jpg"), "lesion.jpg", "no such file", "check the path")
    _fails(tmp_path / "lesion.jpg", "lesion.jpg", "no such file")
    _fails(str(tmp_path / "a\0b.jpg"), "no such file")
    _fails("", "path is empty")
    (tmp_path / "plain").write_bytes(b"x")
    _fails(tmp_path / "plain" / "lesion.jpg", "no such file")


def test_encoded_text_is_no_path_and_the_message_stays_short():
    for text in ("data:image/png;base64," + "iVBORw0KGgo" * 2000, "/9j/4AAQSkZJRg" * 500):
        assert len(_fails(text, "not a path", "b64decode", "bytes")) < 500
    assert len(_fails("x" * 5000, "no such file", "passed as bytes")) < 500


def test_folder_empty_file_and_text(tmp_path):
    _fails(tmp_path, "folder", "one image file")
    (tmp_path / "empty.png").write_bytes(b"")
    _fails(tmp_path / "empty.png", "empty.png", "empty", "again")
    (tmp_path / "page.jpg").write_text("<!DOCTYPE html><p>Déjà vu</p>", encoding="utf-8")
    _fails(tmp_path / "page.jpg", "page.jpg", "text and not an image")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    _fails(pointer, "<bytes>", "git lfs pull")
    _fails(b"", "<bytes>", "no bytes")


def test_permission_denied(tmp_path, monkeypatch):
    path = tmp_path / "locked.jpg"
    path.write_bytes(b"x")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(builtins, "open", refuse)
    _fails(path, "locked.jpg", "permission denied", "readable")


@pytest.mark.parametrize("url", ["http://host/a.jpg", "https://host/a.jpg", "s3://bucket/a.jpg", "file:///a.jpg"])
def test_urls(url):
    _fails(url, url, "not fetched", "download")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\x18ftypqt  " + bytes(64), ("video", "JPEG")),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isomavc1" + bytes(64), ("video",)),
        (b"%PDF-1.7" + bytes(64), ("PDF", "convert")),
        (b"8BPS" + bytes(64), ("Photoshop", "convert")),
        (b"PK\x03\x04" + bytes(64), ("ZIP",)),
        (b"\x93NUMPY" + bytes(64), ("NumPy",)),
        (bytes(4096), ("all zeros", "again")),
        (bytes(range(256)), ("no image format", "JPEG, PNG")),
    ],
)
def test_other_formats(data, words):
    _fails(data, "<bytes>", *words)


def test_formats_that_run_programs_are_not_opened(small, encode):
    _fails(encode(small, "EPS"), "PostScript")
    _fails(encode(small, "PPM"), "<bytes>", "no image format")


def test_the_name_can_be_given(tmp_path):
    _fails(b"garbage\0", "patient 7: ", name="patient 7")
    _fails(tmp_path, "clinical: ", name="clinical")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, ("no image",)),
        ([b"a", b"b"], ("one image at a time",)),
        (3.5, ("<float>", "this type")),
        ({"path": "a.jpg"}, ("<dict>",)),
    ],
)
def test_other_types(source, words):
    _fails(source, *words)


def test_arrays_of_other_types():
    unit = np.random.default_rng(0).random((20, 20, 3))
    _fails(unit, "20x20x3", "float64", "* 255", "uint8")
    _fails((unit * 255).astype(np.float32), "0..255", "round()")
    _fails(unit - 0.5, "normalised already")
    _fails((unit * 255).astype(np.int64), "int64", "astype(numpy.uint8)")
    _fails((unit * 60000).astype(np.uint16), "uint16", "// 257")
    _fails(unit > 0.5, "bool", "* 255")
    _fails(np.array([["a"]]), "uint8")
    _fails(np.full((20, 20, 3), np.nan), "float64")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((3, 40, 50), ("transpose(1, 2, 0)",)),
        ((1, 40, 50), ("transpose(1, 2, 0)",)),
        ((2, 40, 50, 3), ("batch", "array[i]")),
        ((40, 50, 2), ("(H, W, 3)",)),
        ((40,), ("(H, W, 3)",)),
        ((), ("(H, W, 3)",)),
        ((0, 0, 3), ("0x0",)),
    ],
)
def test_arrays_of_other_shapes(shape, words):
    _fails(np.zeros(shape, np.uint8), *words)


@pytest.mark.parametrize("size", [(1, 1), (MIN_SIDE - 1, 300), (300, MIN_SIDE - 1)])
def test_tiny_images(size, encode):
    image = Image.new("RGB", size)
    for source in (image, np.asarray(image), encode(image, "PNG"), encode(image, "JPEG")):
        _fails(source, f"{size[0]}x{size[1]}", "thumbnail")
    assert read_image(Image.new("RGB", (MIN_SIDE, MIN_SIDE))).size == (MIN_SIDE, MIN_SIDE)


def _bombs(encode) -> dict[str, bytes]:
    """Small files whose headers speak of 30000 x 30000 pixels."""
    image = Image.new("RGB", (20, 20))
    side = 30000
    png = bytearray(encode(image, "PNG"))
    png[16:24] = struct.pack(">II", side, side)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    bmp = bytearray(encode(image, "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    gif = bytearray(encode(image, "GIF"))
    gif[6:10] = struct.pack("<HH", side, side)
    jpeg = bytearray(encode(image, "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    return {"png": bytes(png), "bmp": bytes(bmp), "gif": bytes(gif), "jpeg": bytes(jpeg)}


@pytest.mark.parametrize("limit", [None, 1, 10**12, "default"])
def test_decompression_bombs_whatever_pillow_is_set_to(limit, encode, monkeypatch, recwarn, small):
    if limit != "default":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    for data in _bombs(encode).values():
        _fails(data, "30000x30000", str(MAX_PIXELS), "smaller")
    assert not recwarn.list
    np.testing.assert_array_equal(np.asarray(read_image(encode(small, "PNG"))), np.asarray(small))


def test_the_pixel_limit(encode):
    assert MAX_PIXELS == 89_478_485
    image = Image.new("1", (10000, 8948))
    _fails(encode(image, "PNG"), "10000x8948")
    _fails(image, "10000x8948")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tolerant", [False, True])
def test_truncated_files_never_give_other_pixels(files, tolerant, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    for kind, data in files.items():
        whole = np.asarray(read_image(data))
        length = len(data)
        for end in {*range(1, length, max(1, length // 60)), *range(length - 12, length)}:
            try:
                part = np.asarray(read_image(data[:end]))
            except ImageError:
                continue
            # Only what follows the pixels was lost: a second frame, an end marker.
            np.testing.assert_array_equal(part, whole, err_msg=f"{kind} {end}")
            assert "animated" in kind or kind == "mpo" or end >= len(data) - 4, (kind, end)


@pytest.mark.parametrize("tolerant", [False, True])
def test_half_written_files_padded_with_zeros(files, tolerant, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
    for kind in ("jpeg", "jpeg progressive", "jpeg thumbnail", "png", "png palette", "gif"):
        data = files[kind]
        for keep in (0.5, 0.8, 0.95):
            cut = int(len(data) * keep)
            _fails(data[:cut] + bytes(len(data) - cut), "truncated or damaged", "again")


def test_a_large_progressive_jpeg_cut_short(natural, encode, tmp_path):
    data = encode(natural(400, 300), "JPEG", progressive=True)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: len(data) * 9 // 10])
    for min_size in (None, (20, 20)):
        _fails(path, "cut.jpg", "truncated", min_size=min_size)


def test_opened_images_that_cannot_be_loaded(tmp_path, small, encode):
    path = tmp_path / "cut.png"
    path.write_bytes(encode(small, "PNG")[:-2000])
    with Image.open(path) as image:
        _fails(image, "cut.png", "cannot be loaded")
    (tmp_path / "good.png").write_bytes(encode(small, "PNG"))
    with Image.open(tmp_path / "good.png") as image:
        pass
    _fails(image, "good.png", "cannot be loaded")


def test_file_objects(small, encode, tmp_path):
    data = encode(small, "PNG")
    stream = io.BytesIO(b"skip" + data)
    stream.seek(4)
    np.testing.assert_array_equal(np.asarray(read_image(stream)), np.asarray(small))
    assert not stream.closed
    _fails(stream, "<file object>", "seek(0)")
    _fails(io.StringIO("text"), "binary mode")
    closed = io.BytesIO(data)
    closed.close()
    _fails(closed, "reading failed", "open for reading")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with open(path, "wb") as writing:
        _fails(writing, "a.png", "reading failed")


def test_file_objects_that_cannot_seek_or_give_little(small, encode):
    class Trickle(io.RawIOBase):
        def __init__(self, data):
            self.data = data

        def read(self, size=-1):
            part, self.data = self.data[:100], self.data[100:]
            return part

    got = read_image(Trickle(encode(small, "PNG")))
    np.testing.assert_array_equal(np.asarray(got), np.asarray(small))


def test_endless_files(monkeypatch):
    class Endless:
        def read(self, size=-1):
            return bytes(size)

    monkeypatch.setattr("amfzoo.images.source.MAX_BYTES", 5 << 20)
    _fails(Endless(), "<file object>", "not one photo")


def test_bytes_like_and_path_like(small, encode, tmp_path):
    data = encode(small, "PNG")
    path = tmp_path / "no suffix"
    path.write_bytes(data)
    for source in (data, bytearray(data), memoryview(data), path, str(path)):
        np.testing.assert_array_equal(np.asarray(read_image(source)), np.asarray(small))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_an_unreadable_file(tmp_path):
    path = tmp_path / "locked.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    _fails(path, "permission denied")


def test_kinds_of_error():
    assert issubclass(ImageError, AmfzooError) and issubclass(ImageError, ValueError)
    for min_size in (5, (0, 5), (5.5, 5), (5, 5, 5), "ab"):
        with pytest.raises(ConfigError, match="min_size"):
            read_image(np.zeros((20, 20, 3), np.uint8), min_size=min_size)


def test_interrupts_and_lack_of_memory_pass_through():
    class Failing:
        def __init__(self, error):
            self.error = error

        def read(self, size=-1):
            raise self.error

    for error in (KeyboardInterrupt, MemoryError):
        with pytest.raises(error):
            read_image(Failing(error()))


def test_a_tensor_is_called_one_whatever_its_class():
    torch = pytest.importorskip("torch")

    class Image(torch.Tensor):  # as torchvision.tv_tensors has
        pass

    for source in (torch.zeros(3, 20, 20), torch.zeros(3, 20, 20).as_subclass(Image)):
        _fails(source, "a tensor is not read here", "permute(1, 2, 0)")
