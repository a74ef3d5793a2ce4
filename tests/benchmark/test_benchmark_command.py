"""`amfzoo benchmark`: what it prints, for a tiny model and small counts."""

from __future__ import annotations

import json

import pytest
from cli_case import pictures, tiny_model, write_table

from amfzoo import ConfigError
from amfzoo.benchmark.run import Plan, run_benchmark
from amfzoo.cli import exit_codes, main


@pytest.fixture
def printed(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = main(["benchmark", *map(str, arguments)])
        return code, capsys.readouterr()

    return run


@pytest.mark.slow
def test_networks_and_runtimes_as_json(printed):
    code, text = printed(
        "amf_test", "symmetric_test", "--only", "networks", "runtimes", "resolution", "--no-peers", "--runtimes", "torch:bf16",
        "--rounds", 2, "--batches", 1, 2, "--batch-size", 2, "--resolutions", 64, 96, "--threads", 1, "--json",
    )  # fmt: skip
    assert code == exit_codes.OK
    found = json.loads(text.out)
    assert found["about"]["threads"] == 1 and found["about"]["settings"]["batches"] == [1, 2]
    parts = [(section["part"], len(section["rows"])) for section in found["sections"]]
    assert parts == [("networks", 2)] + [("runtimes", 4), ("resolution", 2)] * 2
    first, second = found["sections"][0]["rows"]
    assert first["parameters (M)"] == pytest.approx(sum(p.numel() for p in tiny_model(tasks=None).parameters()) / 1e6)
    speeds = [row["pairs/s"] for row in (first, second)]
    assert all(0 < speed["low"] <= speed["median"] <= speed["high"] for speed in speeds)
    faster, slower = second["amf_test is faster by"], first["symmetric_test is faster by"]
    assert first["amf_test is faster by"] is None
    assert faster["median"] * slower["median"] == pytest.approx(1, rel=0.5)
    bf16 = found["sections"][1]["rows"][1]
    assert (bf16["runtime"], bf16["batch"]) == ("torch:bf16", 1) and 0 < bf16["differs by"] < 0.1
    small, large = found["sections"][2]["rows"]
    assert large["GMAC"] / small["GMAC"] == pytest.approx((96 / 64) ** 2, rel=0.1)


@pytest.mark.slow  # four networks on three runtimes
def test_models_and_their_controls_behind_each_runtime(printed):
    code, text = printed(
        "amf_test", "symmetric_test", "--only", "controls", "--no-peers", "--runtimes", "torch:bf16", "torch:int8",
        "--rounds", 2, "--batch-size", 2, "--json",
    )  # fmt: skip
    assert code == exit_codes.OK
    (section,) = json.loads(text.out)["sections"]
    rows = section["rows"]
    names = [
        ("torch", "amf_test"),
        ("torch", "symmetric_test"),
        ("torch:bf16", "amf_test"),
        ("torch:bf16", "symmetric_test"),
    ]
    assert [(row["runtime"], row["network"]) for row in rows] == names
    assert all(row["pairs/s"]["low"] > 0 for row in rows)
    there, back = rows[3]["amf_test is faster by"], rows[2]["symmetric_test is faster by"]
    assert rows[2]["amf_test is faster by"] is None
    assert there["median"] * back["median"] == pytest.approx(1, rel=0.5)
    left_out = [note for note in section["notes"] if note.startswith("Left out: torch:int8")]
    assert len(left_out) == 2 and "of symmetric_test" in left_out[1]


@pytest.mark.slow
def test_random_values_and_tables_in_files(printed, tmp_path):
    pictures(tmp_path)
    table = write_table(tmp_path / "pairs.csv", [("a", "c0.jpg", "d0.jpg")])
    code, text = printed(
        "amf_test", "--no-weights", "--only", "pair", "bulk", "--runtimes", "torch", "--pairs", table, "--rounds", 1,
        "--bulk-pairs", 8, "--out", tmp_path / "found",
    )  # fmt: skip
    assert code == exit_codes.OK
    pair, bulk = json.loads((tmp_path / "found.json").read_text())["sections"]
    row = pair["rows"][0]
    assert row["runtime"] == "torch" and row["files to answer, p95 (ms)"] >= row["files to answer, p50 (ms)"] > 0
    assert "**One pair through amf_test**" in (tmp_path / "found.md").read_text()
    rows = {row["from JPEG files with"]: row for row in bulk["rows"]}
    bare, decoding = rows["torch"]["bare network (pairs/s)"]["median"], rows["decoding alone"]["pairs/s"]["median"]
    assert rows["torch"]["that decoding leaves"]["median"] == pytest.approx(decoding / (decoding + bare))


@pytest.mark.slow
def test_pair_bulk_and_start_of_weights_as_markdown(printed, tmp_path):
    pictures(tmp_path)
    weights = tiny_model().save_pretrained(tmp_path / "weights")
    table = write_table(tmp_path / "pairs.csv", [("a", "c0.jpg", "d0.jpg"), ("b", "c1.jpg", "d1.jpg")])
    code, text = printed(
        f"local-dir:{weights}", "--only", "pair", "bulk", "--runtimes", "torch", "--pairs", table, "--rounds", 1,
        "--bulk-pairs", 9, "--markdown", "--quiet",
    )  # fmt: skip
    assert (code, text.err) == (exit_codes.OK, "")
    assert "files to answer, p95 (ms)" in text.out and "times the script" in text.out
    assert "| ordinary torch script |" in text.out and "16 pairs a round from 2 pairs of files" in text.out


@pytest.mark.slow  # five processes that each import torch
def test_a_cold_start(tmp_path):
    weights = tiny_model().save_pretrained(tmp_path / "weights")
    plan = Plan(models=(f"local-dir:{weights}",), parts=("startup",), runtimes=(), rounds=1, cold_rounds=1, threads=1)
    (start,) = run_benchmark(plan).sections
    assert [row["amfzoo"] for row in start.rows] == ["load with weights", "process: amfzoo predict --example"]


@pytest.mark.slow  # a process more that imports everything
def test_a_list_in_a_process_of_its_own(tmp_path):
    weights = tiny_model().save_pretrained(tmp_path / "weights")
    models, counts = (f"local-dir:{weights}",), {"lists": (3,), "batch_size": 2, "rounds": 1, "threads": 1}
    (lists,) = run_benchmark(Plan(models=models, parts=("lists",), runtimes=(), **counts)).sections
    (row,) = lists.rows
    assert (row["pairs"], row["of the first"]) == (3, 1) and row["pairs/s"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--only", "speed"], exit_codes.USAGE, "invalid choice"),
        (["--rounds", "0"], exit_codes.USAGE, "at least 1"),
        (["amf_none", "--only", "pair"], exit_codes.NO_WEIGHTS, "amf_none"),
        (["amf_test", "--only", "pair", "--runtimes", "torch:slow"], exit_codes.NO_WEIGHTS, "unknown 'slow'"),
        (["amf_test", "--only", "networks", "--runtimes", "nosuch"], exit_codes.NO_WEIGHTS, "unknown runtime 'nosuch'"),
        (
            ["amf_test", "--only", "networks", "--device", "foo"],
            exit_codes.NO_WEIGHTS,
            "the device 'foo' cannot be used",
        ),
        (["amf_test", "--out", "nowhere/x"], exit_codes.USAGE, "the folder nowhere does not exist"),
        (["amf_test", "--out", "."], exit_codes.USAGE, "give the beginning of the files' names, such as speed"),
    ],
)
def test_wrong_usage(printed, arguments, code, message):
    ended, text = printed(*arguments)
    assert ended == code and message in text.err and not text.out


def test_a_plan_names_what_there_is():
    with pytest.raises(ConfigError, match="unknown part 'speed'"):
        Plan(parts=("speed",))
    with pytest.raises(ConfigError, match="name a model"):
        Plan(models=())
