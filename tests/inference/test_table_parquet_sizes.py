"""How much of a Parquet table with pictures is held at once, and how its row groups are gone through."""

from __future__ import annotations

import pytest

from amfzoo.inference import table_parquet
from amfzoo.inference.table_parquet import ParquetPairs
from amfzoo.inference.table_shards import predict_shards

pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
import pyarrow
from pyarrow import parquet

ROW = 1 << 16  # bytes of the two pictures of a row


def noise(rows, size=ROW // 2):
    """What cannot be written shorter, and is no picture."""
    return [b"\0" + bytes([i]) * (size - 1) for i in range(rows)]


def write(path, *groups):
    """A Parquet file with each of the tables as a row group of its own."""
    with parquet.ParquetWriter(path, groups[0].schema, use_dictionary=False) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=max(group.num_rows, 1))
    return path


def pairs(rows, size=ROW // 2, **more):
    held = pyarrow.array(noise(rows, size), pyarrow.binary())
    return pyarrow.table({"clinical": held, "dermoscopy": held, **more})


@pytest.fixture
def most(monkeypatch, tmp_path):
    """Of a table of these row groups, the rows that a block should have, if pictures of ten usual rows may be held."""
    monkeypatch.setattr(table_parquet, "_HELD", 10 * ROW)

    def found(*groups, images=(None, None)):
        return ParquetPairs(write(tmp_path / "sized.parquet", *groups), images).most_rows

    return found


def test_rows_at_once_go_by_the_pictures_alone(most):
    assert 8 <= most(pairs(12)) <= 10
    assert 8 <= most(pairs(12, scan=noise(12, 4 * ROW), clinical_note=noise(12, 4 * ROW))) <= 10
    fields = [{"bytes": data, "path": "a.jpg"} for data in noise(12)]
    assert 8 <= most(pyarrow.table({"clinical": fields, "dermoscopy": fields})) <= 10
    dotted = pairs(12).rename_columns(["img.clinical", "img.dermoscopy"])
    assert 8 <= most(dotted, images=("img.clinical", "img.dermoscopy")) <= 10
    dotted = pyarrow.table({"img.c": fields, "img.d": fields})
    assert 8 <= most(dotted, images=("img.c", "img.d")) <= 10


def test_rows_at_once_go_by_the_row_group_with_the_widest(most):
    narrow, wide = pairs(9, 20), pairs(3)
    for groups in ((wide, narrow), (narrow, wide), (narrow, wide, narrow), (pairs(0), wide, pairs(0))):
        assert 8 <= most(*groups) <= 10
    assert most(pairs(0)) > 1000
