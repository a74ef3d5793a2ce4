"""DICOM files, written here with pydicom and compared with the pixels that went in."""

from __future__ import annotations

import io

import numpy as np
import pytest
from dicom_case import PATIENT, VL_PHOTO, dataset, encoded, jpeg
from PIL import Image, ImageCms
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from amfzoo.images import Preprocess, read_image
from amfzoo.images.damage import ZEROS, damage


def read(made: Dataset) -> np.ndarray:
    return np.asarray(read_image(encoded(made)))


def as_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """PS3.3 C.7.6.3.1.2, in floating point."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return np.clip(np.rint(rgb @ matrix.T + (0, 128, 128)), 0, 255).astype(np.uint8)


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


@pytest.mark.parametrize("kind", ["RGB", "planes", "YBR_FULL", "MONOCHROME1", "MONOCHROME2"])
def test_uncompressed_pixels_that_were_copied_in_part(natural, kind):
    pixels = np.array(natural(161, 120)).clip(1)
    elements = {"PlanarConfiguration": 1, "PixelData": pixels.transpose(2, 0, 1).tobytes()} if kind == "planes" else {}
    pixels = pixels[..., 0].astype(np.uint16) * 257 if kind.startswith("MONO") else pixels
    data = encoded(dataset(pixels, "RGB" if elements else kind, **elements))
    assert damage(read_image(data)) is None
    for share in (0.3, 0.72, 0.91):
        end = int(len(data) * share)
        assert damage(read_image(data[:end] + bytes(len(data) - end))) == ZEROS


def test_a_black_border_is_no_damage(rgb):
    black = rgb * (np.arange(len(rgb)) < 30)[:, None, None].astype(np.uint8)
    assert damage(read_image(encoded(dataset(black, "RGB")))) is None


def test_colour_by_pixel_is_taken_for_granted(rgb):
    made = dataset(rgb, "RGB")
    del made.PlanarConfiguration
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


def test_nothing_of_the_patient_is_left_in_the_picture(rgb, tmp_path):
    path = tmp_path / "out.png"
    read_image(encoded(dataset(rgb, "RGB", SOPClassUID=VL_PHOTO))).save(path)
    content = path.read_bytes()
    assert not any(secret.encode() in content for secret in PATIENT)
