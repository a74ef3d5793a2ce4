"""amfzoo predict: one pair, a table, and a table whose run is killed."""

from __future__ import annotations

import io
import json
import os
import shlex
import signal
import sys
import time

import pytest
from cli_case import amfzoo_process, read_table, tiny_model, write_table

from amfzoo import create_model
from amfzoo.cli import exit_codes, main
from amfzoo.inference import table

ROWS = [("a", "c0.jpg", "d0.jpg"), ("b", "", "d1.jpg"), ("c", "c1.jpg", "d1.jpg")]


def test_a_pair(run, tiny, folder):
    ended = run("predict", folder / "c0.jpg", folder / "d0.jpg", "--model", tiny)
    expected = create_model(tiny).predict(folder / "c0.jpg", folder / "d0.jpg")
    label, limit = next(iter(ended.out.splitlines()[-1:])).split(" is not validated for ")
    assert label.startswith("amf_test@") and limit == "anything."
    assert (ended.code, ended.out.rpartition(label)[0], ended.err) == (0, f"{expected}\n", "")
    assert "not validated" not in run("predict", folder / "c0.jpg", folder / "d0.jpg", "--model", tiny, "-q").out
    data = run("predict", folder / "c0.jpg", folder / "d0.jpg", "--model", tiny, "--json").json
    assert (data["clinical"], data["dermoscopy"]) == (str(folder / "c0.jpg"), str(folder / "d0.jpg"))
    assert data["not_validated_for"] == "anything"
    assert data["probabilities"]["streaks"] == pytest.approx(expected.probabilities["streaks"], abs=1e-6)


def test_what_a_model_calls_things_does_not_steer_the_terminal(run, folder):
    """Anybody may have written it."""
    model = tiny_model(tasks={"veil\x1b[2J": ("a\x1b[2J", "b")})
    model.config = model.config.replace(info={"name": "ours\x9b2J", "not_validated_for": "all\r\x1b[2K"})
    saved = model.save_pretrained(folder / "model")
    ended = run("predict", folder / "c0.jpg", folder / "d0.jpg", "--model", f"local-dir:{saved}")
    assert ended.code == 0 and not {"\x1b", "\x9b", "\r"} & set(ended.out)
    assert "veil[2J" in ended.out and "is not validated for all[2K." in ended.out


def test_warnings_are_printed_unless_guards_are_off(run, tiny, folder):
    command = ["predict", folder / "c0.jpg", folder / "c0.jpg", "--model", tiny]
    assert "warning: both images are the same picture" in run(*command).out
    found = run(*command, "--json").json["warnings"]
    assert (found[0]["code"], found[0]["images"]) == ("identical", ["clinical", "dermoscopy"])
    assert "warning" not in run(*command, "--no-guards").out
    assert run(*command, "--no-guards", "--json").json["warnings"] == []


def test_a_table_without_guards_has_no_column_of_warnings(run, tiny, folder):
    source = write_table(folder / "pairs.csv", ROWS)
    for out, options, there in (("a.csv", (), True), ("b.csv", ("--no-guards",), False)):
        assert run("predict", source, "--out", folder / out, "--model", tiny, *options).code == 0
        assert ("warnings" in read_table(folder / out)[0]) == there


