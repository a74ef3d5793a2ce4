"""Bulk prediction into one table: what is read and what is written."""

from __future__ import annotations

import contextlib
import itertools
import resource
import sys
import tracemalloc

import pytest
from cli_case import read_table, tiny_model, write_table
from table_case import ROWS, asked, names, source  # noqa: F401

from amfzoo import TableError
from amfzoo.inference.table import predict_table


def test_answers_are_those_of_predict(model, folder, source):
    result = predict_table(model, source, folder / "out.csv", label="tiny")
    rows = read_table(folder / "out.csv")
    assert (result.rows, result.done, result.failed, result.finished) == (5, 5, 1, True)
    assert [(row["id"], row["clinical"], row["dermoscopy"]) for row in rows] == ROWS
    assert [row["missing"] for row in rows] == ["", "clinical", "", "", "dermoscopy"]
    expected = model.predict(str(folder / "c1.jpg"), str(folder / "d1.jpg"))
    assert list(rows[0]) == [
        "id", "clinical", "dermoscopy", "model",
        *itertools.chain(*([task, *(f"{task}:{label}" for label in classes)] for task, classes in model.tasks.items())),
        "missing", "seven_point_score", "warnings", "error",
    ]  # fmt: skip
    for task, probabilities in expected.probabilities.items():
        assert rows[3][task] == expected.top(task)[0]
        for label, p in probabilities.items():
            assert float(rows[3][f"{task}:{label}"]) == pytest.approx(p, abs=1e-6)
    assert rows[3]["seven_point_score"] == str(expected.seven_point_score)
    assert "gone.jpg" in rows[2]["error"] and rows[2]["diagnosis"] == "" and rows[2]["model"] == "tiny"
    assert not (folder / "out.csv.part").exists() and not (folder / "out.csv.lock").exists()


GERMAN = ("Fall", "Klinisch", "Auflicht")
NAMED = {"clinical": "Klinisch", "dermoscopy": "auflicht"}  # however it is written


def test_columns_of_images_may_be_named(model, folder, source):
    predict_table(model, source, folder / "usual.csv", label="tiny")
    table = write_table(folder / "faelle.csv", ROWS, GERMAN, delimiter=";")
    predict_table(model, table, folder / "out.csv", label="tiny", **NAMED)
    found, usual = read_table(folder / "out.csv", ";"), read_table(folder / "usual.csv")
    assert list(found[0])[:3] == list(GERMAN) and {row["model"] for row in found} == {"tiny, of Klinisch and Auflicht"}
    assert [cells(row) for row in found] == [cells(row) for row in usual]
    # one of the two may be called as usual
    mixed = write_table(folder / "mixed.csv", ROWS, ("id", "clinical", "Auflicht"))
    predict_table(model, mixed, folder / "out2.csv", label="tiny", dermoscopy="Auflicht")
    assert [cells(row) for row in read_table(folder / "out2.csv")] == [cells(row) for row in usual]


def cells(row: dict[str, str]) -> list[str]:
    return [text for name, text in row.items() if name != "model"]


def test_answers_to_other_images_are_not_mixed(model, folder):
    """A table with two photos of each lesion: which of them was answered stands in the column `model`."""
    rows = [("a", "c0.jpg", "c1.jpg", "d0.jpg"), ("b", "gone.jpg", "c0.jpg", "d1.jpg")]
    table = write_table(folder / "visits.csv", rows, ("id", "early", "late", "dermoscopy"))
    assert predict_table(model, table, folder / "out.csv", clinical="early").failed == 1
    before = (folder / "out.csv").read_bytes()
    for options in ({"clinical": "late"}, {"clinical": "dermoscopy", "dermoscopy": "early"}):
        for retry in (False, True):
            with pytest.raises(TableError, match="answers of the model.*of early and dermoscopy.*--overwrite"):
                predict_table(model, table, folder / "out.csv", retry_errors=retry, **options)
    assert (folder / "out.csv").read_bytes() == before
    assert predict_table(model, table, folder / "out.csv", clinical="early").earlier == 2


@pytest.mark.parametrize(
    "images, message",
    [
        ({}, "no column named 'clinical' and none named 'dermoscopy'"),
        ({"clinical": "Klinisch"}, "no column named 'dermoscopy'"),
        ({"clinical": "Foto", "dermoscopy": "Auflicht"}, "no column named 'Foto'"),
        ({"clinical": "Auflicht", "dermoscopy": "Auflicht"}, "'Auflicht' cannot be the clinical and the dermoscopy"),
    ],
)
def test_columns_that_are_not_there(model, folder, images, message):
    table = write_table(folder / "faelle.csv", ROWS, GERMAN)
    with pytest.raises(TableError, match=message):
        predict_table(model, table, folder / "out.csv", **images)
    assert not list(folder.glob("out.csv*"))


