"""The drawn pairs: reproducible, honest about what they show, and bundled as an example."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from amfzoo.data.example import example_pair
from amfzoo.data.synthetic import SyntheticPair, draw_pair, random_findings, write_example
from amfzoo.data.synthetic.example import draw_example
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST

EVERYTHING = {name: task.classes[-1] for name, task in CHECKLIST.items()}
DRAWN = [(name, kind) for name, task in CHECKLIST.items() for kind in task.classes if kind != "absent"]
SEEDS = (0, 1)
SIZE = (192, 144)  # smaller than usual, for speed


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, dtype=np.int16)


def digest(pair: SyntheticPair) -> str:
    return hashlib.sha256(pair.clinical.tobytes() + pair.dermoscopy.tobytes()).hexdigest()


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    return (pixels(before) != pixels(after)).any(axis=-1)


def mean_change(before: Image.Image, after: Image.Image, where: np.ndarray) -> float:
    return float(np.abs(pixels(before) - pixels(after))[where].mean())


def turns(mask: np.ndarray, bins: int = 24) -> np.ndarray:
    """(bins,) bool: directions from the centre of the picture in which the mask has a pixel."""
    y, x = np.nonzero(mask)
    angle = np.arctan2(y - mask.shape[0] / 2, x - mask.shape[1] / 2)
    return np.histogram(angle, bins, (-np.pi, np.pi))[0] > 0


def off_centre(pair: SyntheticPair, criterion: str) -> float:
    """Distance in pixels from the middle of a finding to the middle of the lesion."""
    return float(np.hypot(*(np.argwhere(pair.masks[criterion]).mean(axis=0) - np.argwhere(pair.lesion).mean(axis=0))))


def shift_of(plain: SyntheticPair, criterion: str, kind: str) -> np.ndarray:
    """(3,) mean change of red, green and blue that a finding brings inside its mask."""
    pair = draw_pair({criterion: kind}, seed=plain.seed, skin_tone=plain.skin_tone)
    return (pixels(pair.dermoscopy) - pixels(plain.dermoscopy))[pair.masks[criterion]].mean(axis=0)


@pytest.fixture(scope="module", params=SEEDS)
def plain(request: pytest.FixtureRequest) -> SyntheticPair:
    return draw_pair(seed=request.param, size=SIZE)


# ---- the same arguments give the same pixels ---------------------------------


def test_same_arguments_same_pixels_whatever_the_order_of_findings() -> None:
    backwards = dict(reversed(EVERYTHING.items()))
    assert digest(draw_pair(EVERYTHING, seed=3)) == digest(draw_pair(backwards, seed=3))


def test_same_pixels_in_a_fresh_process() -> None:
    code = (
        "import hashlib; from amfzoo.data.synthetic import draw_pair;"
        f"p = draw_pair({EVERYTHING!r}, seed=3);"
        "print(hashlib.sha256(p.clinical.tobytes() + p.dermoscopy.tobytes()).hexdigest())"
    )
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(draw_pair(EVERYTHING, seed=3))


def test_seeds_draw_different_lesions() -> None:
    first, second = draw_pair(seed=0), draw_pair(seed=1)
    assert (first.lesion != second.lesion).mean() > 0.01


# ---- findings ----------------------------------------------------------------


def test_omitted_criteria_are_absent_and_all_seven_are_told(plain: SyntheticPair) -> None:
    assert plain.findings == dict.fromkeys(CHECKLIST, "absent")
    assert set(plain.masks) == set(CHECKLIST)
    assert not any(mask.any() for mask in plain.masks.values())


@pytest.mark.parametrize(("criterion", "kind"), DRAWN)
def test_a_finding_shows_in_its_mask_and_nowhere_else(plain: SyntheticPair, criterion: str, kind: str) -> None:
    pair = draw_pair({criterion: kind}, seed=plain.seed, size=SIZE)
    difference, mask = changed(plain.dermoscopy, pair.dermoscopy), pair.masks[criterion]
    assert pair.findings == {**plain.findings, criterion: kind}
    assert {name for name, other in pair.masks.items() if other.any()} == {criterion}
    assert not (difference & ~mask).any(), "the surrounding skin, or unmarked lesion, changed"
    assert difference[mask].mean() > 0.85, "the mask covers pixels that did not change"
    assert (difference & pair.lesion).sum() > 0.01 * pair.lesion.sum()
    assert mean_change(plain.dermoscopy, pair.dermoscopy, mask) > 10, "too faint to see"
    if criterion != "streaks":  # streaks alone reach over the outline
        assert not (mask & ~pair.lesion).any()


@pytest.mark.parametrize(("criterion", "kind"), DRAWN)
def test_one_finding_leaves_the_others_alone(criterion: str, kind: str) -> None:
    without = draw_pair({**EVERYTHING, criterion: "absent"}, seed=2, size=(128, 96))
    pair = draw_pair({**EVERYTHING, criterion: kind}, seed=2, size=(128, 96))
    assert (pair.lesion == without.lesion).all()
    assert not (changed(without.dermoscopy, pair.dermoscopy) & ~pair.masks[criterion]).any()
    for name in CHECKLIST.keys() - {criterion}:
        assert (pair.masks[name] == without.masks[name]).all()


@pytest.mark.parametrize("criterion", [name for name, task in CHECKLIST.items() if len(task.classes) == 3])
def test_the_two_drawn_classes_of_a_criterion_differ(criterion: str) -> None:
    _, first, second = CHECKLIST[criterion].classes
    one, two = draw_pair({criterion: first}, size=SIZE), draw_pair({criterion: second}, size=SIZE)
    assert changed(one.dermoscopy, two.dermoscopy).sum() > 0.05 * one.lesion.sum()


@pytest.mark.parametrize("seed", range(4))
def test_irregular_streaks_and_globules_lie_on_one_side(seed: int) -> None:
    even = draw_pair({"streaks": "regular", "dots_and_globules": "regular"}, seed=seed)
    uneven = draw_pair({"streaks": "irregular", "dots_and_globules": "irregular"}, seed=seed)
    assert turns(even.masks["streaks"]).all()
    assert turns(uneven.masks["streaks"]).mean() < 0.5
    assert turns(even.masks["dots_and_globules"]).all()
    assert off_centre(uneven, "dots_and_globules") > 2 * off_centre(even, "dots_and_globules")


def test_colours_of_findings() -> None:
    plain = draw_pair(seed=5, skin_tone=3)
    vessels = shift_of(plain, "vascular_structures", "regular")
    network = shift_of(plain, "pigment_network", "typical")
    veil = shift_of(plain, "blue_whitish_veil", "present")
    assert vessels[0] > vessels[1:].max() + 20, "vessels are redder than the lesion"
    assert (network < -5).all(), "the network is darker than the lesion"
    assert veil[2] > veil[0] + 40, "the veil is bluer than the lesion"


def test_regression_has_white_and_blue_grey_parts() -> None:
    plain, pair = draw_pair(seed=5, skin_tone=3), draw_pair({"regression_structures": "present"}, seed=5, skin_tone=3)
    before, after = pixels(plain.dermoscopy)[pair.lesion], pixels(pair.dermoscopy)[pair.lesion]
    whiter = (after - before).min(axis=1) > 25
    grey_blue = (after[:, 2] > after[:, 0]) & (before[:, 2] < before[:, 0])
    assert whiter.mean() > 0.03 and grey_blue.mean() > 0.01


# ---- the clinical photo ------------------------------------------------------


def test_clinical_photo_shows_the_same_lesion_smaller(plain: SyntheticPair) -> None:
    lesion = plain.clinical_lesion
    assert 0.1 < lesion.sum() / plain.lesion.sum() < 0.5
    photo = pixels(plain.clinical).mean(axis=-1)
    assert photo[lesion].mean() < 0.9 * photo[~lesion].mean()


def test_clinical_photo_hides_the_fine_structure(plain: SyntheticPair) -> None:
    for criterion, limit in (("pigment_network", 0.25), ("dots_and_globules", 0.35), ("vascular_structures", 0.35)):
        for kind in CHECKLIST[criterion].classes[1:]:
            pair = draw_pair({criterion: kind}, seed=plain.seed, size=SIZE)
            seen = mean_change(plain.clinical, pair.clinical, pair.clinical_lesion)
            magnified = mean_change(plain.dermoscopy, pair.dermoscopy, pair.lesion)
            assert 0 < seen < limit * magnified, (criterion, kind)


def test_clinical_photo_shows_pigment_only_where_the_lesion_is(plain: SyntheticPair) -> None:
    pair = draw_pair({"pigmentation": "regular"}, seed=plain.seed, size=SIZE)
    assert mean_change(plain.clinical, pair.clinical, pair.clinical_lesion) > 10
    assert mean_change(plain.clinical, pair.clinical, ~pair.clinical_lesion) < 0.1


# ---- skin tone, size, wrong arguments ----------------------------------------


def test_lighter_skin_is_brighter_in_both_pictures() -> None:
    pairs = [draw_pair(EVERYTHING, seed=4, skin_tone=tone, size=SIZE) for tone in range(6)]
    assert [pair.skin_tone for pair in pairs] == list(range(6))
    for name, lesion in (("clinical", "clinical_lesion"), ("dermoscopy", "lesion")):
        skin = [pixels(getattr(pair, name))[~getattr(pair, lesion)].mean() for pair in pairs]
        assert (np.diff(skin) > 5).all(), (name, skin)


def test_skin_tone_is_drawn_from_the_seed() -> None:
    tones = [draw_pair(seed=seed, size=(32, 32)).skin_tone for seed in range(40)]
    assert set(tones) == set(range(6))


@pytest.mark.parametrize("size", [(256, 192), (101, 67), (64, 128), (32, 32)])
def test_size_is_honoured(size: tuple[int, int]) -> None:
    pair = draw_pair(EVERYTHING, size=size)
    for image in (pair.clinical, pair.dermoscopy):
        assert (image.mode, image.size) == ("RGB", size)
    for mask in (pair.lesion, pair.clinical_lesion, *pair.masks.values()):
        assert (mask.dtype, mask.shape) == (bool, size[::-1])
        assert mask.any()


def test_one_lesion_looks_the_same_at_two_sizes() -> None:
    small, large = draw_pair(EVERYTHING, seed=6), draw_pair(EVERYTHING, seed=6, size=(512, 384))
    other = draw_pair(EVERYTHING, seed=7, skin_tone=small.skin_tone)
    everywhere = np.ones((192, 256), bool)
    for name in ("clinical", "dermoscopy"):
        picture = getattr(small, name)
        same = mean_change(picture, getattr(large, name).reduce(2), everywhere)
        assert same < 0.5 * mean_change(picture, getattr(other, name), everywhere), name


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"findings": {"colour": "present"}}, ["'colour'", *CHECKLIST]),
        ({"findings": {"streaks": "typical"}}, ["'streaks'", "'typical'", "absent, regular, irregular"]),
        ({"findings": {"blue_whitish_veil": True}}, ["'blue_whitish_veil'", "absent, present"]),
        ({"findings": ["streaks"]}, ["mapping"]),
        ({"seed": -1}, ["seed", "-1"]),
        ({"seed": 0.5}, ["seed", "0.5"]),
        ({"skin_tone": 6}, ["skin_tone", "0 to 5"]),
        ({"size": 256}, ["size", "(width, height)"]),
        ({"size": (256, 8)}, ["height", "8"]),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        draw_pair(**arguments)
    for words in told:
        assert words in str(caught.value)


# ---- random findings ---------------------------------------------------------


def test_random_findings_are_valid_repeatable_and_reach_every_class() -> None:
    several = [random_findings(seed) for seed in range(300)]
    assert several[:20] == [random_findings(seed) for seed in range(20)]
    for name, task in CHECKLIST.items():
        assert {findings[name] for findings in several} == set(task.classes)
    assert all(list(findings) == list(CHECKLIST) for findings in several)
    assert draw_pair(several[0], size=(64, 48)).findings == several[0]


# ---- the bundled example -----------------------------------------------------


def test_bundled_example_is_what_is_drawn() -> None:
    drawn, paths = draw_example(), example_pair()
    for name, path in zip(("clinical", "dermoscopy"), paths):
        with Image.open(path) as image:
            expected = getattr(drawn, name)
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", expected.size)
            error = np.abs(pixels(image.convert("RGB")) - pixels(expected))
            assert error.mean() < 3 and np.quantile(error, 0.99) < 16, name
    assert sum(path.stat().st_size for path in paths) < 150_000


def test_write_example_writes_the_bundled_pictures(tmp_path) -> None:
    for written, bundled in zip(write_example(tmp_path / "new"), example_pair()):
        assert written.parent == tmp_path / "new" and written.name == bundled.name
        with Image.open(written) as one, Image.open(bundled) as two:
            assert mean_change(one, two, np.ones(one.size[::-1], bool)) < 1  # JPEG coders differ a little


def test_finding_the_example_needs_no_numpy_or_torch() -> None:
    code = (
        "import sys; from amfzoo.data.example import example_pair; example_pair();"
        "print(sorted({'numpy', 'torch', 'PIL'} & set(sys.modules)))"
    )
    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
