"""What each image adds: against predictions asked for one by one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from networks import SIDE, TASKS, build, perturb, settle
from PIL import Image
from planted import red_network, with_square

from amfzoo import PredictionError, create_predictor
from amfzoo.explain import modality_contribution

SMALL = {f"{name}_preprocess": {"size": (SIDE, SIDE)} for name in ("clinical", "dermoscopy")}
CLINICAL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
DERMOSCOPY = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def network():
    return settle(perturb(build(tasks=TASKS, **SMALL)))


def test_differences_of_single_predictions(network):
    file = io.BytesIO()
    CLINICAL.save(file, "PNG")
    file.seek(0)
    for model, clinical in ((network, CLINICAL), (create_predictor(network, "torch"), file)):
        found = modality_contribution(model, clinical, DERMOSCOPY)
        whole, alone = network.predict(CLINICAL, DERMOSCOPY), network.predict(None, DERMOSCOPY)
        for task, row in whole.probabilities.items():
            expected = {label: p - alone.probabilities[task][label] for label, p in row.items()}
            assert found.change("clinical", task) == pytest.approx(expected, abs=1e-5)
            gained = sum(change for change in expected.values() if change > 0)
            assert found.shift("clinical", task) == pytest.approx(gained, abs=1e-5)
        assert found.without["dermoscopy"].missing == ("dermoscopy",) and found.whole.missing == ()
        assert found.shift("dermoscopy") > 0


def test_an_image_that_the_answer_ignores_adds_nothing():
    red = with_square((128, 128), (0, 0, 128, 128))
    found = modality_contribution(red_network("clinical"), red, red)
    assert found.shift("dermoscopy", "red") == 0 and found.shift("clinical", "red") > 0.3


def test_nothing_to_leave_out(network):
    assert modality_contribution(network, None, DERMOSCOPY).without == {}
    one = build(tasks=TASKS, clinical=None, **SMALL)
    assert modality_contribution(one, CLINICAL, DERMOSCOPY).without == {}
    with pytest.raises(PredictionError, match="missing"):
        modality_contribution(network)


def test_what_was_not_answered_is_named(network):
    alone = modality_contribution(network, None, DERMOSCOPY)
    with pytest.raises(PredictionError, match="no answer without the clinical image; there is one without: none"):
        alone.shift("clinical")
    with pytest.raises(PredictionError, match="no task 'colour'; they have diagnosis"):
        modality_contribution(network, CLINICAL, DERMOSCOPY).shift("clinical", "colour")
    with pytest.raises(PredictionError) as told:
        modality_contribution(network, None, None)
    assert "pair 0" not in str(told.value)
