"""DICOM files, written here with pydicom and compared with the pixels that went in."""

from __future__ import annotations

import io
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from amfzoo.errors import ImageError
from amfzoo.images import MAX_PIXELS, Preprocess, read_image

pydicom = pytest.importorskip("pydicom")
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

PATIENT = ("Doe^Jane", "PID-4711", "19700101", "St Nowhere Hospital")
VL_PHOTO, DERMOSCOPY = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.7"


def dataset(pixels: np.ndarray, kind: str, syntax=uid.ExplicitVRLittleEndian, **elements) -> Dataset:
    """An image object with a patient; `elements` replace what follows from the pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = DERMOSCOPY
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "2.25.1"
    made.PatientName, made.PatientID, made.PatientBirthDate, made.InstitutionName = PATIENT
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    made.PhotometricInterpretation = kind
    if pixels.ndim == 3:
        made.PlanarConfiguration = 0
    made.BitsAllocated = made.BitsStored = pixels.dtype.itemsize * 8
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    content = pixels.tobytes()
    made.PixelData = content + b"\0" * (len(content) % 2)
    made["PixelData"].VR = "OW" if made.BitsAllocated > 8 else "OB"
    for name, value in elements.items():
        setattr(made, name, value)
    if "BitsStored" in elements:
        made.HighBit = made.BitsStored - 1
    return made


def encoded(made: Dataset) -> bytes:
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def read(made: Dataset) -> np.ndarray:
    return np.asarray(read_image(encoded(made)))


@pytest.fixture
def rgb(small) -> np.ndarray:
    return np.asarray(small)


@pytest.fixture
def gray(small) -> np.ndarray:
    return np.asarray(small.convert("L"))


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """PS3.3 C.7.6.3.1.2, in floating point."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.clip(np.rint(rgb @ matrix.T + (0, 128, 128)), 0, 255).astype(np.uint8)


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


def test_a_path_bytes_and_a_file_object(rgb, tmp_path):
    path = tmp_path / "IM0001"  # as archives name them
    path.write_bytes(encoded(dataset(rgb, "RGB")))
    for source in (path, str(path), path.read_bytes(), io.BytesIO(path.read_bytes())):
        picture = read_image(source)
        assert picture.mode == "RGB" and picture.info == {}
        np.testing.assert_array_equal(np.asarray(picture), rgb)
    preprocess = Preprocess(size=(32, 32))
    np.testing.assert_array_equal(preprocess(path), preprocess(rgb))


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_other_byte_orders(rgb, syntax):
    wide = rgb.astype(np.uint16) * 257
    if syntax == uid.ExplicitVRBigEndian:
        wide = wide.byteswap()
    made = dataset(wide, "RGB", syntax)
    np.testing.assert_array_equal(read(made), rgb)


def test_planes(rgb):
    made = dataset(rgb, "RGB", PlanarConfiguration=1, PixelData=rgb.transpose(2, 0, 1).tobytes())
    np.testing.assert_array_equal(read(made), rgb)


def test_colour_of_more_than_eight_bits(rgb):
    wide = np.rint(rgb / 255 * 4095).astype(np.uint16)
    np.testing.assert_array_equal(read(dataset(wide, "RGB", BitsStored=12)), rgb)


def test_gray(gray):
    np.testing.assert_array_equal(read(dataset(gray, "MONOCHROME2")), as_rgb(gray))
    np.testing.assert_array_equal(read(dataset(gray, "MONOCHROME1")), as_rgb(255 - gray))


@pytest.mark.parametrize("stored", [10, 12, 16])
def test_gray_fills_the_range_of_its_bits(gray, stored):
    high = 2**stored - 1
    values = np.rint(gray / 255 * high).astype(np.uint16)
    np.testing.assert_array_equal(read(dataset(values, "MONOCHROME2", BitsStored=stored)), as_rgb(gray))
    signed = (values.astype(np.int32) - 2 ** (stored - 1)).astype(np.int16)
    np.testing.assert_array_equal(read(dataset(signed, "MONOCHROME2", BitsStored=stored)), as_rgb(gray))


def test_a_window(gray):
    values = gray.astype(np.uint16) * 8
    made = dataset(values, "MONOCHROME2", BitsStored=12, WindowCenter="1024", WindowWidth="512")
    expected = np.clip((values - 1023.5) / 511 + 0.5, 0, 1) * 255  # PS3.3 C.11.2.1.2.1
    assert np.abs(read(made)[..., 0] - expected).max() <= 0.51
    made.PhotometricInterpretation = "MONOCHROME1"
    assert np.abs(read(made)[..., 0] - (255 - expected)).max() <= 0.51


def test_rescaled_values(gray):
    made = dataset(gray, "MONOCHROME2", RescaleSlope="2", RescaleIntercept="-100")
    np.testing.assert_array_equal(read(made), as_rgb(gray))  # the range moves with the values
    made.WindowCenter, made.WindowWidth = "155", "256"
    expected = np.clip((gray * 2.0 - 100 - 154.5) / 255 + 0.5, 0, 1) * 255
    assert np.abs(read(made)[..., 0] - expected).max() <= 0.51


def test_a_lookup_table_of_values(gray):
    table = Dataset()
    table.LUTDescriptor = [256, 0, 8]
    table.LUTData = list(range(255, -1, -1))
    table["LUTData"].VR = "US"
    table["LUTDescriptor"].VR = "US"
    made = dataset(gray, "MONOCHROME2", VOILUTSequence=[table])
    np.testing.assert_array_equal(read(made), as_rgb(255 - gray))


