"""What a run leaves to read."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from amfzoo.training.report import summary


def test_bars_in_names_do_not_break_the_tables_of_the_summary():
    lesions = SimpleNamespace(
        tasks={"a|b": ("x|y", "z")}, targets={"a|b": torch.tensor([[True, False], [False, True]])}
    )
    scores = {"both": {"a|b/accuracy": 0.5}}
    text = summary("title", {}, lesions, lesions, "macro_f1", scores, {"a|b": {"called_precision:x|y": 1.0}})
    assert "| a\\|b | x\\|y | 1 | 1 |" in text
    assert "| both | a\\|b | 0.500 | - | - | - | - |" in text
    assert "| a\\|b | called_precision:x\\|y | 1.000 |" in text
