"""What every registered model promises, hidden ones included."""

from __future__ import annotations

import copy

import pytest
import torch
from networks import ALL, TASKS, build, loss, pair

from amfzoo import PairNetwork, registry
from amfzoo.errors import ConfigError

PATTERNS = {"both": (True, True), "clinical": (True, False), "dermoscopy": (False, True)}
MIXED = torch.tensor([*PATTERNS.values(), (True, True)])


def logits_of(network, *inputs) -> torch.Tensor:
    """All logits side by side, (B, all classes), so that one comparison covers every task."""
    with torch.no_grad():
        return torch.cat(list(network(*inputs).values()), dim=1)


def test_every_registered_model_is_tested():
    assert set(ALL) == set(registry._MODELS)


def test_shapes(model):
    clinical, dermoscopy = pair(2)
    with torch.no_grad():
        features = model.forward_features(clinical, dermoscopy)
        logits = model(clinical, dermoscopy)
    assert features.shape == (2, model.num_features)
    assert list(logits) == list(model.tasks) == list(model.get_classifier())
    assert {task: tuple(x.shape) for task, x in logits.items()} == {t: (2, len(c)) for t, c in model.tasks.items()}
    assert all(x.isfinite().all() for x in (features, *logits.values()))
    assert features.std() > 0.1  # not a constant that would satisfy every comparison below


def test_forward_is_the_head_of_the_features(model):
    images = pair(2)
    with torch.no_grad():
        features = model.forward_features(*images)
        logits, expected = model(*images), model.forward_head(features)
        assert torch.equal(model.forward_head(features, pre_logits=True), features)
    assert all(torch.equal(logits[task], expected[task]) for task in model.tasks)


def test_every_parameter_gets_a_gradient(fresh):
    fresh.train()
    loss(fresh(*pair(4))).backward()
    present = torch.tensor([(True, True), (False, True), (True, True), (True, False)])
    loss(fresh(*pair(4), present)).backward()  # the stand-ins of absent images
    without = [name for name, p in fresh.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert without == []
    still = [name for name, p in fresh.branches["clinical"].named_parameters() if not p.grad.any()]
    assert still == []


def test_a_row_depends_on_its_own_mask_only(model):
    clinical, dermoscopy = pair(4)
    mixed = logits_of(model, clinical, dermoscopy, MIXED)
    for row, present in enumerate(MIXED):
        alone = logits_of(model, clinical[row : row + 1], dermoscopy[row : row + 1], present[None])
        torch.testing.assert_close(mixed[row], alone[0], rtol=1e-3, atol=1e-4)
    everything = logits_of(model, clinical, dermoscopy)
    changed = (mixed - everything).abs().amax(1) > 1e-3
    assert changed.tolist() == [False, True, True, False]


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), 1e6])
def test_absent_pixels_have_no_effect(model, junk):
    clinical, dermoscopy = pair(4)
    before = logits_of(model, clinical, dermoscopy, MIXED)
    clinical[~MIXED[:, 0]] = junk
    dermoscopy[~MIXED[:, 1]] = junk
    assert torch.equal(logits_of(model, clinical, dermoscopy, MIXED), before)


def test_absent_pixels_have_no_effect_in_training(model):
    def step(junk: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        network = copy.deepcopy(model).train()
        clinical, dermoscopy = pair(4)
        clinical[~MIXED[:, 0]] = junk
        dermoscopy[~MIXED[:, 1]] = junk
        torch.manual_seed(0)  # stochastic depth, where a backbone has it
        value = loss(network(clinical, dermoscopy, MIXED))
        value.backward()
        gradients = {f"{name}.grad": p.grad for name, p in network.named_parameters()}
        return value.detach(), {**network.state_dict(), **gradients}

    value, state = step(0.5)
    with_nan, state_with_nan = step(float("nan"))
    assert torch.equal(value, with_nan)
    assert [name for name in state if not torch.equal(state[name], state_with_nan[name])] == []


def test_batch_size_does_not_matter(model):
    clinical, dermoscopy = pair(3)
    together = logits_of(model, clinical, dermoscopy)
    for row in range(3):
        alone = logits_of(model, clinical[row : row + 1], dermoscopy[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], rtol=1e-3, atol=1e-4)


def test_save_and_load(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "model")
    loaded = PairNetwork.from_pretrained(folder)
    assert not loaded.training and loaded.config == model.config
    state = loaded.state_dict()
    assert list(state) == list(model.state_dict())
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    # not bit for bit: products may add up in another order where a tensor lies elsewhere in memory
    torch.testing.assert_close(logits_of(loaded, *pair(2)), logits_of(model, *pair(2)), atol=1e-5, rtol=0)


def test_save_and_load_in_half_precision(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "model", half=True)
    loaded = PairNetwork.from_pretrained(folder)
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    weights = (folder / "model.safetensors").stat().st_size
    assert weights < 3 * sum(p.numel() for p in model.parameters())  # two bytes each, small tensors four
    exact, rounded = logits_of(model, *pair(2)), logits_of(loaded, *pair(2))
    assert not torch.equal(rounded, exact)
    assert (rounded - exact).square().mean().sqrt() < 0.03 * exact.std()


def test_channels_last(fresh):
    expected = logits_of(fresh, *pair(2))
    images = [image.to(memory_format=torch.channels_last) for image in pair(2)]
    fresh.to(memory_format=torch.channels_last)
    torch.testing.assert_close(logits_of(fresh, *images), expected, rtol=1e-3, atol=1e-4)


def test_bfloat16(fresh):
    with torch.no_grad():
        expected = fresh.forward_features(*pair(2))
        fresh.bfloat16()
        features = fresh.forward_features(*(image.bfloat16() for image in pair(2)))
    assert features.dtype == torch.bfloat16 and features.isfinite().all()
    error = (features.float() - expected).square().mean() / expected.square().mean()
    assert error < 0.03  # 8 bits of mantissa through some fifty layers


def test_checkpointing_changes_nothing(model):
    def step(on: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        network = copy.deepcopy(model).train()
        network.set_grad_checkpointing(on)
        torch.manual_seed(0)
        value = loss(network(*pair(2)))
        value.backward()
        return value.detach(), {name: p.grad for name, p in network.named_parameters() if p.grad is not None}

    (plain, expected), (recomputed, gradients) = step(False), step(True)
    torch.testing.assert_close(recomputed, plain)
    assert gradients.keys() == expected.keys() and len(expected) > 0
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize("training", [True, False])
def test_shapes_that_do_not_belong_together_are_refused(training):
    """Broadcast, one image would be taken for that of every lesion, or lesions be dropped."""
    network = build("amf_test", tasks=TASKS).train(training)
    images = torch.rand(4, 3, 64, 64)
    for clinical, dermoscopy, present in (
        (images, images, torch.ones(2, 2, dtype=torch.bool)),
        (images, images, torch.ones(4, 1, dtype=torch.bool)),
        (images[:2], images[0], None),
        (images[0], images[0], None),
        (images[:2], images[:1], None),
        (None, None, None),
    ):
        with pytest.raises(ConfigError, match=r"\(B, 3, H, W\)"):
            network(clinical, dermoscopy, present)


def test_presence_may_be_0_and_1():
    network = build("amf_test", tasks=TASKS).eval()
    images, present = torch.rand(3, 3, 64, 64), torch.tensor([[1, 1], [0, 1], [1, 0]])
    with torch.no_grad():
        expected = network(images, images, present.bool())
        for kind in (torch.int64, torch.uint8, torch.float32):
            found = network(images, images, present.to(kind))
            assert all(torch.equal(found[task], expected[task]) for task in TASKS)
