"""The faithfulness figures, on a network of which it is known what its answer depends on."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from networks import build, settle
from PIL import Image
from planted import SIDE, red_network, with_square

from amfzoo.data.synthetic import draw_set
from benchmarks import explain_faithfulness as study

BOXES = [(8, 8, 40, 40), (80, 20, 112, 52), (30, 84, 62, 116), (84, 84, 116, 116), (50, 46, 82, 78)]


def cases(boxes=BOXES, masked=None) -> list[study.Case]:
    """Grey pictures with a red square in the dermoscopy one; the mask is that of `masked`, default the square."""
    made = []
    for i, box in enumerate(boxes):
        mask = np.zeros((SIDE, SIDE), bool)
        left, top, right, bottom = (masked or boxes)[i]
        mask[top:bottom, left:right] = True
        images = {"clinical": with_square((SIDE, SIDE), (0, 0, 0, 0)), "dermoscopy": with_square((SIDE, SIDE), box)}
        made.append(study.Case(str(i), images, {}, {name: {"lesion": mask} for name in images}))
    return made


@pytest.mark.slow
def test_a_true_map_beats_random_ones():
    found = study.measure(red_network(), cases(), draws=8)
    assert set(found) == {(b, t) for b in ("clinical", "dermoscopy") for t in ("red", "blue")}
    figures = study.summary(found["dermoscopy", "red"].values())
    assert figures["cases"] == 5 and figures["pointing"]["map"] == 1
    assert 0 < figures["pointing"]["random"] < 0.6 and figures["pointing"]["unlike_random"]
    assert figures["deletion"]["difference"] > 0.02 and figures["deletion"]["unlike_random"]


@pytest.mark.slow
def test_a_branch_that_does_not_count_is_no_better_than_chance():
    figures = study.summary(study.measure(red_network(), cases(), draws=8)["clinical", "red"].values())
    assert figures["empty_maps"] == 5 and figures["pointing"]["map"] == 0
    assert abs(figures["deletion"]["difference"]) < 1e-6 and not figures["deletion"]["unlike_random"]


def test_pointing_elsewhere_is_a_miss():
    shifted = study.measure(red_network(), cases(masked=BOXES[1:] + BOXES[:1]), draws=2)
    assert study.summary(shifted["dermoscopy", "red"].values())["pointing"]["map"] == 0


@pytest.mark.parametrize(("tolerance", "expected"), [(0.0, False), (0.09, False), (0.11, True)])
def test_tolerance_is_a_share_of_the_longer_side(tolerance, expected):
    heat, mask = np.zeros((50, 100)), np.zeros((50, 100), bool)
    heat[20, 60], mask[20, 70:80] = 1, True
    assert study.points_into(heat, mask, tolerance) is expected
    assert study.points_into(heat, ~mask, tolerance) and not study.points_into(0 * heat, ~mask, 1.0)


def test_deletion_by_hand():
    """Taking the red cell away first leaves no red for ten of eleven steps, taking it last for one."""
    network = red_network()
    case = cases([(32, 32, 64, 64)])[0]
    inputs = {name: preprocess(case.images[name]) for name, preprocess in network.preprocess.items()}
    cells = np.zeros((4, 4), np.float32)
    cells[1, 1] = 1
    rng = np.random.default_rng(0)
    first, last = (study.deletion_score(network, inputs, "dermoscopy", c, ("red", "yes"), rng) for c in (cells, -cells))
    whole = network.predict(**case.images).probabilities["red"]["yes"]
    blank = network.predict(None, with_square((SIDE, SIDE), (0, 0, 0, 0))).probabilities["red"]["yes"]
    # the cell is a sixteenth of the picture: all gone from the second step on; strength falls off around it
    assert first == pytest.approx((whole + 10 * blank) / 11, abs=0.02)
    assert last == pytest.approx((10 * whole + blank) / 11, abs=0.02)
    assert study.deletion_score(network, inputs, "clinical", cells, ("red", "yes"), rng) == pytest.approx(whole)


def test_the_blurred_picture_keeps_the_colours_and_loses_the_square():
    """Where all of it is taken the mean red is left, which is all that this network reads."""
    network = red_network()
    case = cases([(36, 36, 46, 46)])[0]
    inputs = {name: preprocess(case.images[name]) for name, preprocess in network.preprocess.items()}
    cells = np.ones((4, 4), np.float32)
    found = study.deletion_score(
        network, inputs, "dermoscopy", cells, ("red", "yes"), np.random.default_rng(0), taken="blur"
    )
    assert found == pytest.approx(network.predict(**case.images).probabilities["red"]["yes"], abs=0.05)
    pixels = inputs["dermoscopy"]
    assert study._blurred(pixels).shape == pixels.shape
    assert np.ptp(study._blurred(pixels)[0]) < 0.5 * np.ptp(pixels[0])


def test_the_interval_is_that_of_the_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 1, 400)
    figures = [study.Figures(v, 0.0, 0.0, v / 2, -v, False) for v in values]
    found = study.summary(figures)
    half = 1.96 * values.std() / 20
    assert found["pointing"]["low"] == pytest.approx(values.mean() - half, abs=0.02)
    assert found["deletion"]["high"] == pytest.approx((values.mean() + half) / 2, abs=0.02)
    assert found["pointing"]["unlike_random"] == (found["pointing"]["low"] > 0)
    assert found["deletion_middle"]["difference"] == pytest.approx(-values.mean(), abs=1e-3)
    assert not found["deletion_middle"]["unlike_middle"]


def test_photographs_have_no_mask_to_point_into(tmp_path):
    """The square is in a corner, so a map of it is better than the middle; tasks that are criteria are left out."""
    rows = ["lesion_id,clinical,dermoscopy,diagnosis [a|b],split"]
    for i, box in enumerate(BOXES[:4]):
        for name, square in (("clinical", (0, 0, 0, 0)), ("dermoscopy", box)):
            with_square((SIDE, SIDE), square).save(tmp_path / f"{name}_{i}.png")
        rows.append(f"{i},clinical_{i}.png,dermoscopy_{i}.png,a,valid")
    (tmp_path / "real.csv").write_text(
        "\n".join([*rows, "9,clinical_0.png,,b,valid", "8,clinical_0.png,dermoscopy_0.png,b,train"])
    )
    real = list(study.photographs(str(tmp_path / "real.csv"), None, None, "valid"))
    assert [case.name for case in real] == ["0", "1", "2", "3"] and all(case.masks is None for case in real)
    figures = study.summary(study.measure(red_network(), real, draws=2)["dermoscopy", "red"].values())
    assert "pointing" not in figures and figures["deletion_middle"]["unlike_middle"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faithful") / "drawn"
    draw_set(folder, 4, size=(96, 72), workers=1)
    return folder


@pytest.mark.slow
def test_a_drawn_set(drawn, tmp_path, capsys, monkeypatch):
    """Every finding of the set that the weights know is looked for, where its mask is not empty."""
    preprocess = {f"{name}_preprocess": {"size": (64, 64)} for name in ("clinical", "dermoscopy")}
    network = settle(build(tasks={"diagnosis": ("a", "b"), "streaks": ("absent", "present"),
                                  "pigment_network": ("absent", "typical", "atypical")}, **preprocess))  # fmt: skip
    network.save_pretrained(tmp_path / "model")
    arguments = ["--model", f"local-dir:{tmp_path / 'model'}", "--data", str(drawn), "--draws", "1"]
    monkeypatch.setattr(sys, "argv", ["explain_faithfulness.py", *arguments])
    study.main()
    result = json.loads(capsys.readouterr().out)
    read = list(study.read_cases(drawn))
    assert [case.name for case in read] == ["1", "2", "3", "4"]
    for branch in ("clinical", "dermoscopy"):
        with Image.open(read[0].images[branch]) as picture:
            assert read[0].masks[branch]["lesion"].shape == picture.size[::-1]
        for task in ("streaks", "pigment_network"):
            expected = sum(case.labels[task] != "absent" and case.masks[branch][task].any() for case in read)
            assert result["results"][branch].get(task, {"cases": 0})["cases"] == expected
        assert result["results"][branch]["diagnosis"]["cases"] == 4
    assert sum(case.labels["pigment_network"] != "absent" for case in read) > 0
