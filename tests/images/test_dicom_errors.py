"""DICOM files that are refused: damaged, of another kind, or larger than they say."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from dicom_case import PATIENT, dataset, encoded, jpeg
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from amfzoo.errors import ImageError
from amfzoo.images import MAX_PIXELS, read_image


def fails(made: Dataset | bytes, *words: str, name: str = "photo.dcm") -> str:
    """Reading fails with a message that names the file, holds the words and nothing of the patient."""
    with pytest.raises(ImageError) as caught:
        read_image(made if isinstance(made, bytes) else encoded(made), name=name)
    message = str(caught.value)
    assert message.startswith(f"{name}: ")
    for word in words:
        assert word in message
    for secret in PATIENT:
        assert secret not in message
    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, ImportError)
    return message


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", ["plain", "rle", "jpeg"])
def test_truncated_files(rgb, form):
    made = dataset(rgb, "RGB")
    if form == "rle":
        made.compress(uid.RLELossless)
    if form == "jpeg":
        made = dataset(rgb, "YBR_FULL_422", uid.JPEGBaseline8Bit, PixelData=encapsulate([jpeg(rgb)]))
    data = encoded(made)
    for end in (132, 140, 200, 330, 500, len(data) // 2, len(data) * 9 // 10, len(data) - 400):
        message = fails(data[:end])
        assert "copy" in message


def test_no_pixels(rgb):
    made = dataset(rgb, "RGB", SOPClassUID="1.2.840.10008.5.1.4.1.1.104.1")
    del made.PixelData
    fails(made, "Encapsulated PDF Storage", "holds no pixels", "image object")
    made.SOPClassUID = "Doe^Jane"
    fails(made, "this DICOM object holds no pixels")


@pytest.mark.parametrize("missing", ["Rows", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation"])
def test_a_header_without_what_pixels_need(rgb, missing):
    made = dataset(rgb, "RGB")
    del made[missing]
    fails(made, "does not say how its pixels are stored", "copy")


def test_sizes_are_checked_before_decoding(rgb):
    huge = dataset(rgb, "RGB", Rows=30000, Columns=30000)
    fails(huge, "30000x30000", str(MAX_PIXELS), "smaller")
    fails(dataset(rgb, "RGB", Rows=8, Columns=8), "8x8", "thumbnail")


def test_what_the_header_declares_is_limited_before_decoding(rgb):
    side = int(MAX_PIXELS**0.5)  # few enough pixels, of too many bytes
    for syntax in (uid.ExplicitVRLittleEndian, uid.RLELossless):
        large = {"Rows": side, "Columns": side, "BitsAllocated": 64, "BitsStored": 16}
        made = dataset(rgb, "RGB", syntax, PixelData=encapsulate([bytes(100)]), **large)
        fails(made, f"{side * side * 3 * 8} bytes", "smaller")


def coded(rgb: np.ndarray, form: str) -> tuple[uid.UID, bytes]:
    """A transfer syntax and a frame of it; JP2 is JPEG 2000 in boxes, as some writers leave it."""
    if form == "JPEG":
        return uid.JPEGBaseline8Bit, jpeg(rgb)
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG2000", no_jp2=form != "JP2", irreversible=False)
    return uid.JPEG2000Lossless, stream.getvalue()


@pytest.mark.filterwarnings("ignore:The .0028,0004.*JFIF")
@pytest.mark.parametrize("form", ["JPEG", "JPEG2000", "JP2"])
def test_a_frame_larger_than_its_header_is_not_decoded(rgb, form):
    syntax, frame = coded(np.tile(rgb, (4, 4, 1)), form)
    fails(dataset(rgb, "RGB", syntax, PixelData=encapsulate([frame])), "truncated or damaged")
    syntax, frame = coded(rgb, form)
    assert read_image(encoded(dataset(rgb, "RGB", syntax, PixelData=encapsulate([frame])))).size == rgb.shape[1::-1]
    gray = dataset(rgb[..., 0], "MONOCHROME2", syntax, PixelData=encapsulate([frame]))
    fails(gray, "truncated or damaged")  # three samples where the header says one
    other = dataset(rgb, "RGB", syntax, PixelData=encapsulate([b"GIF89a" + frame]))
    fails(other, "truncated or damaged")


def run_lengths(*segments: bytes) -> bytes:
    """An RLE frame."""
    starts = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    return struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


def test_run_lengths_that_unpack_to_more_than_the_picture_are_not_unpacked(rgb):
    bomb = run_lengths(*[b"\x81\0" * (1 << 19)] * 3)  # 64 MB each
    data = encoded(dataset(rgb, "RGB", uid.RLELossless, PixelData=encapsulate([bomb])))
    tracemalloc.start()
    try:
        fails(data, "RLE", "truncated or damaged")
        assert tracemalloc.get_traced_memory()[1] < 8 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "frame",
    [
        run_lengths(*[b"\x81\0" * 24] * 2),  # of three
        run_lengths(*[b"\x81\0" * 23] * 3),  # 23 * 128 of 64 * 48 bytes
        run_lengths(*[b"\x81\0" * 24] * 3)[:90],
        struct.pack("<16I", 3, *[64] * 15) + b"\x81\0" * 24,  # one within the other
        struct.pack("<16I", 3, 64, 4000, 5000, *[0] * 12) + b"\x81\0" * 72,
        struct.pack("<16I", 99, *[64] * 15) + b"\x81\0" * 24,
        bytes(64),
        b"short",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_unsound_run_lengths(rgb, frame):
    fails(dataset(rgb, "RGB", uid.RLELossless, PixelData=encapsulate([frame])), "RLE", "truncated or damaged")


@pytest.mark.filterwarnings("ignore:The decoded RLE segment contains non-conformant padding")
def test_padded_run_lengths_are_read(rgb):
    frame = run_lengths(*[b"\x81\x07" * 24 + b"\x9d\0"] * 3)
    picture = read_image(encoded(dataset(rgb, "RGB", uid.RLELossless, PixelData=encapsulate([frame]))))
    assert picture.getextrema() == ((7, 7),) * 3


def test_a_deflated_file_is_not_inflated(rgb):
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = encoded(dataset(rgb, "RGB", uid.DeflatedExplicitVRLittleEndian))
    start = 144 + int.from_bytes(plain[140:144], "little")
    fails(plain[:start] + bomb.compress(bytes(1 << 20)) + bomb.flush(), "deflated", "Explicit VR Little Endian")


def test_interpretations_that_are_not_read(rgb):
    for kind in ("HSV", "CMYK", "YBR_PARTIAL_420", "Doe^Jane"):
        fails(dataset(rgb, kind), "photometric interpretation", "YBR_FULL_422", "PNG or JPEG")
    fails(dataset(rgb, "MONOCHROME2"), "photometric interpretation")


def test_transfer_syntaxes_that_are_not_read(rgb):
    made = dataset(rgb, "RGB", uid.MPEG4HP41, PixelData=encapsulate([bytes(100)]))
    fails(made, "MPEG-4", "not read here", "Explicit VR Little Endian")
    unknown = encoded(made).replace(uid.MPEG4HP41.encode(), b"1.2.840.99999.1.2.4.102")
    fails(unknown, "1.2.840.99999.1.2.4.102", "not read here")


@pytest.mark.parametrize(
    ("syntax", "word", "mend"),
    [(uid.JPEGLosslessSV1, "JPEG Lossless", "python-gdcm"), (uid.JPEGLSLossless, "JPEG-LS", "'amfzoo[dicom]'")],
)
def test_decoders_that_are_not_installed(rgb, syntax, word, mend, monkeypatch):
    from pydicom.pixels import get_decoder

    decoder = get_decoder(syntax)
    monkeypatch.setattr(decoder, "_available", {})
    made = dataset(rgb, "RGB", syntax, PixelData=encapsulate([bytes(100)]))
    fails(made, word, f"pip install {mend}")


def test_without_pydicom(rgb, monkeypatch):
    data = encoded(dataset(rgb, "RGB"))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    fails(data, "pip install 'amfzoo[dicom]'", "PNG or JPEG")


def test_gray_that_fills_little_of_its_range_and_has_no_window(gray):
    low = gray.astype(np.uint16) * 16  # 12 bits declared as 16
    fails(dataset(low, "MONOCHROME2"), "% of the range", "WindowCenter")
    shown = read_image(encoded(dataset(low, "MONOCHROME2", WindowCenter="2048", WindowWidth="4096")), name="photo.dcm")
    assert np.abs(np.asarray(shown)[..., 0].astype(int) - gray).max() <= 1
    blank = read_image(encoded(dataset(np.full((32, 32), 7, np.uint16), "MONOCHROME2")), name="photo.dcm")
    assert np.asarray(blank).max() == 0  # nothing to be seen in any window; the guards warn of it


def test_a_header_that_lacks_how_pixels_are_stored_is_named(rgb):
    made = dataset(rgb, "RGB")
    del made.BitsStored
    fails(made, "look at BitsStored")


def test_uncompressed_pixels_are_not_to_be_converted(rgb):
    made = dataset(rgb, "RGB")
    made.PixelData = made.PixelData[:100]
    assert "convert" not in fails(made, "truncated or damaged")


def test_a_data_set_without_preamble_is_told_from_other_content(rgb):
    whole = encoded(dataset(rgb, "RGB"))
    fails(whole[132:], "DICOM without its preamble")
