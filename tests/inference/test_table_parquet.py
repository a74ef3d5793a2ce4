"""Bulk prediction from Parquet to Parquet."""

from __future__ import annotations

import sys

import pytest
from cli_case import read_table
from shards_case import ROWS

from amfzoo import TableError
from amfzoo.inference.table import predict_table
from amfzoo.inference.table_shards import is_parquet, open_pairs, predict_shards


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


@pytest.mark.parametrize("held", ["bytes", "bytes and path"])
def test_pictures_may_lie_in_the_table(model, folder, parquet, held):
    """As bytes, or as the struct that the Hugging Face library `datasets` writes."""
    import pyarrow

    paths = write_parquet(folder / "pairs.parquet", parquet)
    predict_shards(model, paths, folder / "one", label="tiny")
    one = parquet.read_table(folder / "one")
    columns = {"id": [row[0] for row in ROWS]}
    for index, branch in ((1, "clinical"), (2, "dermoscopy")):
        files = [folder / row[index] if row[index] else None for row in ROWS]
        pictures = [file.read_bytes() if file and file.exists() else None for file in files]
        names = [file and file.name for file in files]
        columns[branch] = (
            pyarrow.array([{"bytes": b, "path": n} if n else None for b, n in zip(pictures, names)])
            if held == "bytes and path"
            else pyarrow.array(pictures, pyarrow.binary())
        )
    parquet.write_table(pyarrow.table(columns), folder / "held.parquet", row_group_size=4)
    result = predict_shards(model, folder / "held.parquet", folder / "two", label="tiny", shard_rows=3)
    two = parquet.read_table(folder / "two")
    assert result.done == 11 and two.column("id").to_pylist() == columns["id"]
    assert two.column_names == [n for n in one.column_names if held != "bytes" or n not in ("clinical", "dermoscopy")]
    gone = 4  # no file and so no bytes: with a path an error, without one a missing image
    for name in one.column_names[3:]:
        first, second = (table.column(name).to_pylist() for table in (one, two))
        if held == "bytes":
            del first[gone], second[gone]
        assert first == second
    if held != "bytes":
        assert two.column("clinical").to_pylist() == one.column("clinical").to_pylist()


def test_blanks_around_a_path_do_not_count(folder, parquet):
    import pyarrow

    from amfzoo.inference.table_parquet import ParquetPairs

    parquet.write_table(pyarrow.table({"clinical": [" c0.jpg\t"], "dermoscopy": ["  "]}), folder / "p.parquet")
    table = ParquetPairs(folder / "p.parquet")
    assert [table.pair(row) for row in table.rows()] == [(folder / "c0.jpg", None)]


def test_shards_of_a_table_that_holds_pictures_are_small(folder, parquet, monkeypatch):
    import pyarrow

    from amfzoo.inference.table_parquet import ParquetPairs

    noise = [bytes([i]) * (4 << 20) for i in range(8)]
    parquet.write_table(
        pyarrow.table({"clinical": noise, "dermoscopy": noise}), folder / "big.parquet", use_dictionary=False
    )
    big, read = ParquetPairs(folder / "big.parquet"), []
    assert 12 <= big.most_rows <= 16  # 8 MB a row, 128 MB at once
    real = parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        parquet.ParquetFile, "iter_batches", lambda self, size, **more: read.append(size) or real(self, size, **more)
    )
    big.most_rows = 3
    assert [row.line for row in big.rows()] == [*range(1, 9)] and set(read) == {3}
    assert ParquetPairs(write_parquet(folder / "pairs.parquet", parquet)).most_rows is None


