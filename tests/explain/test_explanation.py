"""Maps point at what the answer depends on, and leave the network as it was."""

from __future__ import annotations

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from networks import SIDE, TASKS, build, perturb, settle
from PIL import Image
from planted import red_network, share_inside, with_square

from amfzoo import ConfigError, ImageError, PredictionError, create_predictor
from amfzoo.data.example import example_pair
from amfzoo.explain import explain

SMALL = {f"{name}_preprocess": {"size": (SIDE, SIDE)} for name in ("clinical", "dermoscopy")}
BOX = (40, 100, 90, 150)
BLANK = with_square((300, 200), (0, 0, 0, 0))


def noise(size: tuple[int, int] = (80, 60), seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("method", ["hirescam", "gradcam", "occlusion"])
@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
@pytest.mark.parametrize("branch", ["dermoscopy", "clinical"])
def test_the_map_points_at_the_one_region_that_counts(branch, fit, method):
    network = red_network(branch, preprocess={"fit": fit})
    pictures = {"clinical": BLANK, "dermoscopy": BLANK, branch: with_square((300, 200), (70, 90, 120, 140))}
    seen = explain(network, **pictures)
    found = seen.class_map(branch, "red", "yes", method=method)
    heat = found.array()
    assert heat.shape == (200, 300) and heat.dtype == np.float32 and heat.max() == 1 and heat.min() == 0
    y, x = np.unravel_index(heat.argmax(), heat.shape)
    assert 70 <= x < 120 and 90 <= y < 140
    assert share_inside(heat, (40, 60, 150, 170)) > 0.75  # a fifth of the picture: cells are coarse
    other = "clinical" if branch == "dermoscopy" else "dermoscopy"
    assert seen.class_map(other, "red", "yes").empty  # the answer does not depend on it
    assert seen.class_map(branch, "blue", "yes").array()[90:140, 70:120].max() == 0  # red is no evidence of blue


def test_the_default_is_the_most_probable_class():
    seen = explain(red_network(), BLANK, with_square((300, 200), (0, 0, 300, 200)))
    assert seen.probabilities["red"]["yes"] > 0.5
    assert seen.class_map("dermoscopy", "red").title == seen.class_map("dermoscopy", "red", "yes").title


def test_evidence_is_the_gradient_times_the_map():
    """Against finite differences of the log-odds: what each cell of a linear network adds."""
    network = red_network()
    picture = with_square((128, 128), (32, 64, 64, 96))
    seen = explain(network, BLANK, picture)
    found = seen.class_map("dermoscopy", "red", "yes", method="hirescam", stride=32).cells

    def odds(pixels: np.ndarray) -> float:
        p = network.predict(BLANK, pixels).probabilities["red"]["yes"]
        return float(np.log(p) - np.log1p(-p))

    whole = odds(np.asarray(picture))
    without = np.asarray(picture).copy()
    without[64:96, 32:64] = 0
    # that cell of the map at stride 32; blackening it takes the two maps' evidence of it away, of equal share
    assert found[2, 1] == pytest.approx((whole - odds(without)) / 2, rel=0.02)
    assert found.shape == (4, 4) and np.count_nonzero(found > 1e-6) == 1
    both = seen.class_map(
        "dermoscopy", "red", "yes", method="hirescam"
    ).cells  # evidence adds up, however fine the grid
    assert both.sum() == pytest.approx(whole - odds(without), rel=0.02)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("amf_test", {}),
        ("symmetric_test", {}),
        ("amf_test", {"pool_clinical": False}),
        ("amf_test", {"fusion": "none"}),
        ("amf_swin", {"attention_dim": 32, "attention_heads": 2, "clinical": "test_efficientnet"}),
    ],
)
def test_all_networks_give_maps_of_both_images(name, config):
    network = settle(perturb(build(name, tasks=TASKS, **SMALL, **config)))
    seen = explain(network, noise((80, 60)), noise((70, 90), 1))
    expected = network.predict(noise((80, 60)), noise((70, 90), 1)).probabilities
    for task, row in expected.items():
        assert seen.probabilities[task] == pytest.approx(row, abs=1e-5)
        for branch, shape in (("clinical", (60, 80)), ("dermoscopy", (90, 70))):
            maps = [seen.class_map(branch, task, label, method="hirescam") for label in row]
            assert all(found.array().shape == shape and np.isfinite(found.cells).all() for found in maps)
            assert any(not found.empty for found in maps)
            grids = [seen.class_map(branch, task, method="hirescam", stride=stride).cells.shape for stride in (16, 32)]
            assert grids == [(4, 4), (2, 2)] == [maps[0].cells.shape, (2, 2)]


