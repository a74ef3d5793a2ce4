"""The networks of the contract, each built once."""

from __future__ import annotations

import copy

import pytest
from networks import ALL, build, perturb, settle

LARGE = ("amf_convnext", "amf_swin")


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in ALL]
)
def model(request):
    """Each registered model, no path hidden by zeros, in evaluation mode; not to be changed (see `fresh`)."""
    return settle(perturb(build(request.param)))


@pytest.fixture
def fresh(model):
    """A copy to change."""
    return copy.deepcopy(model)
