"""Bulk prediction into a folder: what is written, what a killed run leaves, and several processes."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
import torch
from cli_case import ROOT, read_table, write_table
from shards_case import GOOD, ROWS

from amfzoo import TableError, create_predictor
from amfzoo.inference import table_shards
from amfzoo.inference.table import predict_table
from amfzoo.inference.table_shards import predict_shards


def rows_of(out):
    return [row for shard in sorted(out.glob("part-*.csv")) for row in read_table(shard)]


def test_shards_together_are_the_table_of_answers(model, folder, source):
    seen = []
    result = predict_shards(
        model, source, folder / "out", label="tiny", shard_rows=4, batch_size=3, progress=lambda *at: seen.append(at)
    )
    predict_table(model, source, folder / "one.csv", label="tiny")
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "_manifest.json", "part-00000.csv", "part-00001.csv", "part-00002.csv",
    ]  # fmt: skip
    assert [len(read_table(folder / "out" / f"part-0000{i}.csv")) for i in range(3)] == [4, 4, 3]
    for mine, whole in zip(rows_of(folder / "out"), read_table(folder / "one.csv"), strict=True):
        assert list(mine) == list(whole)
        for name, cell in whole.items():
            if ":" in name and cell:
                assert float(mine[name]) == pytest.approx(float(cell), abs=1e-6)
            else:
                assert mine[name] == cell
    assert (result.rows, result.done, result.failed, result.finished) == (11, 11, 2, True)
    assert [line for line, _ in result.failures] == [6, 12]  # row 4 has two lines
    assert seen[0] == (0, 11) and seen[-1] == (11, 11)


def test_a_finished_folder_is_left_alone_and_a_missing_shard_made_again(model, folder, source, asked):
    out = folder / "out"
    predict_shards(model, source, out, shard_rows=4)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    asked.clear()
    again = predict_shards(model, source, out)
    assert (again.earlier, again.failed, asked) == (11, 2, [])
    (out / "part-00001.csv").unlink()
    assert predict_shards(model, source, out).earlier == 7  # in shards of the folder's size, not of the default
    assert asked == [("gone.jpg", "d0.jpg"), (None, "d1.jpg"), ("c1.jpg", "d1.jpg"), ("c1.jpg", None)]
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_stopped_run_leaves_whole_shards_and_goes_on(model, folder, source, asked):
    out, answers = folder / "out", iter(range(1, 100))
    result = predict_shards(model, source, out, shard_rows=4, batch_size=1, should_stop=lambda: next(answers) == 6)
    assert (result.finished, result.done) == (False, 4)
    assert sorted(path.name for path in out.iterdir()) == ["_manifest.json", "part-00000.csv"]
    asked.clear()
    assert predict_shards(model, source, out).finished and len(asked) == 7
    assert [row["id"] for row in rows_of(out)] == [row[0] for row in ROWS]


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from cli_case import tiny_model
from amfzoo import files
from amfzoo.inference import table_folder, table_shards
renamed, wanted = 0, {wanted}

def replace(partial, path, real=os.replace):
    global renamed
    renamed += path.name.startswith("part-")
    if renamed == wanted:
        os.kill(os.getpid(), signal.SIGKILL)  # the shard is written but not yet there
    real(partial, path)

files.os.replace = replace
table_shards.predict_shards(tiny_model(), {source!r}, {out!r}, shard_rows=2)
"""


@pytest.mark.slow
def test_killed_between_writing_and_renaming(model, folder, source):
    out, wanted = folder / "out", 4
    code = KILLED.format(tests=str(Path(__file__).parents[1]), wanted=wanted, source=str(source), out=str(out))
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == -9
    assert len(list(out.glob("part-*"))) == wanted - 1 and len(list(out.glob(".part-*"))) == 1
    assert predict_shards(model, source, out).earlier == 2 * (wanted - 1)
    assert [row["id"] for row in rows_of(out)] == [row[0] for row in ROWS]
    assert not list(out.glob(".*"))


