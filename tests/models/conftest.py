"""The networks of the contract, each built once."""

from __future__ import annotations

import copy

import pytest
from networks import ALL, build, perturb, settle


@pytest.fixture(scope="session", params=ALL)
def model(request):
    """Each registered model, no path hidden by zeros, in evaluation mode; not to be changed (see `fresh`)."""
    return settle(perturb(build(request.param)))


@pytest.fixture
def fresh(model):
    """A copy to change."""
    return copy.deepcopy(model)
