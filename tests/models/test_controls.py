"""Controls of the method, and other backbones, by keyword alone."""

from __future__ import annotations

import pytest
import torch
from networks import build, loss, pair, perturb

from amfzoo.models.parts import Absent, PooledNorm, replace_absent

SWIN = {
    "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "window_size": 2, "img_size": 64,
}  # fmt: skip
SINGLE = {"clinical_strides": (16,), "dermoscopy_strides": (16,)}
CUT = {"layers": [3, 4, 6], "channels": [256, 512, 1024]}

# keywords -> num_features (clinical + dermoscopy widths)
CONTROLS = {
    "reversed": ({"clinical": "mobilenetv2_100", "dermoscopy": "mobilenetv2_035"}, (96 + 1280) + (32 + 1280)),
    "mutual": ({"fusion": "mutual"}, (48 + 256) + (192 + 96)),
    "none": ({"fusion": "none"}, (48 + 256) + (192 + 96)),
    "dermoscopy only": ({"clinical": None}, 192 + 96),
    "clinical only": ({"dermoscopy": None}, 48 + 256),
    "attention only": ({"pool_clinical": False}, 192 + 96),
    "single stride": (SINGLE, 48 + 192),
    "strides of different depth": ({"clinical_strides": (8, 32)}, (32 + 256) + (192 + 96)),
    "cut at 16": (
        {"dermoscopy": "resnetv2_50", "dermoscopy_args": CUT, "dermoscopy_strides": (16,), "clinical_strides": (32,)},
        256 + 1024,
    ),
    "convnext": ({"dermoscopy": "test_convnext"}, (48 + 256) + (48 + 64)),
    "byobnet": ({"clinical": "test_byobnet"}, (128 + 256) + (192 + 96)),
    "mambaout": ({"dermoscopy": "test_mambaout"}, (48 + 256) + (48 + 64)),
    "swin": ({"dermoscopy": "swin_tiny_patch4_window7_224", "dermoscopy_args": SWIN}, (48 + 256) + (64 + 128)),
    "vit": ({"dermoscopy": "test_vit", "dermoscopy_args": {"img_size": 64}, **SINGLE}, 48 + 64),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_control(name):
    config, width = CONTROLS[name]
    network = build(**config)
    images = pair(4)
    features = network.forward_features(*images)
    assert features.shape == (4, width) and network.num_features == width
    loss(network(*images)).backward()
    used = {n: p for n, p in network.named_parameters() if p.grad is not None and p.grad.isfinite().all()}
    assert used.keys() == dict(network.named_parameters()).keys()


@pytest.mark.parametrize("branch", ["clinical", "dermoscopy"])
def test_a_single_branch_reads_one_image(branch):
    other = {"clinical": "dermoscopy", "dermoscopy": "clinical"}[branch]
    network = build(**{other: None}).eval()
    images = dict(zip(("clinical", "dermoscopy"), pair(2)))
    with torch.no_grad():
        both = network(**images)
        images[other] = None
        alone = network(**images)
        images[branch] = images[branch] + 1
        changed = network(**images)
    assert torch.equal(both["diagnosis"], alone["diagnosis"])
    assert not torch.allclose(both["diagnosis"], changed["diagnosis"])
    assert list(network.preprocess) == [branch]
    with pytest.raises(ValueError, match=f"{branch} branch"):
        network(**{branch: None, other: pair(2)[0]})


def test_images_of_different_size():
    network = build()
    (clinical, _), (_, dermoscopy) = pair(2, side=96), pair(2, side=64)
    assert network(clinical, dermoscopy)["diagnosis"].shape == (2, 11)


def test_the_maps_of_an_absent_image_are_the_learned_values():
    absent = Absent([2, 1])
    with torch.no_grad():
        absent.tokens[0].copy_(torch.tensor([3.0, 4.0]))
    maps = [torch.zeros(2, 2, 3, 3), torch.zeros(2, 1, 1, 1)]
    first, second = absent(maps, torch.tensor([True, False]))
    assert torch.equal(first[0], maps[0][0]) and torch.equal(second, maps[1])
    assert (first[1, 0] == 3).all() and (first[1, 1] == 4).all()


def test_another_image_takes_the_place_of_an_absent_one_in_training_alone():
    image, present = torch.arange(1.0, 6)[:, None, None, None].expand(5, 3, 2, 2), torch.tensor([0, 1, 0, 1, 0]) > 0
    found = {on: replace_absent(image, present, in_training=on)[:, 0, 0, 0].tolist() for on in (True, False)}
    assert found == {True: [4, 2, 2, 4, 4], False: [0, 2, 0, 4, 0]}  # the last before it, else the last of all
    nothing = image * torch.nan
    for in_training in (True, False):
        assert not replace_absent(nothing, present & False, in_training=in_training).any()


@pytest.mark.parametrize("column", [0, 1])
def test_one_image_alone_is_the_one_that_is_looked_at(column):
    network, present = perturb(build()).eval(), torch.arange(2)[None] == column
    images, other = pair(1), pair(1, seed=5)
    with torch.no_grad():
        before = network(*images, present)["diagnosis"]
        for changed in (0, 1):
            shown = [other[i] if i == changed else images[i] for i in (0, 1)]
            assert torch.equal(network(*shown, present)["diagnosis"], before) == (changed != column)


def test_maps_are_pooled_by_their_mean():
    feature_map = torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0))
    expected = PooledNorm.START * torch.nn.functional.layer_norm(feature_map.mean((2, 3)), (6,))
    torch.testing.assert_close(PooledNorm([6])([feature_map]), expected)


def test_both_images_absent_is_the_same_for_every_pair():
    network = build().eval()
    with torch.no_grad():
        logits = network(*pair(3), torch.zeros(3, 2, dtype=torch.bool))["diagnosis"]
    assert logits.isfinite().all() and torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])
