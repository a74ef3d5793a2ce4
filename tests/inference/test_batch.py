"""Batches of arrays, and probabilities from logits."""

from __future__ import annotations

import numpy as np
import pytest

from amfzoo import Preprocess
from amfzoo.inference.batch import calibrated, stack

PREPROCESS = {"clinical": Preprocess(size=(4, 6)), "dermoscopy": Preprocess(size=(8, 8))}


def row(value: float, *missing: str) -> dict:
    return {
        name: None if name in missing else np.full((3, *prepared.size), value, np.float32)
        for name, prepared in PREPROCESS.items()
    }


def test_rows_keep_their_place_and_missing_images_are_zeros():
    batch = stack([row(1), row(2, "clinical"), row(3, "dermoscopy")], PREPROCESS)
    assert batch.clinical.shape == (3, 3, 4, 6) and batch.dermoscopy.shape == (3, 3, 8, 8)
    assert [image[:, 0, 0, 0].tolist() for image in batch[:2]] == [[1, 0, 3], [1, 2, 0]]
    assert batch.present.tolist() == [[True, True], [False, True], [True, False]]


@pytest.mark.parametrize("missing", [(), ("clinical",)])
def test_one_row(missing):
    batch = stack([row(5, *missing)], PREPROCESS)
    assert batch.clinical.shape == (1, 3, 4, 6) and batch.present.tolist() == [[not missing, True]]
    assert batch.clinical.any() != bool(missing) and (batch.dermoscopy == 5).all()


def test_a_branch_that_the_network_has_not():
    batch = stack([{"dermoscopy": row(1)["dermoscopy"]}] * 2, {"dermoscopy": PREPROCESS["dermoscopy"]})
    assert batch.clinical is None and batch.present.tolist() == [[False, True]] * 2


def test_softmax_after_the_temperature():
    logits = {"a": np.log(np.array([[1, 4, 9]], np.float32)), "b": np.array([[1e4, -1e4], [0, np.nan]], np.float32)}
    found = calibrated(logits, {"a": 2.0})
    np.testing.assert_allclose(found["a"], [[1 / 6, 2 / 6, 3 / 6]], rtol=1e-6)
    assert found["b"].dtype == np.float64 and found["b"][0].tolist() == [1, 0] and np.isnan(found["b"][1]).all()


def test_certain_answers_where_numpy_raises_whatever_it_can():
    logits = {"a": np.array([[0, -740, -800]], np.float32), "b": np.array([[0, np.inf]], np.float32)}
    with np.errstate(all="raise"):
        found = calibrated(logits, {})
    assert found["a"][0].tolist() == pytest.approx([1, 0, 0]) and np.isnan(found["b"]).any()