def test_no_score_without_the_checklist(folder, source):
    predict_table(tiny_model(tasks={"diagnosis": ("yes", "no")}), source, folder / "out.csv")
    assert list(read_table(folder / "out.csv")[0])[3:] == [
        "model",
        "diagnosis",
        "diagnosis:yes",
        "diagnosis:no",
        "missing",
        "warnings",
        "error",
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiter_and_byte_order_mark_are_kept(model, folder, asked, delimiter, encoding):
    rows = [("é;,\t\r", "c0.jpg", "d0.jpg"), ("two\r\nlines", "c1.jpg", "")]
    source = write_table(folder / "p.csv", rows, delimiter=delimiter, encoding=encoding)
    out = folder / "out.csv"
    predict_table(model, source, out)
    assert [row["id"] for row in read_table(out, delimiter)] == ["é;,\t\r", "two\r\nlines"]
    assert out.read_bytes().startswith(b"\xef\xbb\xbf") == (encoding != "utf-8")  # answers are UTF-8
    before = out.read_bytes()
    with open(source, "ab") as file:
        file.write(f"new{delimiter}c0.jpg{delimiter}\n".encode("utf-8" if encoding != "utf-16" else "utf-16-le"))
    predict_table(model, source, out)
    assert out.read_bytes().startswith(before) and len(asked) == 3


def test_rows_of_another_length(model, folder, asked):
    source = folder / "p.csv"
    source.write_text(
        "\nclinical , dermoscopy,note\nc0.jpg\n\nc0.jpg,d0.jpg,x,,\nc0.jpg,d0.jpg,x,extra\nc1.jpg,d1.jpg,y\n"
    )
    result = predict_table(model, source, folder / "out.csv")
    rows = read_table(folder / "out.csv")
    assert [row["note"] for row in rows] == ["", "x", "x", "y"]
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    assert result.failures == [(6, "this row has 4 cells, the header has 3")]
    assert rows[3]["diagnosis"] == "SK"  # not the error's neighbour's answer shifted by one
    assert names(asked) == [("c0.jpg", None), ("c0.jpg", "d0.jpg"), (None, None), ("c1.jpg", "d1.jpg")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"clinical,dermoscopy\n", "no rows"),
        (b"clinical,image\nx,y\n", "no column named 'dermoscopy'.*'clinical', 'image'"),
        (b"clinical,dermoscopy,a,a\n1,2,3,4\n", "column 'a' twice"),
        (b"clinical,dermoscopy,error\n1,2,3\n", "'error'.*--prefix"),
        ("clinical,dermoscopy\nä,b\n".encode("latin-1"), "UTF-8"),
        ("clinical,dermoscopy\na,b\n".encode("utf-16")[:-1], "not UTF-16 text.*save it as 'CSV UTF-8'"),
        (b'clinical,dermoscopy\na,b\nc,"d\n', "unpaired quotation mark"),
    ],
)
def test_a_table_that_cannot_be_read(model, folder, asked, content, message):
    (folder / "p.csv").write_bytes(content)
    with pytest.raises(TableError, match=message):
        predict_table(model, folder / "p.csv", folder / "out.csv")
    assert not asked and not (folder / "out.csv").exists() and not (folder / "out.csv.part").exists()


def test_input_and_output_must_be_files_and_differ(model, folder, source, asked):
    (folder / "link.csv").symlink_to(source)
    (folder / "hard.csv").hardlink_to(source)
    content = source.read_bytes()
    for out in ("pairs.csv", "link.csv", "hard.csv"):
        with pytest.raises(TableError, match="overwrite the input"):
            predict_table(model, source, folder / out, overwrite=True)
    for bad in (folder, folder / "none.csv"):
        with pytest.raises(TableError, match="the table .* (is a folder|does not exist)"):
            predict_table(model, bad, folder / "out.csv")
    for bad in (folder, folder / "none" / "out.csv"):
        with pytest.raises(TableError, match="cannot write"):
            predict_table(model, source, bad)
    assert source.read_bytes() == content and not asked


def test_prefix_makes_room_for_columns_of_the_same_name(model, folder, asked):
    source = write_table(folder / "p.csv", [("c0.jpg", "d0.jpg", "truth")], ("clinical", "dermoscopy", "diagnosis"))
    predict_table(model, source, folder / "out.csv", prefix="amf_")
    (row,) = read_table(folder / "out.csv")
    assert (row["diagnosis"], row["amf_diagnosis"], row["amf_error"]) == ("truth", "SK", "")


