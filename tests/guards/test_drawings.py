from __future__ import annotations

import numpy as np
import pytest

from amfzoo.guards.drawings import KINDS, SIZE, draw_other


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_picture_and_another_seed_another(kind):
    first, again, other = (draw_other(kind, seed) for seed in (1, 1, 2))
    assert first.mode == "RGB" and first.size == SIZE
    assert np.array_equal(first, again) and not np.array_equal(first, other)
