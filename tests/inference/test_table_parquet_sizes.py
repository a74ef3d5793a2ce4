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


def test_shards_have_no_more_rows_than_may_be_held(model, most, tmp_path):
    assert most(pairs(12)) < 12
    predict_shards(model, tmp_path / "sized.parquet", tmp_path / "out")
    shards = [parquet.read_table(shard).num_rows for shard in sorted((tmp_path / "out").glob("part-*"))]
    assert len(shards) == 2 and sum(shards) == 12


def test_rows_with_small_pictures_are_streamed_too(tmp_path, monkeypatch):
    read, real = [], parquet.ParquetFile.iter_batches

    def noted(*args, **more):
        for batch in real(*args, **more):
            read.append(batch.num_rows)
            yield batch

    table = ParquetPairs(write(tmp_path / "small.parquet", pairs(200, 20), *[pairs(250, 20)] * 12))
    assert table.most_rows > 3200
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", noted)
    assert next(table.rows()).line == 1 and sum(read) <= 1200
    read.clear()
    whole = ParquetPairs(write(tmp_path / "one.parquet", pairs(250, 20).take([0] * 3200)))
    assert next(whole.rows()).line == 1 and 0 < max(read) <= 1024


def test_row_groups_without_rows(tmp_path):
    table = ParquetPairs(
        write(tmp_path / "gaps.parquet", pairs(0, 20), pairs(3, 20), pairs(0, 20), pairs(2, 20), pairs(0, 20))
    )
    found = [(block.number, [row.line for row in block.rows]) for block in table.blocks(2, range(3))]
    assert found == [(0, [1, 2]), (1, [3, 4]), (2, [5])] and table.count() == 5
    assert [block.content.num_rows for block in table.blocks(4, {1})] == [1]
