"""Ink, Lab and embedded profiles, against plain formulas."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from image_case import AVIF, rgb_pixels
from PIL import Image, ImageCms

from amfzoo.images import colour, read_image


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", None])
def test_cmyk(encode, kind):
    ink = np.zeros((32, 32, 4), np.uint8)
    ink[:, :16], ink[:, 16:] = (200, 30, 10, 20), (0, 120, 240, 60)
    image = Image.fromarray(ink, "CMYK")
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    source = image if kind is None else encode(image, kind, **options)
    parts = ink.astype(float)
    expected = (255 - parts[..., :3]) * (255 - parts[..., 3:]) / 255
    assert np.abs(rgb_pixels(source) - expected).max() <= 3


def test_a_cmyk_profile_is_used(encode, monkeypatch):
    """Which colour it gives is up to littlecms."""
    profile = bytes(16) + b"CMYK" + bytes(108)

    class Green:
        def apply(self, image):
            assert image.mode == "CMYK"
            return Image.new("RGB", image.size, (0, 200, 0))

    monkeypatch.setattr(
        colour, "_transform", lambda found, mode: Green() if (found, mode) == (profile, "CMYK") else None
    )
    image = Image.new("CMYK", (20, 20), (200, 30, 10, 20))
    assert (rgb_pixels(encode(image, "JPEG", icc_profile=profile)) == (0, 200, 0)).all()
    assert (rgb_pixels(encode(image, "JPEG", icc_profile=bytes(16) + b"RGB " + bytes(108))) != (0, 200, 0)).any()


@pytest.mark.parametrize("kind", ["TIFF", None])
def test_lab(encode, kind):
    def formula(lightness, a, b):  # CIE Lab (D50) to sRGB
        fy = (lightness + 16) / 116
        f = np.array([fy + a / 500, fy, fy - b / 200])
        xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
        return _from_d50(xyz * (0.9642, 1.0, 0.8249))

    for lab in ((60, 20, 25), (40, 5, 10), (80, -10, -15), (100, 0, 0), (0, 0, 0)):
        bands = [Image.new("L", (20, 20), v) for v in (round(lab[0] * 2.55), lab[1] + 128, lab[2] + 128)]
        image = Image.merge("LAB", bands)
        source = image if kind is None else encode(image, kind)
        assert np.abs(rgb_pixels(source)[0, 0] - formula(*lab)).max() <= 2.5


SRGB_D50 = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
P3_D50 = np.array([[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]])


def _from_d50(xyz: np.ndarray) -> np.ndarray:
    linear = np.clip(np.linalg.solve(SRGB_D50, xyz), 0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 255 * curve


def _profile(colorants: np.ndarray) -> bytes:
    """A display profile with these colorants and the sRGB curve (ICC.1, version 4)."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    def text(kind, words):
        body = words.encode("utf-16-be")
        return kind, b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(body), 28) + body

    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0)
    curve += fixed(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    tags = [text(b"desc", "wide"), text(b"cprt", "none")]
    tags.append((b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642, 1.0, 0.8249)))
    for index, channel in enumerate((b"r", b"g", b"b")):
        tags.append((channel + b"XYZ", b"XYZ " + bytes(4) + fixed(*colorants[:, index])))
        tags.append((channel + b"TRC", curve))
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for tag, content in tags:
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">II", start + len(data), len(content))
        data += content
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + table + data


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "HEIC", AVIF])
def test_display_p3_is_converted(encode, kind):
    for colour in ((210, 140, 120), (120, 60, 40), (250, 250, 250), (255, 0, 0), (30, 90, 60)):
        image = Image.new("RGB", (32, 32), colour)
        options = {
            "WEBP": {"lossless": True},
            "JPEG": {"quality": 100, "subsampling": 0},
            "HEIC": {"quality": 100},
            "AVIF": {"quality": 100},
        }
        source = encode(image, kind, icc_profile=_profile(P3_D50), **options.get(kind, {}))
        v = np.array(colour) / 255
        linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
        assert np.abs(rgb_pixels(source)[5, 5] - _from_d50(P3_D50 @ linear)).max() <= 3


def test_profiles_that_are_srgb_or_broken_change_nothing(small, encode):
    pillows = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    broken = _profile(P3_D50)[:150]
    for profile in (pillows, _profile(SRGB_D50), broken, b"not a profile", b""):
        source = encode(small, "PNG", icc_profile=profile)
        np.testing.assert_array_equal(rgb_pixels(source), np.asarray(small))


def test_profile_of_an_opened_image_and_of_a_transparent_one(small, encode):
    data = encode(small, "PNG", icc_profile=_profile(P3_D50))
    opened = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(rgb_pixels(opened), rgb_pixels(data))
    rgba = small.convert("RGBA")
    clear = encode(rgba, "PNG", icc_profile=_profile(P3_D50))
    np.testing.assert_array_equal(rgb_pixels(clear), rgb_pixels(data))
    # Converted once: the result carries no profile to convert by again.
    np.testing.assert_array_equal(rgb_pixels(read_image(data)), rgb_pixels(data))
