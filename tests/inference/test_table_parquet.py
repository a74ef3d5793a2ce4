"""Bulk prediction from Parquet to Parquet."""

from __future__ import annotations

import sys

import pytest
from cli_case import read_table
from shards_case import ROWS

from amfzoo import TableError
from amfzoo.inference.table import predict_table
from amfzoo.inference.table_shards import predict_shards


@pytest.fixture
def parquet():
    return pytest.importorskip("pyarrow.parquet", reason="needs the extra `parquet`")


def write_parquet(path, parquet, rows=ROWS, **more):
    import pyarrow

    ids, clinical, dermoscopy = zip(*rows)
    images = {
        name: [cell or None for cell in cells] for name, cells in (("clinical", clinical), ("dermoscopy", dermoscopy))
    }
    parquet.write_table(pyarrow.table({"id": ids, **images, **more}), path, row_group_size=3)
    return path


def test_parquet_in_parquet_out_with_the_types_of_the_input(model, folder, source, parquet):
    import pyarrow

    ages = pyarrow.array([i if i % 3 else None for i in range(11)], pyarrow.int16())
    sites = pyarrow.array([["arm", "leg"][i % 2] for i in range(11)]).dictionary_encode()
    pairs = write_parquet(folder / "pairs.parquet", parquet, age=ages, site=sites)
    result = predict_shards(model, pairs, folder / "out", label="tiny", shard_rows=4)
    assert (result.done, result.failed, result.counted) == (11, 2, "row")
    assert [number for number, _ in result.failures] == [5, 10]
    predict_table(model, source, folder / "one.csv", label="tiny")
    found = parquet.read_table(folder / "out")
    assert found.schema.field("age").type == pyarrow.int16() and found.column("age").to_pylist() == ages.to_pylist()
    assert found.column("site").to_pylist() == sites.to_pylist()
    whole = read_table(folder / "one.csv")
    for name in list(whole[0])[3:]:
        texts = [row[name] for row in whole]
        if ":" in name or name == "seven_point_score":
            numbers = [float(text) if text else None for text in texts]
            assert found.column(name).to_pylist() == [n if n is None else pytest.approx(n, abs=1e-6) for n in numbers]
        elif name != "error":
            assert found.column(name).to_pylist() == [text or None for text in texts]
    assert [error is None for error in found.column("error").to_pylist()] == [not row["error"] for row in whole]


def test_columns_of_images_may_be_named(model, folder, source, parquet):
    usual = write_parquet(folder / "pairs.parquet", parquet)
    parquet.write_table(
        parquet.read_table(usual).rename_columns(["Fall", "Klinisch", "Auflicht"]), folder / "de.parquet"
    )
    predict_shards(model, usual, folder / "one", label="tiny")
    predict_shards(
        model, folder / "de.parquet", folder / "two", label="tiny", clinical="Klinisch", dermoscopy="Auflicht"
    )
    one, two = (parquet.read_table(folder / out) for out in ("one", "two"))
    assert two.column_names == ["Fall", "Klinisch", "Auflicht", *one.column_names[3:]]
    same = two.rename_columns(one.column_names).drop_columns("model")
    assert same.equals(one.drop_columns("model"))


def test_parquet_shards_are_kept_and_retried(model, folder, parquet, asked):
    pairs, out = write_parquet(folder / "pairs.parquet", parquet), folder / "out"
    predict_shards(model, pairs, out, shard_rows=4)
    before = [parquet.read_table(shard) for shard in sorted(out.glob("part-*.parquet"))]
    (folder / "gone.jpg").write_bytes((folder / "c0.jpg").read_bytes())
    asked.clear()
    assert predict_shards(model, pairs, out, retry_errors=True).failed == 1
    assert asked == [("gone.jpg", "d0.jpg"), (None, None)]
    after = [parquet.read_table(shard) for shard in sorted(out.glob("part-*.parquet"))]
    assert after[0].equals(before[0]) and after[1].slice(1).equals(before[1].slice(1))
    assert after[1].column("error")[0].as_py() is None and before[1].column("error")[0].as_py()
    (out / "part-00002.parquet").write_bytes(b"PAR1")
    with pytest.raises(TableError, match="part-00002.parquet is damaged.*remove it"):
        predict_shards(model, pairs, out)


def test_parquet_that_is_no_table_of_pairs(model, folder, parquet):
    import pyarrow

    bad = folder / "bad.parquet"
    for columns, message in (
        ({"clinical": ["a"]}, "no column named 'dermoscopy'"),
        ({"clinical": [b"a"], "dermoscopy": ["b"]}, "'clinical' of bad.parquet holds binary"),
        ({"clinical": [], "dermoscopy": []}, "no rows"),
    ):
        parquet.write_table(pyarrow.table(columns), bad)
        with pytest.raises(TableError, match=message):
            predict_shards(model, bad, folder / "out")
    bad.write_bytes(b"PAR1")
    with pytest.raises(TableError, match="not a readable Parquet file"):
        predict_shards(model, bad, folder / "out")
    assert not (folder / "out").exists()


def test_parquet_without_pyarrow_says_what_to_install(model, folder, monkeypatch):
    (folder / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TableError, match=r"amfzoo\[parquet\]"):
        predict_shards(model, folder / "x.parquet", folder / "out")