def test_processes_read_the_row_groups_of_their_shards_alone(folder, parquet, monkeypatch):
    from amfzoo.inference.table_parquet import ParquetPairs

    table, read = ParquetPairs(write_parquet(folder / "pairs.parquet", parquet)), []
    real = parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        parquet.ParquetFile,
        "iter_batches",
        lambda *args, row_groups, **more: read.extend(row_groups) or real(*args, row_groups=row_groups, **more),
    )
    ids = {n: [r[0] for r in ROWS[n * 2 : n * 2 + 2]] for n in range(6)}
    for wanted, groups in (({0}, [0]), ({1}, [0, 1]), ({2, 5}, [1, 3]), (set(range(6)), [0, 1, 2, 3])):
        read.clear()
        blocks = list(table.blocks(2, wanted))
        assert [block.number for block in blocks] == sorted(wanted) and read == groups
        assert [block.content.column("id").to_pylist() for block in blocks] == [ids[n] for n in sorted(wanted)]
        assert [[row.line for row in block.rows] for block in blocks] == [
            list(range(n * 2 + 1, min(n * 2 + 3, 12))) for n in sorted(wanted)
        ]


def test_a_path_that_is_no_utf8_spoils_its_row_alone(model, folder, parquet):
    import pyarrow

    for kind in ("plain", "dictionary"):
        cells = pyarrow.array([b"c0.jpg", b"caf\xe9.jpg", None], pyarrow.binary()).view(pyarrow.string())
        cells = cells.dictionary_encode() if kind == "dictionary" else cells
        parquet.write_table(pyarrow.table({"clinical": cells, "dermoscopy": ["d0.jpg"] * 3}), folder / "bad.parquet")
        result = predict_shards(model, folder / "bad.parquet", folder / kind)
        assert (result.done, result.failures[0][0], len(result.failures)) == (3, 2, 1)
        assert "no UTF-8" in result.failures[0][1] and "caf" in result.failures[0][1]
    columns = {"clinical": ["c0.jpg"] * 3, "dermoscopy": cells}  # in the other column as well
    parquet.write_table(pyarrow.table(columns), folder / "other.parquet")
    assert "no UTF-8" in predict_shards(model, folder / "other.parquet", folder / "other").failures[0][1]
    image = (folder / "c0.jpg").read_bytes()
    path = pyarrow.array([b"caf\xe9.jpg", b"none.jpg"], pyarrow.binary()).view(pyarrow.string())
    parts = [pyarrow.array([image, image], pyarrow.binary()), path]
    held = pyarrow.StructArray.from_arrays(parts, ["bytes", "path"], mask=pyarrow.array([False, True]))
    parquet.write_table(pyarrow.table({"clinical": held, "dermoscopy": ["d0.jpg"] * 2}), folder / "held.parquet")
    result = predict_shards(model, folder / "held.parquet", folder / "held")  # the picture is there; then nothing is
    missing = parquet.read_table(folder / "held").column("missing").to_pylist()
    assert (result.failed, missing) == (0, [None, "clinical"])


def test_parquet_of_another_name_is_told_by_its_content(model, folder, parquet):
    pairs = write_parquet(folder / "pairs.parquet", parquet)
    other = pairs.rename(folder / "pairs.dat")
    assert predict_shards(model, other, folder / "out").done == 11 and list((folder / "out").glob("part-*.parquet"))


@pytest.mark.parametrize("name", ["no.parquet", "no.PARQUET", "no.pq", "no.Pq"])
def test_parquet_that_is_not_there_is_told_by_its_name(folder, name):
    assert is_parquet(folder / name)
    with pytest.raises(TableError, match="must be a Parquet file on disk"):
        open_pairs(folder / name)
    (folder / name).write_text("clinical,dermoscopy\n")
    with pytest.raises(TableError, match="not a readable Parquet file"):
        open_pairs(folder / name)


def test_parquet_that_is_no_table_of_pairs(model, folder, parquet):
    import pyarrow

    bad = folder / "bad.parquet"
    for columns, message in (
        ({"clinical": ["a"]}, "no column named 'dermoscopy'"),
        ({"clinical": [1], "dermoscopy": ["b"]}, "'clinical' of bad.parquet holds int64; it must hold the paths"),
        ({"clinical": ["a"], "dermoscopy": [{"path": "b"}]}, "'dermoscopy' of bad.parquet holds struct<path: string>"),
        ({"clinical": ["a"], "dermoscopy": [{"bytes": None, "path": 1}]}, "'path' as text"),
        ({"clinical": [{"bytes": b"", "path": b"a"}], "dermoscopy": ["b"]}, "'path' as text"),
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
