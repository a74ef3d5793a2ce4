"""Cells that name images: tables to predict and tables to train with find the same files, and say the same of what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_case import read_table, tiny_model, write_table
from PIL import Image

from amfzoo.data.checking.check import check
from amfzoo.data.readers.csv_source import read_csv
from amfzoo.errors import ConfigError
from amfzoo.inference.table import predict_table

COLUMNS = ("id", "clinical", "dermoscopy")


def photo(path: Path, level: int = 90) -> Path:
    picture = Image.new("RGB", (64, 64), (level, 80, 70))
    picture.paste((20, 10, 10), (10, 10, 30, 40))
    picture.save(path, "JPEG")
    return path


def parquet(path: Path, rows: list[tuple[str, ...]]) -> Path:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table as write

    write(arrow.table(dict(zip(COLUMNS, map(list, zip(*rows))))), path)
    return path


def answers(table: Path) -> list[str]:
    """The errors of the rows."""
    out = table.with_name("out.csv")
    predict_table(tiny_model(), table, out, overwrite=True)
    return [row["error"] for row in read_table(out)]


def test_a_blank_may_be_of_the_name(tmp_path):
    photo(tmp_path / " lead.jpg"), photo(tmp_path / "trail.jpg ", 91), photo(tmp_path / "plain.jpg", 92)
    rows = [("a", " lead.jpg", ""), ("b", "trail.jpg ", ""), ("c", " plain.jpg ", ""), ("d", " gone.jpg", "")]
    if not (tmp_path / "trail.jpg ").exists() or (tmp_path / "trail.jpg").exists():
        pytest.skip("this file system leaves blanks out")
    for table in (write_table(tmp_path / "t.csv", rows, COLUMNS), parquet(tmp_path / "t.parquet", rows)):
        names = [lesion.clinical.name for lesion in read_csv(table)]
        assert names == [" lead.jpg", "trail.jpg ", "plain.jpg", "gone.jpg"]
    errors = answers(tmp_path / "t.csv")
    assert errors[:3] == ["", "", ""] and f"{tmp_path / 'gone.jpg'}: there is no such file" in errors[3]


def test_the_name_without_blanks_comes_first(tmp_path):
    photo(tmp_path / " both.jpg"), photo(tmp_path / "both.jpg")
    (lesion,) = read_csv(write_table(tmp_path / "t.csv", [("a", " both.jpg", "")], COLUMNS))
    assert lesion.clinical == tmp_path / "both.jpg"


@pytest.mark.parametrize(
    "target, words", [("store/photo.jpg", "which is missing"), ("dang.jpg", "leads back to itself")]
)
def test_both_tables_say_the_same_of_a_link_that_leads_nowhere(tmp_path, target, words):
    photo(tmp_path / "good.jpg")
    try:
        (tmp_path / "dang.jpg").symlink_to(target)
    except OSError:
        pytest.skip("this user may make no links here")
    table = write_table(tmp_path / "t.csv", [("a", "dang.jpg", "good.jpg")], COLUMNS)
    (error,) = answers(table)
    (fault,) = check(read_csv(table, lenient=True)).faults
    assert words in error and error in fault.message and fault.kind == "missing-file"


def test_a_data_uri_in_a_cell_is_no_path(tmp_path):
    uri = "data:image/png;base64," + "iVBORw0KGgo" * 300
    photo(tmp_path / "good.jpg")
    table = write_table(tmp_path / "t.csv", [("a", uri, "good.jpg")], COLUMNS)
    (error,) = answers(table)
    assert "data: URI, and not a path" in error and len(error) < 500
    with pytest.raises(ConfigError, match="line 2, column 'clinical'.*data: URI, and not a path") as caught:
        read_csv(table)
    assert len(str(caught.value)) < 500
