"""What the tests of the runtimes share: a cache of their own, so that each graph is made once."""

from __future__ import annotations

import pytest
from networks import SIDE, TASKS, build, perturb, settle

from amfzoo import create_model

SMALL_INPUT = {"size": (SIDE, SIDE)}


@pytest.fixture(scope="session", autouse=True)
def graphs(tmp_path_factory):
    """The folder of cached graphs."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AMFZOO_CACHE", str(folder))
        yield folder / "graphs"


@pytest.fixture(scope="session")
def tiny():
    """amf_test with several tasks, temperatures, and preprocessing that differs between the branches."""
    options = {
        "tasks": TASKS,
        "temperatures": {"diagnosis": 0.5, "streaks": 2.0},
        "clinical_preprocess": SMALL_INPUT,
        "dermoscopy_preprocess": {**SMALL_INPUT, "std": [0.5] * 3, "fit": "crop"},
    }
    return settle(perturb(build("amf_test", **options)))


@pytest.fixture(scope="session")
def small():
    """amf_small with its bundled weights; in slow tests, since making its graph takes longer than all others here."""
    return create_model("amf_small", pretrained=True)
