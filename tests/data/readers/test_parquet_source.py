"""Parquet tables of lesions: as CSV, with types of their own, and pictures in place of paths."""

from __future__ import annotations

import sys

import pytest

from amfzoo.data.readers.csv_source import read_csv
from amfzoo.errors import ConfigError


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=r"amfzoo\[parquet\]"):
        read_csv(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["x.parquet", "x.pq"])
def test_parquet_reads_like_csv(tmp_path, name):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
    from pyarrow import parquet

    columns = {
        "lesion_id": [1, 2],
        "dermoscopy": ["a.jpg", None],
        "clinical": ["c.jpg", "d.jpg"],
        "diagnosis": ["mel", None],
        "streaks": [["regular", "irregular"], None],
        "age": [70.0, float("nan")],
        "bmi": [21.5, None],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / name)
    first, second = read_csv(
        tmp_path / name,
        labels={"diagnosis": ("diagnosis", ["mel", "nv"]), "streaks": "streaks"},
        schema="derm7pt",
    )
    assert first.id == "1" and first.labels == {"diagnosis": "mel", "streaks": ("regular", "irregular")}
    assert first.metadata == {"age": "70", "bmi": "21.5"}
    assert second.dermoscopy is None and second.labels == {} and second.metadata == {}


@pytest.mark.parametrize("cell", [b"jpeg", {"bytes": b"jpeg", "path": "c.jpg"}])
def test_parquet_with_bytes_in_place_of_paths(tmp_path, cell):
    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra `parquet`")
    from pyarrow import parquet

    columns = {"clinical": [cell], "dermoscopy": ["d.jpg"], "preview": [b"jpeg"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    with pytest.raises(ConfigError, match="'clinical' holds .*binary.*must hold the paths of images as text") as caught:
        read_csv(tmp_path / "x.parquet")
    assert len(str(caught.value)) < 500
    parquet.write_table(pyarrow.table({**columns, "clinical": ["c.jpg"]}), tmp_path / "x.parquet")
    (lesion,) = read_csv(tmp_path / "x.parquet")
    assert lesion.clinical.name == "c.jpg" and not lesion.metadata.get("preview")
