"""Convolutions that are computed in single precision while a CPU trains in bf16."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from amfzoo.training.depthwise import StridedDepthwiseInSingle


def gradients(layer, image, *, bf16, within):
    """(output, gradient of the weights) of the mean square of a layer's output."""
    layer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        if within:
            with StridedDepthwiseInSingle():
                out = layer(image)
        else:
            out = layer(image)
    out.float().square().mean().backward()
    return out.detach(), layer.weight.grad.clone()


@pytest.fixture
def image():
    return torch.randn(2, 8, 17, 17, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stride", [2, (1, 2)])
def test_strided_depthwise_is_single_precision_and_gives_bf16(image, stride):
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 8, 3, stride, padding=1, groups=8)
    exact, slope = gradients(layer, image, bf16=False, within=False)
    out, found = gradients(layer, image, bf16=True, within=True)
    assert out.dtype == torch.bfloat16 and torch.equal(out, exact.bfloat16())
    rough, rougher = gradients(layer, image, bf16=True, within=False)
    assert not torch.equal(rough, out)  # its weights and inputs were rounded first
    assert (found - slope).norm() < (rougher - slope).norm()
    assert layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(
    "layer", [nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 4, 3, 2), nn.Conv2d(8, 8, 3, 2, groups=2)], ids=str
)
def test_others_are_left_alone(image, layer):
    for one, other in zip(*(gradients(layer, image, bf16=True, within=within) for within in (True, False))):
        assert torch.equal(one, other)


def test_nothing_changes_without_autocast(image):
    layer = nn.Conv2d(8, 8, 3, 2, groups=8).double()
    out, _ = gradients(layer, image.double(), bf16=False, within=True)
    assert out.dtype == torch.float64
