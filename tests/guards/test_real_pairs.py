"""Real lesions that the detectors were not fitted on: those of the published validation answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from amfzoo import read_image
from amfzoo.data.sources import load_source
from amfzoo.guards import check_images

ANSWERS = Path(__file__).parents[2] / "results" / "amf_small.milk10k" / "validation_both.csv"


@pytest.fixture(scope="module")
def held_out() -> list[dict]:
    """500 pairs of files."""
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "milk10k"
    if not folder.is_dir():
        pytest.skip("needs the project's shared data folder beside the checkout")
    with open(ANSWERS, encoding="utf-8", newline="") as file:
        names = [row["lesion_id"] for row in csv.DictReader(file)][:500]
    lesions = {lesion.id: lesion for lesion in load_source(f"milk10k:{folder}")}
    return [{"clinical": lesions[name].clinical, "dermoscopy": lesions[name].dermoscopy} for name in names]


def test_fifty_swapped_ones_among_five_hundred(held_out):
    wrong = set(np.random.default_rng(6).permutation(len(held_out))[:50].tolist())
    flagged, warned = set(), set()
    for number, pair in enumerate(held_out):
        pictures = {name: read_image(path) for name, path in pair.items()}
        if number in wrong:
            pictures = {"clinical": pictures["dermoscopy"], "dermoscopy": pictures["clinical"]}
        codes = {warning.code for warning in check_images(pictures)}
        flagged |= {number} if "swapped" in codes else set()
        warned |= {number} if codes else set()
    assert len(held_out) == 500 and len(flagged & wrong) >= 48
    assert len(flagged - wrong) <= 10
    assert len(warned - wrong) <= 0.04 * 450  # all guards together
