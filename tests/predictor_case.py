"""A network of the tests whose two branches are prepared for differently, and pictures for it."""

from __future__ import annotations

import math

import numpy as np
from networks import TASKS, build, perturb, settle
from PIL import Image

from amfzoo import Prediction

SIZE = {"size": (64, 64)}


def trained(**config):
    """Preprocessing differs between the branches, so that one cannot stand in for the other."""
    preprocess = {"clinical_preprocess": SIZE, "dermoscopy_preprocess": {**SIZE, "std": [0.5] * 3}}
    return settle(perturb(build(**{"tasks": TASKS, **preprocess, **config})))


def picture(seed: int, height: int = 80, width: int = 100) -> np.ndarray:
    """A uint8 picture; smooth, so that two resized ones still differ."""
    rng = np.random.default_rng(seed)
    return np.asarray(Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)).resize((width, height), 3))


def pictures(count: int, first: int = 0) -> list[np.ndarray]:
    return [picture(first + i, height=70 + i, width=90) for i in range(count)]


def close(found: Prediction, expected: Prediction) -> bool:
    assert found.probabilities.keys() == expected.probabilities.keys()
    pairs = [(p, expected.probabilities[t][c]) for t, row in found.probabilities.items() for c, p in row.items()]
    return found.missing == expected.missing and all(math.isclose(a, b, abs_tol=1e-5) for a, b in pairs)
