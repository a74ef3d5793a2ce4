"""torch's faster settings on a CPU answer as it does without them."""

from __future__ import annotations

import shutil

import pytest
import torch
from runtime_case import PAIRS, assert_same

from amfzoo import create_predictor


def test_channels_last_is_exact(tiny):
    predictor = create_predictor(tiny, "torch", channels_last=True)
    assert_same(predictor.predict(*map(list, zip(*PAIRS))), tiny.predict(*map(list, zip(*PAIRS))))


@pytest.mark.slow
def test_compiled(tiny):
    if shutil.which("c++") is None:
        pytest.skip("needs a C++ compiler")
    torch.compiler.reset()
    predictor = create_predictor(tiny, "torch", compile=True)
    assert_same(predictor.predict(*map(list, zip(*PAIRS))), tiny.predict(*map(list, zip(*PAIRS))))
    pairs = [PAIRS[0]] * 20
    for count in (1, 3, 20):
        predictor.predict(*map(list, zip(*pairs[:count])), batch_size=20)
    with torch.compiler.set_stance("fail_on_recompile"):  # a graph for one pair, for several, for many
        for count in (1, 5, 18):
            found = predictor.predict(*map(list, zip(*pairs[:count])), batch_size=20)
            assert_same(found, tiny.predict(*map(list, zip(*pairs[:count]))))
        assert_same([predictor.predict(PAIRS[0][0])], [tiny.predict(PAIRS[0][0])])