@pytest.mark.parametrize("alone", ["clinical", "dermoscopy"])
def test_one_branch_and_one_image(alone):
    other = "clinical" if alone == "dermoscopy" else "dermoscopy"
    two = settle(perturb(build(tasks=TASKS, **SMALL)))
    one = build(tasks=TASKS, **SMALL, **{other: None}).eval()
    for network in (two, one):
        seen = explain(network, **{alone: noise()})
        assert seen.probabilities["streaks"] == pytest.approx(
            network.predict(**{alone: noise()}).probabilities["streaks"], abs=1e-5
        )
        assert seen.class_map(alone).array().shape == (60, 80) and seen.attention == ()
        with pytest.raises(PredictionError, match=f"no map of the {other} image"):
            seen.class_map(other)
    assert explain(one, noise(), noise()).class_map(alone).array().shape == (60, 80)
    with pytest.raises(PredictionError, match=f"give the {alone} image"):
        explain(one, **{other: noise()})


def state(network) -> list:
    return [
        [module.training for module in network.modules()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in network.modules()],
        [(p.requires_grad, p.grad is None) for p in network.parameters()],
    ]


def test_the_network_is_left_as_it_was():
    network = build(tasks=TASKS, **SMALL).train()
    network.freeze("clinical")
    before, values = state(network), {k: v.clone() for k, v in network.state_dict().items()}
    seen = explain(network, noise(), noise())
    seen.class_map("dermoscopy", method="hirescam")
    assert state(network) == before
    assert all(torch.equal(v, values[k]) for k, v in network.state_dict().items())
    network.heads.forward = None
    network.fusion.forward = lambda *arguments: 1 / 0
    with pytest.raises(ZeroDivisionError):
        explain(network, noise(), noise())
    assert state(network) == before


def test_works_where_gradients_are_off():
    network = settle(build(tasks=TASKS, **SMALL))
    expected = explain(network, noise(), noise()).class_map("dermoscopy", method="hirescam").cells
    for scope in (torch.no_grad, torch.inference_mode):
        with scope():
            np.testing.assert_array_equal(
                explain(network, noise(), noise()).class_map("dermoscopy", method="hirescam").cells, expected
            )


def test_works_whatever_numbers_torch_makes_by_default():
    network = settle(build(tasks=TASKS, **SMALL))
    expected = explain(network, noise(), noise()).class_map("dermoscopy", method="hirescam").cells
    torch.set_default_dtype(torch.bfloat16)
    try:
        found = explain(network, noise(), noise()).class_map("dermoscopy", method="hirescam").cells
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)


def test_the_same_picture_in_any_form():
    network = settle(build(tasks=TASKS, temperatures={"diagnosis": 2.0}, **SMALL))
    clinical, dermoscopy = example_pair()
    expected = explain(network, clinical, dermoscopy)
    with open(clinical, "rb") as file:
        found = explain(network, file, io.BytesIO(dermoscopy.read_bytes()))
    assert found.pictures["clinical"].size == (512, 384)
    assert found.probabilities == expected.probabilities == network.predict(clinical, dermoscopy).probabilities


