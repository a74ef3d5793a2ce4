"""Excel's `sep=;` before the header: both kinds of tables are read as without it; and what is said of a CSV that is none."""

from __future__ import annotations

import csv
import sys

import pytest

from amfzoo import TableError
from amfzoo.data.sources import load_source
from amfzoo.errors import AmfzooError
from amfzoo.evaluation import Cases
from amfzoo.inference.table_files import PairTable

ROWS = ["lesion_id;clinical;dermoscopy;diagnosis", "L1;a.jpg;b.jpg;NV", "", "L2;;c.jpg;MEL"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["sep=;", "SEP=;", '"sep=;"'])
def test_the_mark_is_passed_over_and_lines_are_those_of_the_file(tmp_path, mark, encoding):
    marked, plain = tmp_path / "marked.csv", tmp_path / "plain.csv"
    marked.write_text("\r\n".join([mark, *ROWS]), encoding=encoding, newline="")
    plain.write_text("\r\n".join(ROWS), encoding=encoding, newline="")
    assert [lesion.labels for lesion in load_source(str(marked))] == [
        lesion.labels for lesion in load_source(str(plain))
    ]
    table = PairTable(marked)
    assert table.columns == PairTable(plain).columns and table.delimiter == ";"
    assert [(row.line, row.cells) for row in table.rows()] == [
        (row.line + 1, row.cells) for row in PairTable(plain).rows()
    ]
    assert [row.line for row in table.rows()] == [3, 5]


def test_a_column_of_that_name_is_none(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("sep=x,clinical,dermoscopy\n1,a,b\n")
    assert PairTable(file).columns == ("sep=x", "clinical", "dermoscopy")


def test_nul_characters_are_read_or_named(tmp_path):
    """Of Python 3.11 on the module csv reads them; their row is at fault then."""
    path = tmp_path / "nul.csv"
    path.write_bytes(b"clinical,dermoscopy\na\0.jpg,b.jpg\n")
    try:
        assert [row.cells for row in PairTable(path).rows()] == [("a\0.jpg", "b.jpg")]
    except TableError as error:
        assert sys.version_info < (3, 11) and "remove them" in str(error)


@pytest.mark.parametrize("read", [load_source, lambda file: list(PairTable(file).rows()), Cases.read])
@pytest.mark.parametrize(
    ("above", "cell", "line", "message"),
    [
        (
            "sep=,\n",
            "x" * 131_073,
            4,
            "a cell has more than 131072 characters: remove its column, or look for an unpaired",
        ),
        ("\n\n", "x" * 131_073, 5, "a cell has more than 131072 characters"),
        ("", '"x\ny', 3, "; look for an unpaired quotation mark"),
    ],
)
def test_the_line_of_a_cell_that_is_not_read_is_named_and_what_to_do(tmp_path, read, above, cell, line, message):
    file = tmp_path / "table.csv"
    rows = ["clinical,dermoscopy,lesion_id,d:a,d:b,d,note", "a.jpg,b.jpg,L1,1,0,a,", f"a.jpg,b.jpg,L2,0,1,b,{cell}", ""]
    file.write_text(above + "\n".join(rows))
    with pytest.raises(AmfzooError, match=rf"table\.csv.*line {line}: .*{message}"):
        read(str(file))
    assert csv.field_size_limit() == 131_072
