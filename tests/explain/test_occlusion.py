"""Occlusion maps say how far the log-odds of a class fall where a square is covered."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import SIDE, TASKS, build, perturb, settle
from PIL import Image
from planted import GREY, red_network, with_square

from amfzoo import PairNetwork
from amfzoo.explain import explain

SMALL = {f"{name}_preprocess": {"size": (SIDE, SIDE)} for name in ("clinical", "dermoscopy")}


def odds(network, clinical, dermoscopy, task: str, label: str) -> float:
    p = network.predict(clinical, dermoscopy).probabilities[task][label]
    return float(np.log(p) - np.log1p(-p))


@pytest.mark.parametrize("branch", ["clinical", "dermoscopy"])
def test_a_cell_is_the_mean_fall_of_the_squares_that_cover_it(branch):
    """Against `predict` of pictures painted over by hand."""
    network = red_network(branch)
    blank, picture = with_square((128, 128), (0, 0, 0, 0)), with_square((128, 128), (40, 60, 72, 90))

    def pair(image: Image.Image) -> tuple[Image.Image, Image.Image]:
        return (image, blank) if branch == "clinical" else (blank, image)

    found = explain(network, *pair(picture)).class_map(branch, "red", "yes").cells
    assert found.shape == (8, 8) and found.dtype == np.float32
    whole = odds(network, *pair(picture), "red", "yes")
    for row, column in ((0, 0), (4, 3), (5, 2), (7, 7), (3, 1)):
        falls = []
        for top in (row - 1, row):
            for left in (column - 1, column):
                painted = picture.copy()
                painted.paste(GREY, (16 * left, 16 * top, 16 * left + 32, 16 * top + 32))
                falls.append(whole - odds(network, *pair(painted), "red", "yes"))
        assert found[row, column] == pytest.approx(np.mean(falls), abs=1e-4)
    assert found[4, 3] > 1 and found[0, 0] == 0


def test_classes_of_an_image_share_its_passes_and_the_other_branch_has_none():
    network = settle(perturb(build(tasks=TASKS, **SMALL)))
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)) for _ in range(2)]
    seen = explain(network, *pictures)
    passes = []
    handles = [
        branch.register_forward_hook(lambda module, args, output, name=name: passes.append((name, len(output[0]))))
        for name, branch in network.branches.items()
    ]
    maps = [seen.class_map("clinical", task, label) for task, row in TASKS.items() for label in row]
    for handle in handles:
        handle.remove()
    assert {name for name, _ in passes} == {"clinical"} and sum(count for _, count in passes) == 82
    assert all(np.isfinite(found.cells).all() and found.array().shape == (60, 80) for found in maps)
    assert any(not found.empty for found in maps)


def test_one_image_and_modes():
    network = settle(perturb(build(tasks=TASKS, **SMALL))).train()
    with torch.no_grad():
        network.heads["diagnosis"].weight.mul_(1000)
    picture = with_square((80, 60), (20, 20, 50, 40))
    for pair in ({"dermoscopy": picture}, {"dermoscopy": picture, "clinical": picture}):
        expected = explain(network, **pair).class_map("dermoscopy").cells
        with torch.autocast("cpu"):
            found = explain(network, **pair).class_map("dermoscopy").cells
        np.testing.assert_allclose(found, expected, atol=0.1 * expected.max())  # the other image's maps were rounded
        assert expected.max() > 0.03
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("branch", ["clinical", "dermoscopy"])
@pytest.mark.parametrize("name", ["amf_test", "symmetric_test"])
def test_a_network_that_computes_by_itself_is_asked_for_all_of_it(name, branch):
    class Own(PairNetwork):
        def _forward_features(self, *args):
            return super()._forward_features(*args)

    network = settle(perturb(build(name, tasks=TASKS, **SMALL)))
    own = Own(network.config).eval()
    own.load_state_dict(network.state_dict())
    rng = np.random.default_rng(1)
    pictures = [Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)) for _ in range(2)]
    found, expected = (explain(one, *pictures).class_map(branch).cells for one in (network, own))
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert expected.any()
