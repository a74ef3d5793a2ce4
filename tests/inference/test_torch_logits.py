"""What answering does to a torch network: nothing."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from networks import TASKS, build, pair, perturb, settle

from amfzoo import ConfigError, ImageError, PredictionError, predict_stream

SIZE = {"size": (64, 64)}
PICTURES = [np.random.default_rng(seed).integers(0, 256, (70, 90, 3), np.uint8) for seed in range(2)]


def modes(model) -> dict[str, bool]:
    return {name: module.training for name, module in model.named_modules()}


@pytest.mark.parametrize("bad", [False, True])
def test_modes_are_put_back(bad):
    model = perturb(build(tasks=TASKS, dropout=0.5, clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE)).train()
    model.freeze("clinical")
    model.fusion.eval()  # set by hand
    before, statistics = modes(model), {key: v.clone() for key, v in model.state_dict().items()}
    assert len(set(before.values())) == 2
    images = PICTURES if not bad else [PICTURES[0], b"not an image"]
    if bad:
        with pytest.raises(ImageError):
            model.predict(images, PICTURES)
    else:
        first, second = model.predict(images, PICTURES), model.predict(images, PICTURES)
        assert first == second  # no dropout, no batch statistics
    assert modes(model) == before
    assert all(torch.equal(value, statistics[key]) for key, value in model.state_dict().items())


def test_modes_are_put_back_when_the_network_fails(monkeypatch):
    model = build(clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE).train()
    monkeypatch.setattr(model, "forward_head", lambda features: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.predict(PICTURES[0], PICTURES[1])
    assert all(modes(model).values())


def test_threads_that_answer_at_once_leave_a_network_in_training_mode_alone():
    model = settle(perturb(build(tasks=TASKS, dropout=0.5, clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE)))
    expected = model.predict(*PICTURES)
    model.train()
    statistics = {key: v.clone() for key, v in model.state_dict().items()}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: model.predict(*PICTURES, guards=False), range(24)))
    for prediction in found:
        assert prediction.diagnosis == pytest.approx(expected.diagnosis, abs=1e-5)
    assert all(modes(model).values())
    assert all(torch.equal(value, statistics[key]) for key, value in model.state_dict().items())


def test_damaged_weights_are_noticed():
    model = build(clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE).eval()
    with torch.no_grad():
        model.heads["diagnosis"].bias[0] = float("nan")
    with pytest.raises(PredictionError, match="weights are damaged"):
        model.predict(PICTURES[0], PICTURES[1])


def test_training_can_go_on_with_answers_in_between():
    model = build(clinical_preprocess=SIZE, dermoscopy_preprocess=SIZE).train()
    answers = predict_stream(model, itertools.repeat((PICTURES[0], None)), batch_size=1)
    for _ in range(2):
        next(answers)
        assert model.training and torch.is_grad_enabled()
        model(*pair(2))["diagnosis"].sum().backward()
    answers.close()


def test_a_backbone_of_one_size_says_which_images_it_does_not_take():
    settings = {
        "dermoscopy": "vit_tiny_patch16_224", "dermoscopy_args": {"img_size": 32, "depth": 1}, "dermoscopy_strides": (16,),
        "clinical": None,
    }  # fmt: skip
    picture = np.zeros((64, 64, 3), np.uint8)
    advice = r"dermoscopy_preprocess=\{\"size\": \[32, 32\]\}.*dermoscopy_args=\{\"img_size\": \[224, 224\]\}"
    with pytest.raises(ConfigError, match=f"does not take images of 224 x 224 pixels.*doesn't match.*{advice}"):
        build(**settings).predict(dermoscopy=picture)
    for advised in (
        {"dermoscopy_preprocess": {"size": [32, 32]}},
        {"dermoscopy_args": {"img_size": [224, 224], "depth": 1}},
    ):
        assert build(**{**settings, **advised}).predict(dermoscopy=picture).diagnosis


def test_a_backbone_that_only_timm_knows_the_size_of_is_advised_that_one():
    network = build(dermoscopy="botnet26t_256", clinical=None)
    with pytest.raises(
        ConfigError, match=r"224 pixels; build it with dermoscopy_preprocess=\{\"size\": \[256, 256\]\}$"
    ):
        network.predict(dermoscopy=np.zeros((64, 64, 3), np.uint8))


def test_a_backbone_that_notices_late_that_it_takes_one_size_is_told_of_as_well():
    args = {"img_size": (64, 64), "embed_dim": 8, "num_heads": 1, "stages": (1, 1, 1, 1)}
    network = build(
        dermoscopy="hiera_tiny_224", dermoscopy_args=args, clinical=None, dermoscopy_preprocess={"size": (96, 96)}
    )
    with pytest.raises(ConfigError, match=r"does not take images of 96 x 96 pixels \(The size of tensor"):
        network.predict(dermoscopy=np.zeros((64, 64, 3), np.uint8))
