"""Which image reaches which features: the claim that sets the models apart."""

from __future__ import annotations

import pytest
import torch
from networks import build, loss, pair, perturb, settle


def parts(network, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pooled clinical and dermoscopy features, which `forward_features` joins in this order."""
    width = sum(network.branches["clinical"].channels)
    return features[:, :width], features[:, width:]


def reached(network, side: int = 64) -> dict[tuple[str, str], bool]:
    """(image, features) -> whether the image has a gradient from these features."""
    images = [image.requires_grad_() for image in pair(2, side)]
    found = {}
    for target, features in zip(("clinical", "dermoscopy"), parts(network, network.forward_features(*images))):
        # cubed: the plain sum of layer-normalised features is constant
        gradients = torch.autograd.grad(features.pow(3).sum(), images, retain_graph=True, allow_unused=True)
        for source, gradient in zip(("clinical", "dermoscopy"), gradients):
            found[source, target] = gradient is not None and bool(gradient.any())
    return found


def test_features_see_the_images_that_the_fusion_lets_through(model):
    mutual = model.config.fusion == "mutual"
    assert mutual == (not model.config.architecture.startswith("amf_"))
    assert reached(model) == {
        ("clinical", "clinical"): True,
        ("clinical", "dermoscopy"): True,
        ("dermoscopy", "dermoscopy"): True,
        ("dermoscopy", "clinical"): mutual,
    }


def test_dermoscopy_never_changes_the_clinical_features(model):
    clinical, dermoscopy = pair(2)
    with torch.no_grad():
        before = parts(model, model.forward_features(clinical, dermoscopy))
        after = parts(model, model.forward_features(clinical, 2 - dermoscopy))
    assert torch.equal(before[0], after[0]) == (model.config.fusion == "asymmetric")
    assert not torch.allclose(before[1], after[1], atol=1e-3)


def clinical_gradients(network) -> list[bool]:
    network.zero_grad()
    loss(network(*pair(4))).backward()
    return [bool(p.grad.any()) for p in network.branches["clinical"].parameters()]


def test_attention_alone_trains_the_clinical_branch():
    network = build(pool_clinical=False).train()
    assert not any(clinical_gradients(network))  # the zero output projection closes the only path
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    assert all(clinical_gradients(network))  # and one step opens it
    assert all(clinical_gradients(perturb(build(pool_clinical=False)).train()))


def test_pooling_trains_the_clinical_branch_from_the_first_step():
    network = build(pool_clinical=True).train()
    assert all(clinical_gradients(network))


@pytest.mark.parametrize("fusion", ["asymmetric", "mutual"])
def test_an_untrained_fusion_is_no_fusion(fusion):
    fused = settle(build(fusion=fusion))
    plain = build(fusion="none", seed=1)
    unknown = plain.load_state_dict(fused.state_dict(), strict=False)
    assert unknown.missing_keys == []
    assert unknown.unexpected_keys and all(key.startswith("fusion.") for key in unknown.unexpected_keys)
    with torch.no_grad():
        logits, expected = fused(*pair(2)), plain.eval()(*pair(2))
        perturb(fused)
        trained = fused(*pair(2))
    assert torch.equal(logits["diagnosis"], expected["diagnosis"])
    assert not torch.allclose(trained["diagnosis"], expected["diagnosis"], atol=1e-3)


def test_without_fusion_the_branches_are_apart():
    assert reached(settle(build(fusion="none"))) == {
        ("clinical", "clinical"): True,
        ("dermoscopy", "dermoscopy"): True,
        ("clinical", "dermoscopy"): False,
        ("dermoscopy", "clinical"): False,
    }
