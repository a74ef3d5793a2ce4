"""Answers that are there already: what a stopped run leaves behind, and tables that grew or changed."""

from __future__ import annotations

import copy
import itertools

import pytest
from cli_case import read_table, write_table
from table_case import ROWS, asked, names, source  # noqa: F401

from amfzoo import TableError
from amfzoo.inference.table import predict_table


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


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_answers_called_by_other_operating_points_are_kept(model, folder, source, state):
    """Rows of one table must not be called by two rules."""
    task, out = "blue_whitish_veil", folder / "out.csv"
    present = [row[f"{task}:present"] for row in _answers(model, source, out)]
    out.unlink()
    own = copy.deepcopy(model)
    lowest, highest = min(filter(None, present)), max(present)
    own.config = model.config.replace(operating_points={task: {"present": float(lowest) / 2}})
    same, other = copy.deepcopy(own), copy.deepcopy(own)
    # at the probability of a row, as the table rounds it, what is called is not known, so not held against it
    same.config = model.config.replace(operating_points={task: {"present": float(lowest)}})
    other.config = model.config.replace(operating_points={task: {"present": (1 + float(highest)) / 2}})
    stops = itertools.count(1)
    predict_table(own, source, out, should_stop=lambda: state == "stopped" and next(stops) == 3)
    there = {path: path.read_bytes() for path in folder.glob("out.csv*")}
    for changed in (other, model) if float(highest) < 0.5 else (other,):
        with pytest.raises(TableError, match=f"calls {task} in the answer to line 2 of pairs.csv by another.*--overwr"):
            predict_table(changed, source, out)
        assert there == {path: path.read_bytes() for path in folder.glob("out.csv*")}
    assert predict_table(same, source, out).finished
    predict_table(other, source, out, overwrite=True)
    # without dermoscopy, in the last row, no point holds
    assert [row[task] for row in read_table(out)][:2] == ["absent", "absent"]
    assert predict_table(other, source, out).earlier == 5


def _answers(model, source, out):
    predict_table(model, source, out)
    return read_table(out)


def test_a_probability_that_was_edited_away_is_damage(model, folder, source):
    out = folder / "out.csv"
    p = _answers(model, source, out)[0]["blue_whitish_veil:absent"]
    whole = out.read_bytes()
    for edited in (b"0.5?", b"nan"):
        out.write_bytes(whole.replace(p.encode(), edited, 1))
        with pytest.raises(TableError, match="out.csv is damaged: a probability in the answer to line 2 .*(0.5|nan)"):
            predict_table(model, source, out)


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
    grown = predict_table(model, source, out)
    assert (grown.failed, grown.earlier) == (2, 5)
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


def test_answers_without_the_column_of_warnings_go_on_without_it(model, folder, source, asked):
    out = folder / "out.csv"
    predict_table(model, source, out, label="tiny", prefix="p_", guards=False)
    content, count = out.read_bytes(), len(asked)
    with pytest.raises(TableError, match="no column 'p_warnings'.*--no-guards.*--overwrite"):
        predict_table(model, source, out, label="tiny", prefix="p_")
    assert predict_table(model, source, out, label="tiny", prefix="p_", guards=False).earlier == len(ROWS)
    assert out.read_bytes() == content and len(asked) == count
