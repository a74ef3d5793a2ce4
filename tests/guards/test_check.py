"""What the guards say of drawn pairs, right ones and those with a mistake in them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps

from amfzoo import read_image
from amfzoo.data.example import example_pair
from amfzoo.data.synthetic import draw_pair, random_findings
from amfzoo.guards import InputWarning, check_images
from amfzoo.guards.check import _kinds
from amfzoo.guards.detectors import bundled
from amfzoo.guards.drawings import KINDS, draw_other

Pictures = dict[str, Image.Image]


@pytest.fixture(scope="module")
def pairs() -> list[Pictures]:
    drawn = [draw_pair(random_findings(seed), seed=seed, size=(600, 450)) for seed in range(6)]
    return [{"clinical": pair.clinical, "dermoscopy": pair.dermoscopy} for pair in drawn]


def found(pictures: Pictures) -> list[tuple[str, tuple[str, ...]]]:
    return [(warning.code, warning.images) for warning in check_images(pictures)]


def swapped(pair: Pictures) -> Pictures:
    return {"clinical": pair["dermoscopy"], "dermoscopy": pair["clinical"]}


def test_right_pairs_and_single_images_pass(pairs):
    example = dict(zip(("clinical", "dermoscopy"), map(read_image, example_pair())))
    for pair in (*pairs, example):
        assert found(pair) == []
        for name, picture in pair.items():
            assert found({name: picture}) == found({**dict.fromkeys(pair), name: picture}) == []


def test_swapped_pairs(pairs):
    for pair in pairs:
        (warning,) = check_images(swapped(pair))
        assert warning.code == "swapped" and warning.images == ("clinical", "dermoscopy")
        assert "swapped" in warning.message


def test_a_dermoscopy_image_alone_in_the_place_of_the_clinical_photo(pairs):
    wrong = [found({"clinical": pair["dermoscopy"]}) for pair in pairs]
    assert all(codes in ([], [("wrong_kind", ("clinical",))]) for codes in wrong)
    assert sum(map(bool, wrong)) >= len(pairs) / 2


def test_one_picture_twice(pairs):
    picture = pairs[0]["dermoscopy"]
    file = io.BytesIO()
    picture.resize((240, 180)).save(file, "JPEG", quality=60)
    for other in (picture, picture.copy(), read_image(file.getvalue())):
        assert ("identical", ("clinical", "dermoscopy")) in found({"clinical": picture, "dermoscopy": other})


@pytest.mark.parametrize("name", ["clinical", "dermoscopy"])
@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("blurred", lambda picture: picture.filter(ImageFilter.GaussianBlur(20))),
        ("blurred", lambda picture: picture.resize((24, 18))),
        ("dark", lambda picture: picture.point(lambda value: value / 10)),
        ("bright", lambda picture: picture.point(lambda value: 255 - (255 - value) / 10)),
        ("uniform", lambda picture: picture.resize((1, 1), Image.Resampling.BOX).resize((300, 200))),
        ("no_lesion", lambda picture: draw_other("landscape", 5)),
        ("no_lesion", lambda picture: draw_other("text", 5)),
        ("narrow", lambda picture: picture.resize((2000, 60))),
        ("narrow", lambda picture: picture.crop((200, 0, 330, 450))),
    ],
)
def test_one_spoilt_image(pairs, name, code, change):
    for pair in pairs[:3]:
        spoilt = {**pair, name: change(pair[name])}
        assert (code, (name,)) in found(spoilt)
        assert all(name in images for _, images in found(spoilt))


def test_a_jpeg_with_a_hole_in_its_middle(pairs):
    file = io.BytesIO()
    pairs[0]["clinical"].save(file, "JPEG", quality=90)
    data, size = file.getvalue(), len(file.getvalue())
    broken = data[: size * 2 // 5] + bytes(size // 5) + data[size * 2 // 5 + size // 5 :]
    assert len(broken) == size
    assert ("damaged", ("clinical",)) in found({**pairs[0], "clinical": read_image(broken)})
    assert found({**pairs[0], "clinical": read_image(data)}) == []


def test_a_progressive_jpeg_that_was_cut_and_closed(pairs):
    file = io.BytesIO()
    pairs[0]["clinical"].save(file, "JPEG", quality=90, progressive=True)
    broken = file.getvalue()[: file.getvalue().rindex(b"\xff\xda")] + b"\xff\xd9"
    (warning,) = check_images({"clinical": read_image(broken)})
    assert warning.code == "damaged" and "scans of its JPEG file are missing" in warning.message


def test_damage_of_any_side(pairs):
    """The picture may have been turned: by its orientation, or before it was given."""
    photo = pairs[0]["clinical"]
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    photo.save(file, "JPEG", quality=90, exif=exif)
    assert ("damaged", ("clinical",)) in found({"clinical": read_image(file.getvalue()[:-9000] + b"\xff\xd9")})
    pixels = np.array(photo)
    pixels[300:] = 128
    for turns in range(4):
        for turned in (np.rot90(pixels, turns), np.rot90(pixels[:, ::-1], turns)):
            assert ("damaged", ("clinical",)) in found({"clinical": read_image(turned)})


def test_a_file_whose_room_was_taken_and_not_filled(pairs):
    file = io.BytesIO()
    pairs[0]["clinical"].save(file, "BMP")
    data = file.getvalue()
    broken = data[: len(data) * 4 // 5].ljust(len(data), b"\0")
    (warning,) = (one for one in check_images({"clinical": read_image(broken)}) if one.code == "damaged")
    assert "ends in zeros" in warning.message
    assert found({"clinical": read_image(data)}) == []


def test_shapes_of_photos_and_screens_are_no_strips(pairs):
    for width, height in ((640, 360), (360, 640), (840, 360), (512, 512)):
        codes = found({name: picture.resize((width, height)) for name, picture in pairs[0].items()})
        assert "narrow" not in {code for code, _ in codes}


def test_drawings_of_other_things_are_noticed():
    codes = {"no_lesion", "uniform", "dark", "bright", "blurred", "far"}
    warned = [bool(codes & {code for code, _ in found({"dermoscopy": draw_other(kind, 7)})}) for kind in KINDS]
    assert sum(warned) >= len(KINDS) - 1


def test_what_is_no_lesion_is_not_called_swapped(pairs):
    page = draw_other("text", 3)
    for pictures in ({"clinical": page, "dermoscopy": pairs[0]["clinical"]}, {"clinical": page}):
        assert {code for code, _ in found(pictures)} & {"swapped", "wrong_kind"} <= {"wrong_kind"}
        assert ("no_lesion", ("clinical",)) in found(pictures)


def test_of_what_may_be_no_lesion_it_is_not_said_that_it_is_of_the_wrong_kind():
    limits = bundled().limits
    (warning,) = _kinds({"clinical": limits.clinical + 1}, set(), limits)
    assert (warning.code, warning.images) == ("wrong_kind", ("clinical",))
    assert _kinds({"clinical": limits.clinical + 1}, {"clinical"}, limits) == []
    nearly = {"clinical": 0.0, "dermoscopy": limits.pair - 1e-3}
    assert [one.code for one in _kinds(nearly, set(), limits)] == ["swapped"]
    assert _kinds(nearly, {"clinical"}, limits) == []


def test_any_picture_that_can_be_read_can_be_checked():
    random = np.random.default_rng(0)
    for shape in ((16, 16, 3), (16, 3000, 3), (2500, 17, 3), (40, 30), (50, 60, 4)):
        for values in (
            random.integers(0, 256, shape, np.uint8),
            np.zeros(shape, np.uint8),
            np.full(shape, 255, np.uint8),
        ):
            picture = read_image(values)
            warnings = check_images({"clinical": picture, "dermoscopy": picture})
            assert warnings and all(isinstance(warning, InputWarning) for warning in warnings)


def test_nothing_given_nothing_found():
    assert check_images({"clinical": None, "dermoscopy": None}) == check_images({}) == ()


def test_frames_change_nothing(pairs):
    for pair in pairs:
        framed = {name: ImageOps.expand(picture, (0, 75), (128, 128, 128)) for name, picture in pair.items()}
        assert found(framed) == []
        assert [code for code, _ in found(swapped(framed))] == ["swapped"]


def test_a_round_picture_on_the_gray_of_damaged_files_is_not_damaged(pairs):
    """Such a frame lies above the picture too, the gray of a file that ends early only below."""
    pixels = np.array(pairs[0]["dermoscopy"])
    rows, columns = np.indices(pixels.shape[:2])
    outside = (rows - 225) ** 2 + (columns - 300) ** 2 > 225**2
    for gray, damaged in ((outside, False), (outside & (rows > 225), True), (rows > 400, True)):
        picture = Image.fromarray(np.where(gray[..., None], 128, pixels).astype(np.uint8))
        assert (("damaged", ("dermoscopy",)) in found({**pairs[0], "dermoscopy": picture})) == damaged


def test_gray_pictures_are_said_to_have_no_colours(pairs):
    gray = {name: picture.convert("L").convert("RGB") for name, picture in pairs[0].items()}
    messages = [warning.message for warning in check_images(gray) if warning.code == "no_lesion"]
    assert messages and all("has no colours" in message for message in messages)
