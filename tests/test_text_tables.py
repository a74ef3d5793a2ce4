"""Tables as text."""

from __future__ import annotations

import pytest

from amfzoo.text_tables import cell, columns, listed, table


@pytest.mark.parametrize(
    "value, text",
    [("a|b", r"a\|b"), ("two\nlines", "two lines"), (None, "not stated"), (3, "3"), ("", ""), ("  x ", "x")],
)
def test_a_cell_cannot_break_out(value: object, text: str) -> None:
    assert cell(value) == text


def test_table() -> None:
    assert table(("a", "b"), [(1, "x|y")]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"


def test_columns_are_aligned() -> None:
    assert columns([("a", "b"), ("long", "c")]) == ["a     b", "long  c"]


def test_names_with_commas_stay_whole() -> None:
    assert listed(["NV", "SCC, invasive", "BCC"]) == 'NV, "SCC, invasive", BCC'