def test_processes_do_not_share_one_file(run, tiny, folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    ended = run("predict", write_table(folder / "pairs.csv", ROWS), "--out", folder / "shared.csv", "--model", tiny)
    assert ended.code == exit_codes.USAGE and "only in a folder" in ended.err
    assert f"--out {shlex.quote(f'{folder}/shared/')}" in ended.err
    assert not list(folder.glob("shared*"))


def test_one_of_several_processes_answers_a_pair(run, tiny, folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    printed = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        ended = run("predict", folder / "c0.jpg", folder / "d0.jpg", "--model", tiny)
        assert ended.code == 0
        printed.append(ended.out)
    assert "diagnosis" in printed[0] and printed[1] == ""


@pytest.mark.parametrize(("given", "missing"), [("clinical", "dermoscopy"), ("dermoscopy", "clinical")])
def test_one_image(run, tiny, folder, given, missing):
    data = run("predict", f"--{given}", folder / "c0.jpg", "--model", tiny, "--json").json
    assert (data["missing"], data[missing]) == ([missing], None)
    expected = create_model(tiny).predict(**{given: folder / "c0.jpg"})
    assert data["probabilities"]["diagnosis"] == pytest.approx(expected.diagnosis, abs=1e-6)


def test_example(run, tiny):
    ended = run("predict", "--example", "--model", tiny)
    assert ended.code == 0 and "not a medical device" in ended.out and "drawing" in ended.out
    assert "drawing" not in run("predict", "--example", "--model", tiny, "--quiet").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--example"),
        (["c0.jpg"], "--clinical IMAGE or --dermoscopy IMAGE"),
        (["-", "d0.jpg"], "'-' is no image"),
        (["c0.jpg", "d0.jpg", "d1.jpg"], "3 were given"),
        (["c0.jpg", "--dermoscopy", "d0.jpg"], "in one way"),
        (["--example", "--dermoscopy", "d0.jpg"], "in one way"),
        (["c0.jpg", "d0.jpg", "--out", "o.csv"], "--out is for tables"),
        (["c0.jpg", "d0.jpg", "--retry-errors"], "--retry-errors is for tables"),
        (["pairs.csv"], "--out ANSWERS.csv"),
        (["pairs.csv", "--out", "-"], "--out ANSWERS.csv"),
        (["pairs.csv", "--out", "o.csv", "--example"], "leave out --example"),
        (["pairs.csv", "--out", "o.csv", "--batch-size", "0"], "at least 1"),
        (["pairs.csv", "--out", "o.csv.html", "--report", "o.csv.html"], "--report is the file"),
        (["c0.jpg", "d0.jpg", "--device", "toaster"], "'toaster' cannot be used"),
        (["c0.jpg", "d0.jpg", "--device", "meta"], "'meta' cannot be used"),
    ],
)
def test_wrong_usage(run, folder, tiny, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    write_table(folder / "pairs.csv", ROWS)
    ended = run("predict", *arguments, "--model", tiny)
    assert (ended.code, ended.out) == (exit_codes.USAGE, "") and message in ended.err
    assert not list(folder.glob("o.csv*"))


def test_an_image_that_cannot_be_read(run, tiny, folder):
    ended = run("predict", folder / "none.jpg", folder / "d0.jpg", "--model", tiny, "--json")
    assert (ended.code, ended.out) == (exit_codes.SOME_FAILED, "")
    assert ended.err.startswith("amfzoo: error: ") and "none.jpg" in ended.err


@pytest.mark.parametrize("name", ["amf_none", "amf_base", "local-dir:/nowhere"])
def test_weights_that_cannot_be_had(run, folder, released, name):
    ended = run("predict", folder / "c0.jpg", folder / "d0.jpg", "--model", name)
    assert (ended.code, ended.out) == (exit_codes.NO_WEIGHTS, "")


def test_a_table_with_a_bad_row(run, tiny, folder):
    source = write_table(folder / "pairs.csv", [*ROWS, *[("x", "none.jpg", "")] * 7])
    out = folder / "out.csv"
    ended = run("predict", source, "--out", out, "--model", tiny, "--batch-size", 2)
    assert (ended.code, ended.out) == (exit_codes.SOME_FAILED, "")
    assert (
        "10 rows, 3 answered, 7 failed" in ended.err and ended.err.count("  line ") == 5 and "and 2 more" in ended.err
    )
    assert "  line 5: " in ended.err and "--retry-errors" in ended.err
    rows = read_table(out)
    expected = create_model(tiny).predict(str(folder / "c1.jpg"), str(folder / "d1.jpg"))
    assert float(rows[2]["streaks:regular"]) == pytest.approx(expected.probabilities["streaks"]["regular"], abs=1e-6)
    before = out.read_bytes()
    again = run("predict", source, "--out", out, "--model", tiny)
    assert again.code == exit_codes.SOME_FAILED and "complete already" in again.err and out.read_bytes() == before
    (folder / "none.jpg").write_bytes((folder / "c0.jpg").read_bytes())
    data = run("predict", source, "--out", out, "--model", tiny, "--retry-errors", "--json").json
    assert (data["rows"], data["answered"], data["failed"], data["finished"]) == (10, 10, 0, True)
    assert run("predict", source, "--out", out, "--model", tiny, "--quiet").err == ""


def test_a_table_is_checked_before_the_weights(run, folder):
    (folder / "pairs.csv").write_text("a,b\n")
    ended = run("predict", folder / "pairs.csv", "--out", folder / "out.csv", "--model", "local-dir:/nowhere")
    assert ended.code == exit_codes.USAGE and "no column named 'clinical'" in ended.err


def test_unlisted_weights_are_told_apart_by_content(run, folder, tiny, released):
    source = write_table(folder / "pairs.csv", ROWS)
    out = folder / "out.csv"
    assert run("predict", source, "--out", out, "--model", "amf_test").code == 0
    assert {row["model"] for row in read_table(out)} == {"amf_test.tiny"}
    assert run("predict", source, "--out", out, "--model", tiny, "--overwrite").code == 0
    other = tiny_model(seed=5).save_pretrained(folder / "other")
    ended = run("predict", source, "--out", out, "--model", f"local-dir:{other}")
    assert ended.code == exit_codes.USAGE and "--overwrite" in ended.err and "amf_test@" in ended.err


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_ended(run, tiny, folder):
    rows = [(str(i), "c0.jpg" if i % 3 else "", "d0.jpg" if i % 2 else "d1.jpg") for i in range(120)]
    source, out, part = write_table(folder / "pairs.csv", rows), folder / "out.csv", folder / "out.csv.part"
    command = [*map(str, ("predict", source, "--out", out, "--model", tiny))]
    process = amfzoo_process(*command, "--batch-size", "1")
    deadline = time.monotonic() + 60
    while not part.exists() or part.read_bytes().count(b"\n") < 5:
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = part.read_bytes()
    kept = before[: before.rindex(b"\n") + 1]
    assert kept.count(b"\n") < 120 and not out.exists()
    data = run(*command, "--json").json
    assert data["finished"] and data["answered"] == 120
    assert out.read_bytes().startswith(kept)
    assert [row["id"] for row in read_table(out)] == [str(i) for i in range(120)]
    assert not part.exists() and not (folder / "out.csv.lock").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_after_a_whole_row(run, tiny, folder, monkeypatch, number, code):
    source, out = write_table(folder / "pairs.csv", ROWS), folder / "out.csv"
    real = table.predict_stream

    def stream(*arguments, **options):
        for answer in real(*arguments, **options):
            signal.raise_signal(number)
            yield answer

    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        patched.setattr(table, "predict_stream", stream)
        ended = run("predict", source, "--out", out, "--model", tiny)
        data = run("predict", source, "--out", out, "--model", tiny, "--json").json
    assert ended.code == code and "1 of 3 rows" in ended.err and "goes on from there" in ended.err
    assert (data["finished"], data["answered"]) == (False, 2)
    assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert run("predict", source, "--out", out, "--model", tiny).code == 0
    assert [row["id"] for row in read_table(out)] == ["a", "b", "c"]


def test_interrupted_before_it_began(monkeypatch, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr("amfzoo.cli.predict.load_model", interrupt)
    assert main(["predict", "--example"]) == exit_codes.INTERRUPTED
    assert capsys.readouterr().err == "amfzoo: error: interrupted\n"


def test_a_table_into_a_folder_of_shards(run, tiny, folder):
    source = write_table(folder / "pairs.csv", [*ROWS, ("x", "none.jpg", "")])
    out = folder / "answers"
    ended = run("predict", source, "--out", f"{out}/", "--model", tiny, "--runtime", "torch")
    assert (
        ended.code == exit_codes.SOME_FAILED and "4 rows, 3 answered, 1 failed" in ended.err and "line 5" in ended.err
    )
    (shard,) = out.glob("part-*.csv")
    assert [row["id"] for row in read_table(shard)] == ["a", "b", "c", "x"]
    again = run("predict", source, "--out", out, "--model", tiny, "--json")
    assert "complete already" in again.err and again.json["answered"] == 3
    ended = run("predict", source, "--out", out, "--model", tiny, "--prefix", "p_")
    assert ended.code == exit_codes.USAGE and "another columns" in ended.err


@pytest.mark.parametrize(
    "names",
    [("p.parquet", "answers.csv"), ("p.csv", "answers.parquet"), ("p.pq", "answers.csv"), ("p.csv", "answers.PQ")],
)
def test_parquet_goes_to_a_folder(run, tiny, folder, names):
    source = write_table(folder / names[0], ROWS)
    place = folder / "my answers"  # which is advised as a shell takes it
    place.mkdir()
    ended = run("predict", source, "--out", place / names[1], "--model", tiny)
    assert ended.code == exit_codes.USAGE and f"--out '{place / 'answers'}/'" in ended.err and not list(place.iterdir())


def test_names_that_a_console_cannot_show(tiny, folder, monkeypatch):
    odd = folder / "\u75c5.jpg"
    odd.write_bytes((folder / "c0.jpg").read_bytes())
    command = ["predict", str(odd), str(folder / "c0.jpg"), "--model", str(tiny)]
    for options in (["--json"], []):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
        assert main([*command, *options]) == exit_codes.OK
        printed = raw.getvalue().decode("cp1252")
        if options:
            assert json.loads(printed)["clinical"] == str(odd)


def test_a_table_in_a_folder_whose_name_is_not_unicode(run, tiny, folder):
    inside = folder / os.fsdecode(b"\xff")
    inside.mkdir()
    source = write_table(inside / "pairs.csv", [("a", "gone.jpg", "")])
    command = ("predict", source, "--out", folder / "o.csv", "--model", tiny)
    assert run(*command).code == run(*command, "--retry-errors").code == exit_codes.SOME_FAILED
    assert "\\udcff" in read_table(folder / "o.csv")[0]["error"]
