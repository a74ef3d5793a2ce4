"""Bulk prediction: what is read, what is written, and what a stopped run leaves behind."""

from __future__ import annotations

import contextlib
import itertools
import resource
import tracemalloc

import pytest
from cli_case import read_table, tiny_model, write_table

from amfzoo import ImageError, Prediction, TableError
from amfzoo.inference import table
from amfzoo.inference.table import predict_table

ROWS = [
    ("a", "c0.jpg", "d0.jpg"),
    ("b", "", "d1.jpg"),
    ("c", "gone.jpg", "d0.jpg"),
    ('d "quoted"\nsecond line, with a comma', "c1.jpg", " d1.jpg "),
    ("=e", "c1.jpg", ""),
]


@pytest.fixture
def source(folder):
    return write_table(folder / "pairs.csv", ROWS)


@pytest.fixture
def asked(monkeypatch, model):
    """Predictions without a network; the pairs that were asked for, in order."""
    pairs = []
    row = {task: {label: float(label == classes[-1]) for label in classes} for task, classes in model.tasks.items()}

    def stream(network, todo, *, batch_size, errors, guards):
        assert errors == "return"
        for pair in todo:
            pairs.append(pair)
            bad = any("gone" in str(image) for image in pair) or pair == (None, None)
            missing = tuple(name for name, image in zip(("clinical", "dermoscopy"), pair) if image is None)
            yield ImageError("no such\nfile") if bad else Prediction(row, "tiny", missing)

    monkeypatch.setattr(table, "predict_stream", stream)
    return pairs


def names(pairs):
    return [tuple(image and image.name for image in pair) for pair in pairs]


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
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiter_and_byte_order_mark_are_kept(model, folder, asked, delimiter, encoding):
    rows = [("é;,\t\r", "c0.jpg", "d0.jpg"), ("two\r\nlines", "c1.jpg", "")]
    source = write_table(folder / "p.csv", rows, delimiter=delimiter, encoding=encoding)
    out = folder / "out.csv"
    predict_table(model, source, out)
    assert [row["id"] for row in read_table(out, delimiter)] == ["é;,\t\r", "two\r\nlines"]
    assert out.read_bytes().startswith(b"\xef\xbb\xbf") == (encoding == "utf-8-sig")
    before = out.read_bytes()
    with open(source, "ab") as file:
        file.write(f"new{delimiter}c0.jpg{delimiter}\n".encode())
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
        ("clinical,dermoscopy\na,b\n".encode("utf-16"), "UTF-8"),
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


def test_resumes_after_a_kill_at_any_byte(model, folder, source, asked):
    out, part = folder / "out.csv", folder / "out.csv.part"
    predict_table(model, source, out)
    whole = out.read_bytes()
    ends, quoted = [], False  # offsets after which a row is complete
    for offset, byte in enumerate(whole, 1):
        quoted ^= byte == ord('"')
        if byte == ord("\n") and not quoted:
            ends.append(offset)
    assert len(ends) == 6
    near = {end + shift for end in ends for shift in (-1, 0, 1)} | {
        whole.index(b"second line"),
        whole.index(b"second line") + 1,
    }
    for cut in sorted(near | set(range(0, len(whole), 23))):
        out.unlink()
        part.write_bytes(whole[:cut] + (b"\0" * 40 if cut % 2 else b""))
        asked.clear()
        result = predict_table(model, source, out)
        complete = max(0, sum(end <= cut for end in ends) - 1)
        assert out.read_bytes() == whole, cut
        assert (len(asked), result.earlier, result.done) == (5 - complete, complete, 5), cut
        assert (result.failed, result.failures) == (1, [(4, "no such file")]), cut


def test_stops_between_rows_and_goes_on(model, folder, source, asked):
    out = folder / "out.csv"
    stops = iter([False, False, True])
    seen = []
    result = predict_table(
        model, source, out, should_stop=lambda: next(stops), progress=lambda done, rows: seen.append((done, rows))
    )
    assert (result.finished, result.done, seen) == (False, 3, [(0, 5), (1, 5), (2, 5), (3, 5)])
    assert [row["id"] for row in read_table(folder / "out.csv.part")] == ["a", "b", "c"] and not out.exists()
    asked.clear()
    assert predict_table(model, source, out).finished
    assert [row["id"] for row in read_table(out)] == [row[0] for row in ROWS] and len(asked) == 2


@pytest.mark.parametrize("state", ["finished", "stopped"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [("x", *rows[0][1:]), *rows[1:]], "line 2 of pairs.csv has id 'x', but out.csv.* answers 'a'"),
        (lambda rows: [rows[1], rows[0], *rows[2:]], "the input was changed"),
        (lambda rows: rows[:1], "more rows than the 1 of pairs.csv"),
    ],
)
def test_answers_of_another_input_are_kept(model, folder, source, asked, state, change, message):
    out = folder / "out.csv"
    calls = itertools.count(1)
    predict_table(model, source, out, should_stop=lambda: state == "stopped" and next(calls) == 4)
    there = {path: path.read_bytes() for path in folder.glob("out.csv*")}
    write_table(source, change(ROWS))
    with pytest.raises(TableError, match=f"(?s){message}.*--overwrite"):
        predict_table(model, source, out)
    assert there == {path: path.read_bytes() for path in folder.glob("out.csv*")}
    predict_table(model, source, out, overwrite=True)
    assert [row["id"] for row in read_table(out)] == [row[0] for row in change(ROWS)]