def test_overlays():
    picture = with_square((300, 200), BOX)
    found = explain(red_network(), BLANK, picture).class_map("dermoscopy", "red", "yes")
    overlay = found.overlay()
    assert (overlay.size, overlay.mode) == ((300, 200), "RGB")
    difference = np.abs(np.asarray(overlay, int) - np.asarray(picture, int)).sum(2)
    assert difference[100:150, 40:90].min() > 30 and difference[:60, 150:].max() < 3
    assert found.overlay(max_side=60).size == (60, 40) and found.layer(max_side=60).mode == "RGBA"
    assert found.overlay(max_side=9000).size == (300, 200)
    assert np.asarray(found.layer(opacity=0.2))[..., 3].max() == 51
    nothing = explain(red_network(), BLANK, BLANK).class_map("clinical", "red", "yes")
    assert np.asarray(nothing.layer())[..., 3].max() == 0
    for wrong in ({"opacity": 1.5}, {"opacity": -0.1}, {"max_side": 0}, {"max_side": -5}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            found.overlay(**wrong)


def test_under_autocast():
    network = settle(perturb(build(tasks=TASKS, **SMALL)))
    exact = explain(network, noise(), noise(seed=1))
    with torch.autocast("cpu"):  # bf16
        found = explain(network, noise(), noise(seed=1))
    assert found.probabilities["diagnosis"] == pytest.approx(exact.probabilities["diagnosis"], abs=0.05)
    for one, other in zip(found.attention, exact.attention, strict=True):
        assert one.weights.dtype == np.float32
        np.testing.assert_allclose(one.weights, other.weights, atol=0.02)


def test_what_cannot_be_explained():
    network = settle(build(tasks=TASKS, **SMALL))
    seen = explain(network, noise(), noise())
    with pytest.raises(PredictionError, match="no task 'pigmentation'"):
        seen.class_map("clinical", "pigmentation")
    with pytest.raises(PredictionError, match="no class 'SCC'; it has NV, MEL, BCC"):
        seen.class_map("clinical", "diagnosis", "SCC")
    with pytest.raises(PredictionError, match=r"no class \['NV'\]"):
        seen.class_map("clinical", "diagnosis", ["NV"])
    with pytest.raises(ConfigError, match="unknown method 'lime'"):
        seen.class_map("clinical", method="lime")
    with pytest.raises(ConfigError, match="no map at stride 8; it has 16, 32"):
        seen.class_map("clinical", method="hirescam", stride=8)
    with pytest.raises(ConfigError, match="looks at no feature map: leave out stride=16"):
        seen.class_map("clinical", stride=16)
    with pytest.raises(PredictionError, match="clinical or the dermoscopy"):
        explain(network)
    with pytest.raises(ImageError, match="none.jpg"):
        explain(network, "none.jpg", noise())
    with pytest.raises(ConfigError, match="Predictor cannot be explained"):
        explain(create_predictor(network, "torch"), noise(), noise())


@pytest.mark.slow
@pytest.mark.parametrize("copied", [copy.deepcopy, pickle.dumps])
def test_an_explanation_is_not_copied_without_the_pass_that_it_holds(copied):
    """Its maps would all be empty, which says that no region speaks for the class."""
    seen = explain(build(**SMALL), noise(), noise(seed=1))
    with pytest.raises(ConfigError, match="class_map"):
        copied(seen)
    region = seen.class_map("dermoscopy", method="hirescam")
    assert np.array_equal(pickle.loads(pickle.dumps(region)).cells, region.cells) and not region.empty


def test_what_was_moved_in_inference_mode_can_be_explained():
    with torch.inference_mode():
        network = build(**SMALL).double()
        network.reset_heads({"diagnosis": ("a", "b")})
    assert not any(value.is_inference() for value in network.parameters())
    assert explain(network, noise(), noise(seed=1)).class_map("dermoscopy", method="hirescam").cells.shape


def test_a_compiled_network_is_explained_as_it_is():
    network = build(**SMALL)
    seen = explain(torch.compile(network, backend="eager"), noise(), noise(seed=1)).class_map(
        "dermoscopy", method="hirescam"
    )
    assert np.array_equal(
        seen.cells, explain(network, noise(), noise(seed=1)).class_map("dermoscopy", method="hirescam").cells
    )


def test_other_threads_may_use_the_network_meanwhile():
    network = settle(perturb(build(tasks=TASKS)))
    pairs = [(noise(seed=seed), noise(seed=seed + 10)) for seed in range(3)]

    def heat(number: int) -> np.ndarray:
        return explain(network, *pairs[number]).class_map("dermoscopy", method="hirescam").array()

    alone = [heat(number) for number in range(3)]
    answers = [network.predict(*pair).probabilities for pair in pairs]
    with ThreadPoolExecutor(4) as pool:
        maps = [pool.submit(heat, number % 3) for number in range(24)]
        others = [pool.submit(network.predict, *pairs[number % 3]) for number in range(24)]
        for number, found in enumerate(maps):
            np.testing.assert_allclose(found.result(), alone[number % 3], atol=1e-5)
        for number, found in enumerate(others):
            for task, row in found.result().probabilities.items():
                assert row == pytest.approx(answers[number % 3][task], abs=1e-5)
