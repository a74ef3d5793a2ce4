"""The page of a table: the list of its rows, the first of them with pictures."""

from __future__ import annotations

import pytest
from cli_case import FEW_PIXELS, read_table, tiny_model, write_table
from html_pages import Page

from amfzoo import ConfigError, TableError
from amfzoo.inference.sets import ConformalSets
from amfzoo.inference.table import predict_table
from amfzoo.inference.table_shards import predict_shards
from amfzoo.report import write_table_report
from amfzoo.report.answers import Answers

HOSTILE = "<script>alert(1)</script>"
HEADER = ("id", "clinical", "dermoscopy", "<i>note</i>")
ROWS = [
    ("a", "c0.jpg", "d0.jpg", HOSTILE),
    ("b", "", "d1.jpg", '"><img src=x onerror=alert(1)>'),
    ("c", f"{HOSTILE}.jpg", "d1.jpg", ""),
    ("d", "c1.jpg", "d1.jpg", "second"),
]  # fmt: skip


@pytest.fixture
def answered(network, folder):
    """The table of pairs and its answers."""
    source = write_table(folder / "pairs <b>.csv", ROWS, HEADER)
    predict_table(network, source, folder / "out.csv")
    return source, folder / "out.csv"


def read(path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def test_all_rows_are_listed_and_answered_ones_pictured(network, folder, answered):
    write_table_report(network, folder / "t.html", *answered)
    page, answers = read(folder / "t.html"), read_table(answered[1])
    text = page.one("body").text
    assert "Predictions for pairs <b>.csv" in text and "4 rows: 3 answered, 1 with an error" in text
    rows = page.rows("One row for each lesion")
    # warnings first: what stands to their right may be off the screen
    assert [[row[0], *row[7:]] for row in rows] == [[str(i + 2), given[0], given[3]] for i, given in enumerate(ROWS)]
    assert [row[5:7] for row in rows[:2]] == [["c0.jpg", "d0.jpg"], ["none", "d1.jpg"]]
    for row, answer in zip(rows, answers):
        assert answer["diagnosis"] in row[2] and answer["seven_point_score"] == row[4]
        assert answer["error"][:40] in row[1] and answer["warnings"].replace(";", "; ").replace("_", " ") in row[1]
    p = [float(answers[i][f"diagnosis:{answers[i]['diagnosis']}"]) for i in (0, 1, 3)]
    figures = [cell.attributes["data-value"] for cell in page.find("td", "number") if "data-value" in cell.attributes]
    assert [float(value) for value in figures[::2] if value] == p
    assert [link.text for link in page.find("a") if link.attributes["href"] != "#list"] == ["2", "3", "5"]
    assert len(page.find("section", "case")) == 3 and "second" in page.find("section", "case")[2].text


def test_the_script_finds_what_it_works_on(network, folder, answered):
    write_table_report(network, folder / "t.html", *answered)
    page = read(folder / "t.html")
    (script,) = page.find("script")
    names = {element.attributes.get("id") for element in page.elements}
    assert {"filter-text", "filter-label", "filter-state", "shown"} <= names and "innerHTML" not in script.text
    options = [option.attributes["value"] for option in page.find("option")]
    rows = page.find("tr", inside=page.find("table", "index")[0])[1:]
    assert {row.attributes["data-label"] for row in rows} <= set(options)
    states = [row.attributes["data-state"].split() for row in rows]
    assert "failed" in states[2] and "pictured" not in states[2] and all("pictured" in states[i] for i in (0, 1, 3))
    assert set().union(*states) <= set(options)


def test_long_tables_are_cut_and_the_page_says_so(network, folder, answered):
    write_table_report(network, folder / "t.html", *answered, pictured=1, listed=2)
    page = read(folder / "t.html")
    text = page.one("body").text
    assert "The first 2 of 4 rows." in text and "The first 1 of 3 answered rows." in text and "4 rows:" in text
    assert len(page.rows("One row for each lesion")) == 2 and len(page.find("section", "case")) == 1
    with pytest.raises(ConfigError, match="negative"):
        write_table_report(network, folder / "u.html", *answered, pictured=-1)


def test_a_picture_that_has_gone_costs_its_section_alone(network, folder, answered):
    (folder / "c0.jpg").unlink()
    write_table_report(network, folder / "t.html", *answered)
    first, second, _ = read(folder / "t.html").find("section", "case")
    assert "cannot be shown" in first.text and "c0.jpg" in first.text and "cannot be shown" not in second.text


def test_prefix_label_and_no_guards(network, folder):
    source = write_table(folder / "p.csv", ROWS[:2], HEADER)
    options = {"prefix": "amf_", "label": "these weights", "guards": False}
    predict_table(network, source, folder / "o.csv", **options)
    write_table_report(network, folder / "t.html", source, folder / "o.csv", **options)
    page = read(folder / "t.html")
    assert "these weights" in page.one("body").text and not page.find("div", "warning")
    assert [row[0] for row in page.rows("One row for each lesion")] == ["2", "3"]
    with pytest.raises(TableError, match="other columns"):
        write_table_report(network, folder / "t.html", source, folder / "o.csv")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_answers_in_shards(network, folder, suffix):
    source = write_table(folder / "p.csv", ROWS, HEADER)
    if suffix == "parquet":
        csv = pytest.importorskip("pyarrow.csv")
        from pyarrow import parquet

        parquet.write_table(csv.read_csv(source), folder / "p.parquet")
        source = folder / "p.parquet"
    predict_shards(network, source, folder / "shards", shard_rows=3)
    write_table_report(network, folder / "t.html", source, folder / "shards", pictured=1)
    page = read(folder / "t.html")
    rows = page.rows("One row for each lesion")
    assert "4 rows: 3 answered, 1 with an error" in page.one("body").text
    assert [row[0] for row in rows] == (["1", "2", "3", "4"] if suffix == "parquet" else ["2", "3", "4", "5"])
    assert ("second" in rows[3]) == (suffix == "csv")  # of Parquet the paths alone are read


def test_without_answers(network, folder):
    source = write_table(folder / "p.csv", ROWS, HEADER)
    with pytest.raises(TableError, match="no answers"):
        write_table_report(network, folder / "t.html", source, folder / "o.csv")


def test_columns_of_images_may_be_written_otherwise(network, folder):
    source = write_table(folder / "p.csv", [("a", "c0.jpg", "d0.jpg")], ("id", "Clinical", "DERMOSCOPY"))
    predict_table(network, source, folder / "o.csv")
    write_table_report(network, folder / "t.html", source, folder / "o.csv")
    (row,) = read(folder / "t.html").rows("One row for each lesion")
    assert row[-3:] == ["c0.jpg", "d0.jpg", "a"]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_classes_of_a_set_may_hold_what_joins_them(folder, count):
    names = ("nevus", "keratosis", "nevus;keratosis", "carcinoma; basal cell")
    model = tiny_model(tasks={"diagnosis": names}, **FEW_PIXELS)
    ranked = sorted(
        model.predict(folder / "c1.jpg", folder / "d1.jpg").probabilities["diagnosis"].values(), reverse=True
    )
    least = (ranked[count - 1] + [*ranked, 0.0][count]) / 2
    sets = {"diagnosis": ConformalSets("lac", 0.9, dict.fromkeys(names, 1 - least), dict.fromkeys(names, 30))}
    model.config = model.config.replace(conformal=sets)
    source = write_table(folder / "p.csv", ROWS[3:], HEADER)
    predict_table(model, source, folder / "o.csv")
    (row,) = read_table(folder / "o.csv")
    p = {name: float(row[f"diagnosis:{name}"]) for name in names}
    (answer,) = Answers(model, source, folder / "o.csv")
    assert answer.classes == sets["diagnosis"].set_of(p)
    assert len(answer.classes) == count
