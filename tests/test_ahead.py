"""Results that threads compute ahead."""

from __future__ import annotations

import pytest

from amfzoo.ahead import ahead, batched


def test_ahead_keeps_the_order_and_raises_in_place():
    assert list(ahead(lambda n: n * n, range(20))) == [n * n for n in range(20)]
    got = []
    with pytest.raises(ZeroDivisionError):
        for value in ahead(lambda n: 1 / (3 - n), range(9)):
            got.append(value)
    assert got == [1 / 3, 1 / 2, 1.0]


def test_batches_end_with_the_rest():
    assert list(batched(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]] and list(batched(iter(()), 3)) == []