def test_another_input_model_or_setting_is_refused(model, folder, source):
    out = folder / "out"
    predict_shards(model, source, out, label="tiny@1", shard_rows=4)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def refused(what, source=source, label="tiny@1", model=model, **options):
        with pytest.raises(TableError, match=rf"another {what}.*--overwrite"):
            predict_shards(model, source, out, label=label, **options)

    refused("model", label="tiny@2")
    refused("columns", prefix="p_")
    with pytest.raises(TableError, match="other columns|another columns"):
        predict_shards(model, source, out, label="tiny@1", guards=False)
    refused("shard rows", shard_rows=5)
    refused("input", source=write_table(folder / "pairs.csv", [*ROWS[:-1], ("r10", "c1.jpg", "d0.jpg")]))
    write_table(folder / "pairs.csv", ROWS)
    channels_last = create_predictor(model, "torch", channels_last=True)
    predict_shards(channels_last, source, out, label="tiny@1")  # the same runtime and precision
    refused("precision", model=create_predictor(model, "torch", precision="bf16"))
    calling = copy.deepcopy(model)
    calling.config = model.config.replace(operating_points={"blue_whitish_veil": {"present": 0.2}})
    refused("operating points", model=calling)
    refused("model", clinical="dermoscopy", dermoscopy="clinical")
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    predict_shards(model, source, out, label="tiny@2", shard_rows=5, overwrite=True)
    assert {row["model"] for row in rows_of(out)} == {"tiny@2"} and len(rows_of(out)) == 11


def test_weights_without_a_name_are_told_apart(model, folder, source):
    """Trained once more and saved in the same place, they have the same name: none."""
    out = folder / "out"
    predict_shards(model, source, out)
    before = rows_of(out)[0]["model"]
    predict_shards(create_predictor(model, "torch"), source, out)
    other, warmer = copy.deepcopy(model), copy.deepcopy(model)
    with torch.no_grad():
        next(other.parameters()).mul_(1.01)
    warmer.config = model.config.replace(temperatures={"diagnosis": 2.0})
    predict_table(model, source, folder / "one.csv")
    for changed in (other, create_predictor(other, "torch"), warmer):
        with pytest.raises(TableError, match="another model"):
            predict_shards(changed, source, out)
        with pytest.raises(TableError, match="amf_test@"):
            predict_table(changed, source, folder / "one.csv")
    assert before.startswith("amf_test@") and {row["model"] for row in rows_of(out)} == {before}


def test_shards_without_warnings_go_on_without_them(model, folder, source):
    out = folder / "out"
    predict_shards(model, source, out, shard_rows=4, guards=False)
    assert "warnings" not in rows_of(out)[0]
    with pytest.raises(TableError, match="no column 'warnings'.*--no-guards.*--overwrite"):
        predict_shards(model, source, out)
    (out / "part-00001.csv").unlink()
    assert predict_shards(model, source, out, guards=False).earlier == 7
    predict_shards(model, source, out, overwrite=True)
    assert "warnings" in rows_of(out)[0]


def test_answers_never_replace_their_own_input(model, folder, source):
    """Shards may be answered again by other weights, but not into their own folder, which `overwrite` would empty first."""
    out = folder / "out"
    predict_shards(model, source, out)
    shard, before = out / "part-00000.csv", (out / "part-00000.csv").read_bytes()
    (folder / "link").symlink_to(out)
    for place in (out, folder / "link"):
        for overwrite in (False, True):
            with pytest.raises(TableError, match="part-00000.csv lies in it"):
                predict_shards(model, shard, place, prefix="b_", overwrite=overwrite)
    assert shard.read_bytes() == before
    predict_shards(model, shard, folder / "again", prefix="b_")
    assert len(rows_of(folder / "again")) == 11


def test_a_folder_of_something_else_is_left_alone(model, folder, source):
    (folder / "photos").mkdir()
    (folder / "photos" / "part-1.csv").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(TableError, match="no _manifest.json"):
            predict_shards(model, source, folder / "photos", overwrite=overwrite)
    assert (folder / "photos" / "part-1.csv").read_text() == "mine"
    out = folder / "out"
    out.mkdir()
    for content in ("{", "[]", '{"schema_version": 99}'):
        (out / "_manifest.json").write_text(content)
        with pytest.raises(TableError, match="manifest"):
            predict_shards(model, source, out, overwrite=True)
    for bad, message in ((source, "is a file"), (folder / "none" / "out", "does not exist")):
        with pytest.raises(TableError, match=message):
            predict_shards(model, source, bad)
    write_table(folder / "p.csv", [("c0.jpg", "d0.jpg", "")], ("clinical", "dermoscopy", "error"))
    with pytest.raises(TableError, match="--prefix"):
        predict_shards(model, folder / "p.csv", folder / "new")
    assert not (folder / "new").exists() and (folder / "c0.jpg").exists()