@contextlib.contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_loses_no_row(model, folder, source, asked):
    out, part = folder / "out.csv", folder / "out.csv.part"
    predict_table(model, source, folder / "whole.csv")
    whole = (folder / "whole.csv").read_bytes()
    with largest_file(len(whole) - 20), pytest.raises(TableError, match="disk is full.*keeps the rows"):
        predict_table(model, source, out)
    assert whole.startswith(part.read_bytes()) and [row["id"] for row in read_table(part)] == [
        "a",
        "b",
        "c",
        ROWS[3][0],
    ]
    asked.clear()
    predict_table(model, source, out)
    assert out.read_bytes() == whole and len(asked) == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(model, folder, asked):
    peaks = []
    for count in (500, 2500):
        source = write_table(folder / f"{count}.csv", ((f"{i:0100}", "c0.jpg", "d0.jpg") for i in range(count)))
        tracemalloc.start()
        predict_table(
            model, source, folder / f"out{count}.csv", batch_size=1, progress=lambda done, rows: asked.clear()
        )
        predict_table(model, source, folder / f"out{count}.csv", batch_size=1, retry_errors=True)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_answers_of_two_precisions_or_of_one_in_two_runtimes_are_not_mixed(model, folder, source, asked, monkeypatch):
    from amfzoo import create_predictor

    half = create_predictor(model, "torch", precision="bf16")
    predict_table(half, source, folder / "half.csv")
    assert {row["model"].endswith(" (bf16)") for row in read_table(folder / "half.csv")} == {True}
    with pytest.raises(TableError, match="holds answers of the model"):
        predict_table(model, source, folder / "half.csv")
    monkeypatch.setattr(half.runtime, "name", "openvino", raising=False)
    with pytest.raises(TableError, match=r"\(bf16\)', this run asks '.* \(bf16 on openvino\)'"):
        predict_table(half, source, folder / "half.csv")


def test_warnings_are_written_as_codes(model, folder):
    source = write_table(
        folder / "p.csv", [("same", "c0.jpg", "c0.jpg"), ("two", "c0.jpg", "d0.jpg"), ("gone", "x", "")]
    )
    predict_table(model, source, folder / "out.csv", label="tiny")
    rows = read_table(folder / "out.csv")
    for row, (clinical, dermoscopy) in zip(rows, (("c0.jpg", "c0.jpg"), ("c0.jpg", "d0.jpg"))):
        answer = model.predict(folder / clinical, folder / dermoscopy)
        codes = row["warnings"].split(";") if row["warnings"] else []
        assert set(codes) == {warning.code for warning in answer.warnings} and len(set(codes)) == len(codes)
    assert rows[0]["warnings"].startswith("identical") and rows[2]["warnings"] == ""
    unguarded = folder / "unguarded.csv"
    predict_table(model, source, unguarded, label="tiny", guards=False)
    assert read_table(unguarded) == [{k: v for k, v in row.items() if k != "warnings"} for row in rows]


def test_tables_that_can_be_trained_on_can_be_predicted(model, folder, asked):
    """As spreadsheets write them: names in capitals, columns without one, rows of delimiters, paths of Windows."""
    (folder / "in a folder").mkdir()
    (folder / "in a folder" / "c.jpg").write_bytes((folder / "c0.jpg").read_bytes())
    source = folder / "p.csv"
    source.write_text("Clinical;Dermo scopy;note;;\nin a folder\\c.jpg;d0.jpg;x;;\n;;;;\nc1.jpg;;y;;\n;;;;\n")
    result = predict_table(model, source, folder / "out.csv")
    assert (result.rows, result.failed) == (2, 0)
    assert names(asked) == [("c.jpg", "d0.jpg"), ("c1.jpg", None)]
    source.write_text("Clinical;CLINICAL;dermoscopy\na;b;c\n")
    with pytest.raises(TableError, match="'Clinical', 'CLINICAL' may each be the clinical image"):
        predict_table(model, source, folder / "other.csv")


def test_cells_that_are_no_paths_cost_their_rows_alone(model, folder):
    source = folder / "p.csv"
    nul = b"\0" if sys.version_info >= (3, 11) else b""
    source.write_bytes(
        b"clinical,dermoscopy\n../x" + nul + b"y/z.jpg,d0.jpg\n" + b"x" * 300 + b".jpg,d0.jpg\nc0.jpg,d0.jpg\n"
    )
    predict_table(model, source, folder / "out.csv")
    errors = [row["error"] for row in read_table(folder / "out.csv")]
    assert all("no such file" in error for error in errors[:2]) and errors[2] == ""