@pytest.mark.parametrize("bits", [8, 16])
def test_palette(small, bits):
    indexed = small.quantize(64)
    palette = np.zeros((256, 3), np.uint8)
    colours = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)
    palette[: len(colours)] = colours
    made = dataset(np.asarray(indexed), "PALETTE COLOR")
    for i, name in enumerate(("Red", "Green", "Blue")):
        entries = palette[:, i] if bits == 8 else palette[:, i].astype("<u2") * 257
        setattr(made, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        made[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(made, f"{name}PaletteColorLookupTableData", entries.tobytes())
    np.testing.assert_array_equal(read(made), np.asarray(indexed.convert("RGB")))


def test_luma_and_chroma(rgb):
    got = read(dataset(to_ybr(rgb), "YBR_FULL"))
    assert np.abs(got.astype(int) - rgb).max() <= 2


def test_halved_chroma(rgb):
    even = np.repeat(rgb[:, ::2], 2, axis=1)  # neighbours of one colour lose nothing
    ybr = to_ybr(even)
    stored = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], axis=-1)
    got = read(dataset(ybr, "YBR_FULL_422", PixelData=stored.tobytes()))
    assert np.abs(got.astype(int) - even).max() <= 2


def test_the_first_of_several_frames(rgb):
    frames = np.stack([rgb, 255 - rgb, rgb // 2])
    np.testing.assert_array_equal(read(dataset(rgb, "RGB", NumberOfFrames=3, PixelData=frames.tobytes())), rgb)
    made = dataset(rgb, "RGB", NumberOfFrames=3, PixelData=frames.tobytes())
    made.compress(uid.RLELossless)
    np.testing.assert_array_equal(read(made), rgb)


def test_run_lengths(rgb, gray):
    for pixels, kind in ((rgb, "RGB"), (gray, "MONOCHROME2"), (gray.astype(np.uint16) * 257, "MONOCHROME2")):
        made = dataset(pixels, kind)
        made.compress(uid.RLELossless)
        np.testing.assert_array_equal(read(made), rgb if pixels.ndim == 3 else as_rgb(gray))


@pytest.mark.parametrize("interpretation", ["RGB", "YBR_RCT"])
def test_jpeg_2000(rgb, interpretation):
    pytest.importorskip("openjpeg")
    made = dataset(rgb, interpretation)
    made.compress(uid.JPEG2000Lossless)
    np.testing.assert_array_equal(read(made), rgb)


@pytest.mark.parametrize("wide", [False, True])
def test_jpeg_ls(rgb, gray, wide):
    pytest.importorskip("jpeg_ls")
    made = dataset(gray.astype(np.uint16) * 16, "MONOCHROME2", BitsStored=12) if wide else dataset(rgb, "RGB")
    made.compress(uid.JPEGLSLossless)
    got = read(made)
    assert np.abs(got.astype(int) - (as_rgb(gray) if wide else rgb)).max() <= wide


def jpeg(rgb: np.ndarray, **options) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "JPEG", **options)
    return stream.getvalue()


@pytest.mark.filterwarnings("ignore:The .0028,0004.*JFIF")
@pytest.mark.parametrize("interpretation", ["YBR_FULL_422", "RGB"])  # cameras write RGB where it is not
def test_baseline_jpeg(rgb, interpretation):
    frame = jpeg(rgb, quality=95)
    made = dataset(rgb, interpretation, uid.JPEGBaseline8Bit, PixelData=encapsulate([frame]))
    expected = np.asarray(Image.open(io.BytesIO(frame)).convert("RGB")).astype(int)
    assert np.abs(read(made) - expected).max() <= 2  # rounding of the colour transformation


def test_baseline_jpeg_in_gray(gray):
    frame = jpeg(gray)
    made = dataset(gray, "MONOCHROME2", uid.JPEGBaseline8Bit, PixelData=encapsulate([frame]))
    np.testing.assert_array_equal(read(made), as_rgb(np.asarray(Image.open(io.BytesIO(frame)))))


def test_a_colour_profile_is_applied(rgb):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    content = bytearray(profile.tobytes())
    # sRGB with red and blue exchanged: their tag names, of equal length, in the table
    for one, other in ((b"rXYZ", b"____"), (b"bXYZ", b"rXYZ"), (b"____", b"bXYZ")):
        content[: 128 + 4 + 12 * 20] = content[: 128 + 4 + 12 * 20].replace(one, other)
    made = dataset(rgb, "RGB", ICCProfile=bytes(content) + b"\0" * (len(content) % 2))
    assert np.abs(read(made).astype(int) - rgb[..., ::-1]).max() <= 3


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


def test_sizes_are_checked_before_decoding(rgb, monkeypatch):
    huge = dataset(rgb, "RGB", Rows=30000, Columns=30000)
    fails(huge, "30000x30000", str(MAX_PIXELS), "smaller")
    fails(dataset(rgb, "RGB", Rows=8, Columns=8), "8x8", "thumbnail")


@pytest.mark.parametrize("frame_of", ["JPEG", "JPEG2000"])
def test_a_frame_larger_than_its_header_is_not_decoded(rgb, frame_of):
    stream = io.BytesIO()
    Image.fromarray(np.tile(rgb, (4, 4, 1))).save(stream, frame_of, **({"no_jp2": True} if frame_of != "JPEG" else {}))
    syntax = uid.JPEGBaseline8Bit if frame_of == "JPEG" else uid.JPEG2000
    made = dataset(rgb, "RGB", syntax, PixelData=encapsulate([stream.getvalue()]))
    fails(made, "truncated or damaged")


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


def test_nothing_of_the_patient_is_left_in_the_picture(rgb, tmp_path):
    path = tmp_path / "out.png"
    read_image(encoded(dataset(rgb, "RGB", SOPClassUID=VL_PHOTO))).save(path)
    content = path.read_bytes()
    assert not any(secret.encode() in content for secret in PATIENT)
