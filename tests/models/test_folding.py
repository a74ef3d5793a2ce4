"""Batch normalisation folded into convolutions: the same answers, from fewer layers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from amfzoo import Preprocess, create_model
from amfzoo.models.folding import fold_norms


def _norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.fixture
def make():
    def make(clinical="mobilenetv2_035", dermoscopy="mobilenetv2_035", **config):
        torch.manual_seed(0)
        network = create_model("amf_small", False, clinical=clinical, dermoscopy=dermoscopy, **config).eval()
        for module in network.modules():  # statistics and scales as training leaves them
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias)
        return network

    return make


@pytest.mark.parametrize("present", [(True, True), (True, False), (False, True)])
def test_answers_stay(make, present):
    network = make()
    folded = copy.deepcopy(network)
    assert fold_norms(folded) == _norms(network) and _norms(folded) == 0
    images = torch.randn(2, 2, 3, 96, 96)
    here = torch.tensor([present, (True, True)])
    with torch.inference_mode():
        for task, logits in network(*images, here).items():
            torch.testing.assert_close(folded(*images, here)[task], logits, atol=1e-4, rtol=1e-4)


def test_a_norm_that_follows_a_sum_stays(make):
    network = make(dermoscopy="resnetv2_50", dermoscopy_strides=(16,), clinical_strides=(16,))
    folded = copy.deepcopy(network)
    count = fold_norms(folded)
    assert 0 < count < _norms(network) and _norms(folded) == _norms(network) - count
    images = torch.randn(2, 1, 3, 96, 96)
    with torch.inference_mode():
        for task, logits in network(*images).items():
            torch.testing.assert_close(folded(*images)[task], logits, atol=1e-4, rtol=1e-4)


def test_a_backbone_that_takes_one_size_alone():
    names = {"clinical": "mobilenetv2_035", "dermoscopy": "levit_conv_128s"}
    network = create_model("amf_small", False, **names, clinical_strides=(16,), dermoscopy_strides=(16,)).eval()
    folded = copy.deepcopy(network)
    assert 0 < fold_norms(folded) == _norms(network) - _norms(folded)
    images = torch.randn(2, 1, 3, 224, 224)
    with torch.inference_mode():
        for task, logits in network(*images).items():
            torch.testing.assert_close(folded(*images)[task], logits, atol=1e-4, rtol=1e-4)


class _Twice(nn.Module):
    """Convolutions whose output something else reads besides a norm, one that is called twice, and one like any other."""

    preprocess = dict.fromkeys(("clinical", "dermoscopy"), Preprocess((8, 8)))

    def __init__(self):
        super().__init__()
        self.read_twice, self.called_twice, self.plain = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.joined, self.cut = (nn.Conv2d(3, 3, 1) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(6))

    def forward(self, clinical, dermoscopy, present=None):
        x = self.read_twice(clinical)
        x = self.norms[0](x) + x
        x = self.norms[1](self.called_twice(x)) + self.norms[2](self.called_twice(dermoscopy))
        joined, cut = self.joined(clinical), self.cut(clinical)
        x = x + self.norms[4](joined) + torch.cat([joined, joined])[: len(joined)]
        x = x + self.norms[5](cut) + torch.cat(torch.chunk(cut, 3, 1)[::-1], 1)
        return self.norms[3](self.plain(x))


def test_only_what_nothing_else_reads_is_folded():
    network = _Twice().eval()
    for norm in network.norms:
        norm.running_mean.normal_()
    folded = copy.deepcopy(network)
    assert fold_norms(folded) == 1
    assert isinstance(folded.norms[0], nn.BatchNorm2d) and not isinstance(folded.norms[3], nn.BatchNorm2d)
    images = torch.randn(2, 2, 3, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(folded(*images), network(*images))


def test_norms_in_training_mode_stay():
    network = _Twice().train()
    assert fold_norms(network) == 0