@pytest.mark.parametrize("retry", [False, True])
@pytest.mark.parametrize(
    "damage",
    [lambda text: "id\n", lambda text: text[: len(text) // 2], lambda text: "".join(text.splitlines(True)[:-1])],
)
def test_a_damaged_shard_is_named(model, folder, source, damage, retry):
    predict_shards(model, source, folder / "out", shard_rows=4)
    shard = folder / "out" / "part-00001.csv"
    shard.write_text(damage(shard.read_text()))
    with pytest.raises(TableError, match="part-00001.csv is damaged; remove it"):
        predict_shards(model, source, folder / "out", retry_errors=retry)
    shard.unlink()
    assert predict_shards(model, source, folder / "out", retry_errors=retry).done == 11


def test_retry_answers_rows_with_an_error_alone(model, folder, source, asked):
    out = folder / "out"
    predict_shards(model, source, out, shard_rows=4)
    before = rows_of(out)
    (folder / "gone.jpg").write_bytes((folder / "c0.jpg").read_bytes())
    asked.clear()
    seen = []
    result = predict_shards(model, source, out, retry_errors=True, progress=lambda *at: seen.append(at))
    assert asked == [("gone.jpg", "d0.jpg"), (None, None)] and seen[-1] == (7, 7)
    assert (result.failed, result.done, result.earlier) == (1, 11, 4)
    after = rows_of(out)
    assert float(after[4]["diagnosis:MEL"]) == pytest.approx(float(after[0]["diagnosis:MEL"]), abs=1e-6)
    assert [row for i, row in enumerate(after) if i != 4] == [row for i, row in enumerate(before) if i != 4]


def test_one_run_at_a_time(model, folder, source):
    def second(done, rows):
        with pytest.raises(TableError, match="another run is writing"):
            predict_shards(model, source, folder / "out")

    predict_shards(model, source, folder / "out", progress=second)
    assert len(rows_of(folder / "out")) == 11


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(model, folder, monkeypatch):
    answer = model.predict(folder / "c0.jpg", folder / "d0.jpg")

    def stream(network, todo, **options):
        yield from (answer for _ in todo)

    monkeypatch.setattr(table_shards, "predict_stream", stream)
    peaks = []
    for count in (500, 2500):
        source = write_table(folder / f"{count}.csv", ((f"{i:0100}", "c0.jpg", "d0.jpg") for i in range(count)))
        tracemalloc.start()
        predict_shards(model, source, folder / f"out{count}", shard_rows=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.slow
def test_two_processes_of_torchrun_share_the_shards(model, folder, saved_tiny):
    rows = [(f"r{i}", *GOOD[i % 4]) for i in range(21)]
    rows[7] = ("r7", "gone.jpg", "")
    source, out = write_table(folder / "pairs.csv", rows), folder / "out"
    who = folder / "who"
    who.mkdir()
    (folder / "sitecustomize.py").write_text(NOTE.format(who=str(who)))
    predict_shards(model, source, out, label=label_of(saved_tiny), shard_rows=2)
    (kept := out / "part-00004.csv").rename(folder / "kept")
    for shard in out.glob("part-*"):
        shard.unlink()
    (folder / "kept").rename(kept)
    ended = torchrun(folder, "predict", source, "--out", f"{out}/", "--model", f"local-dir:{saved_tiny}", "--json")
    assert "ended before" not in ended.stderr and ended.returncode == 1, ended.stderr[-3000:]  # one row has an error
    # by one process alone; gloo may have said something before
    summary = json.loads(ended.stdout[ended.stdout.index("{") :])
    assert (summary["rows"], summary["answered"], summary["failed"]) == (21, 20, 1)
    assert [row["id"] for row in rows_of(out)] == [row[0] for row in rows]
    shares = [{line for line in path.read_text().split() if "part" in line} for path in who.iterdir()]
    assert sorted(map(len, shares)) == [5, 5] and not shares[0] & shares[1] and kept.name not in shares[0] | shares[1]


NOTE = """
import os, pathlib
def replace(source, target, *, real=os.replace, **options):
    if "RANK" in os.environ:
        with open(pathlib.Path({who!r}) / os.environ["RANK"], "a") as file:
            file.write(os.path.basename(target) + chr(10))
    return real(source, target, **options)
os.replace = replace
"""


@pytest.fixture
def saved_tiny(model, folder):
    return model.save_pretrained(folder / "weights")


def label_of(saved):
    from amfzoo.folder import sha256_of

    return f"amf_test@{sha256_of(saved / 'config.json')[:12]}"


def torchrun(cwd, *arguments):
    """`torchrun --nproc-per-node 2 -m amfzoo ARGUMENTS`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd), str(ROOT)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "amfzoo"]
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, cwd=cwd, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