def test_answers_of_another_model_columns_or_file_are_kept(model, folder, source, asked):
    out = folder / "out.csv"
    predict_table(model, source, out, label="tiny@1")
    content = out.read_bytes()
    with pytest.raises(TableError, match="'tiny@1', this run asks 'tiny@2'"):
        predict_table(model, source, out, label="tiny@2")
    with pytest.raises(TableError, match="other columns.*'p_model'"):
        predict_table(model, source, out, label="tiny@1", prefix="p_")
    assert out.read_bytes() == content
    for foreign in (b"", b"\n", b"precious,data\n1,2\n", content[:-200] + b'"\n'):
        out.write_bytes(foreign)
        with pytest.raises(TableError, match="other columns|damaged"):
            predict_table(model, source, out, label="tiny@1", retry_errors=True)
        assert out.read_bytes() == foreign


@pytest.mark.parametrize("junk", [b"torn,row\n", b'"a"b,c\n', b"\xff\n"])
def test_a_part_file_damaged_in_the_middle_is_not_cut_off(model, folder, source, asked, junk):
    predict_table(model, source, folder / "out.csv")
    part = (folder / "out.csv").rename(folder / "out.csv.part")
    lines = part.read_bytes().splitlines(keepends=True)
    part.write_bytes(b"".join([*lines[:2], junk, *lines[2:]]))
    before = part.read_bytes()
    with pytest.raises(TableError, match="damaged"):
        predict_table(model, source, folder / "out.csv")
    assert part.read_bytes() == before


def test_a_finished_table_is_left_alone_and_a_grown_one_is_continued(model, folder, source, asked):
    out = folder / "out.csv"
    predict_table(model, source, out)
    before = out.stat()
    asked.clear()
    result = predict_table(model, source, out)
    assert (result.finished, result.earlier, result.failed, result.failures[0][0]) == (True, 5, 1, 4)
    assert not asked and (out.stat().st_ino, out.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_table(source, [*ROWS, ("f", "c0.jpg", "d1.jpg"), ("g", "", "")])
    stop = predict_table(model, source, out, should_stop=lambda: True)  # while it copies the first row
    assert not stop.finished and len(read_table(out)) == 5 and not asked
    assert predict_table(model, source, out).failed == 2
    assert names(asked) == [("c0.jpg", "d1.jpg"), (None, None)]
    assert [row["id"] for row in read_table(out)][5:] == ["f", "g"]


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_retry_answers_rows_with_an_error_alone(model, folder, source, asked, state):
    out = folder / "out.csv"
    calls = itertools.count(1)
    predict_table(model, source, out, should_stop=lambda: state == "stopped" and next(calls) == 4)
    asked.clear()
    assert predict_table(model, source, out, retry_errors=True).failed == 1
    assert names(asked) == [("c1.jpg", None)] * (state == "stopped") + [("gone.jpg", "d0.jpg")]
    assert [row["id"] for row in read_table(out)] == [row[0] for row in ROWS]


def test_retry_mends_the_row_in_its_place(model, folder, source):
    out = folder / "out.csv"
    predict_table(model, source, out)
    before = read_table(out)
    (folder / "gone.jpg").write_bytes((folder / "c0.jpg").read_bytes())
    result = predict_table(model, source, out, retry_errors=True)
    after = read_table(out)
    assert (result.failed, after[2]["error"]) == (0, "") and before[2]["error"]
    assert after[:2] + after[3:] == before[:2] + before[3:]
    assert float(after[2]["diagnosis:MEL"]) == pytest.approx(float(after[0]["diagnosis:MEL"]), abs=1e-6)


def test_one_run_at_a_time(model, folder, source, asked):
    def second(done, rows):
        with pytest.raises(TableError, match="another run is writing"):
            predict_table(model, source, folder / "out.csv", overwrite=True)

    predict_table(model, source, folder / "out.csv", progress=second)
    assert len(read_table(folder / "out.csv")) == 5
    (folder / "out.csv.lock").touch()  # as a killed run leaves it
    assert predict_table(model, source, folder / "out.csv").finished


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


def test_answers_without_the_column_of_warnings_go_on_without_it(model, folder, source, asked):
    out = folder / "out.csv"
    predict_table(model, source, out, label="tiny", prefix="p_", guards=False)
    content, count = out.read_bytes(), len(asked)
    with pytest.raises(TableError, match="no column 'p_warnings'.*--no-guards.*--overwrite"):
        predict_table(model, source, out, label="tiny", prefix="p_")
    assert predict_table(model, source, out, label="tiny", prefix="p_", guards=False).earlier == len(ROWS)
    assert out.read_bytes() == content and len(asked) == count
