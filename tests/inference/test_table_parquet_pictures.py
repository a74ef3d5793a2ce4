"""Parquet tables whose columns of images hold the pictures themselves, or seem to."""

from __future__ import annotations

import pytest

from amfzoo import TableError
from amfzoo.inference.table_parquet import ParquetPairs
from amfzoo.inference.table_shards import predict_shards

pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
import pyarrow
from pyarrow import parquet


def test_a_table_of_nothing_but_pictures(model, folder):
    image = (folder / "c0.jpg").read_bytes()
    rows = {"clinical": [image, b"", None], "dermoscopy": pyarrow.array([image] * 3, pyarrow.large_binary())}
    parquet.write_table(pyarrow.table(rows), folder / "bytes.parquet")
    result = predict_shards(model, folder / "bytes.parquet", folder / "out")
    assert (result.done, result.failed) == (3, 1)
    found = parquet.read_table(folder / "out")
    assert "clinical" not in found.column_names and found.column("missing").to_pylist() == [None, None, "clinical"]
    assert "no bytes" in found.column("error")[1].as_py()


def test_pictures_as_views(model, folder):
    views = pyarrow.array([(folder / "c0.jpg").read_bytes(), None], pyarrow.binary_view())
    try:
        parquet.write_table(pyarrow.table({"clinical": views, "dermoscopy": ["d0.jpg"] * 2}), folder / "v.parquet")
    except pyarrow.ArrowNotImplementedError:
        pytest.skip("this version of pyarrow writes no views")
    assert predict_shards(model, folder / "v.parquet", folder / "out").failed == 0
    assert parquet.read_table(folder / "out").column("missing").to_pylist() == [None, "clinical"]


def test_a_bad_picture_is_named(model, folder):
    long = "a" * 300 + ".jpg"
    clinical = [{"bytes": b"\0", "path": path} for path in ("in.jpg", None, long)]
    columns = {"clinical": clinical, "dermoscopy": pyarrow.nulls(3)}
    parquet.write_table(pyarrow.table(columns), folder / "bad.parquet")
    errors = [error for _, error in predict_shards(model, folder / "bad.parquet", folder / "out").failures]
    assert [error[:30] for error in errors[:2]] == ["clinical image, in.jpg: the co", "clinical image, in the table: "]
    assert errors[2].startswith("clinical image, aaa") and "a...a" in errors[2]


def test_paths_that_are_marked_as_binary_are_refused_at_once(folder):
    """As Spark and Impala wrote text of old; a million rows would else fail one by one."""

    def opened(*cells, kind=pyarrow.binary()):
        columns = {"img.c": ["c0.jpg"] * len(cells), "img.d": pyarrow.array(cells, kind)}
        parquet.write_table(pyarrow.table(columns), folder / "old.parquet", row_group_size=50)
        return ParquetPairs(folder / "old.parquet", ("img.c", "img.d"))

    image, path = (folder / "d0.jpg").read_bytes(), "pic/d\N{LATIN SMALL LETTER E WITH ACUTE}.jpg".encode()
    for kind in (pyarrow.binary(), pyarrow.large_binary()):
        with pytest.raises(
            TableError, match=r"'img.d' of old.parquet is binary.*'pic/d\S.jpg'; cast it to text \(string\)"
        ):
            opened(*[None, b""] * 60, path, path, kind=kind)
    many = [path] * 7
    for other in (image, b"GIF89a", b"a\0b", b"caf\xe9", b"two\nlines", b"a" * 5000):  # whole or damaged pictures
        assert opened(*many, other).count() == 8 and opened(other, *many).count() == 8
    with pytest.raises(TableError, match="is binary"):
        opened(*many, path, image)
    assert opened(None, None).count() == 2 and opened(b"").count() == 1 and opened().count() == 0


def test_structs_may_hold_paths_alone(model, folder):
    """Of records none of which has bytes pyarrow makes structs whose `bytes` have no type."""
    held = pyarrow.array([{"bytes": None, "path": "c0.jpg"}, None, {"bytes": None, "path": None}])
    assert held.type.field("bytes").type == pyarrow.null()
    parquet.write_table(pyarrow.table({"clinical": held, "dermoscopy": ["d0.jpg"] * 3}), folder / "held.parquet")
    assert predict_shards(model, folder / "held.parquet", folder / "out").failed == 0
    found = parquet.read_table(folder / "out")
    assert found.column("clinical").to_pylist() == ["c0.jpg", None, None]
    assert found.column("missing").to_pylist() == [None, "clinical", "clinical"]
