"""amfzoo predict --report."""

from __future__ import annotations

import json

import pytest
from cli_case import write_table
from html_pages import Page

from amfzoo import create_model
from amfzoo.cli import exit_codes, main

ROWS = [("a", "c0.jpg", "d0.jpg"), ("b", "", "d1.jpg")]


@pytest.fixture(scope="session")
def tiny(network, tmp_path_factory):
    return f"local-dir:{network.save_pretrained(tmp_path_factory.mktemp('weights') / 'tiny')}"


@pytest.fixture
def run(capsys, tiny, folder, monkeypatch):
    """`amfzoo predict ARGUMENTS` with the tiny model in the folder of pictures: exit code, stdout, stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        code = main(["predict", *arguments, "--model", tiny])
        return code, *capsys.readouterr()

    return run


def read(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_one_pair(run, folder, tiny):
    code, out, err = run("c0.jpg", "d0.jpg", "--report", "out.html", "--json")
    answer = create_model(tiny).predict(folder / "c0.jpg", folder / "d0.jpg")
    assert (code, err) == (0, "") and json.loads(out)["top"]["diagnosis"] == answer.top()[0]
    page = read(folder / "out.html")
    assert f"Score {answer.seven_point_score}:" in page.one("body").text and "amf_test@" in page.one("body").text
    warned = [item.text for box in page.find("div", "warning") for item in page.find("li", inside=box)]
    assert [text.lower() for text in warned] == [found.message.lower() for found in answer.warnings]
    run("c0.jpg", "d0.jpg", "--report", "out.html", "--no-guards")
    assert not read(folder / "out.html").find("div", "warning")


def test_the_example_is_called_a_drawing(run, folder):
    assert run("--example", "--report", "out.html")[0] == 0
    assert "The example is a drawing, not a real lesion." in read(folder / "out.html").one("body").text


def test_a_table(run, folder):
    write_table(folder / "pairs.csv", ROWS)
    for _ in range(2):  # the second time the answers are complete already
        assert run("pairs.csv", "--out", "out.csv", "--report", "out.html")[0] == 0
        page = read(folder / "out.html")
        assert "2 rows: 2 answered" in page.one("body").text and len(page.find("section", "case")) == 2
        (folder / "out.html").unlink()
    assert run("pairs.csv", "--out", "shards/", "--report", "out.html")[0] == 0
    assert "2 rows: 2 answered" in read(folder / "out.html").one("body").text


def test_a_table_whose_columns_are_named(run, folder):
    write_table(folder / "faelle.csv", ROWS, ("Fall", "Klinisch", "Auflicht"))
    named = ("--clinical", "Klinisch", "--dermoscopy", "Auflicht")
    for out in ("out.csv", "shards/"):
        assert run("faelle.csv", "--out", out, "--report", "out.html", *named)[0] == 0
        page = read(folder / "out.html")
        assert "2 rows: 2 answered" in page.one("body").text and len(page.find("section", "case")) == 2
    assert run("faelle.csv", "--out", "other.csv")[0] != 0


@pytest.mark.parametrize("page", ["c0.jpg", "none/out.html"])
def test_the_page_is_checked_before_the_weights(capsys, folder, monkeypatch, page):
    monkeypatch.chdir(folder)
    code = main(["predict", "c0.jpg", "d0.jpg", "--report", page, "--model", "local-dir:/nowhere"])
    assert code == exit_codes.USAGE and "cannot write the report" in capsys.readouterr().err
