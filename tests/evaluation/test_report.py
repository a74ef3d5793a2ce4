"""Reports: every figure of the JSON is in the HTML, CSV and (the main ones) the text; hostile names stay text."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from evaluation_cases import certain, make, make_derm7pt
from sklearn.metrics import f1_score, precision_score, recall_score

from amfzoo.errors import ConfigError, TableError
from amfzoo.evaluation import Cases, evaluate, html_report, write_report
from amfzoo.evaluation.operating_point import with_calls
from amfzoo.evaluation.report import to_csv, to_json, to_text
from amfzoo.evaluation.summary import FIELDS

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$x^2$ & _y")


class Page(HTMLParser):
    """Text by data-key, and every tag with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: dict[str, str] = {}
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self._key: str | None = None
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "td":
            self._key = dict(attributes)["data-key"]
            assert self._key not in self.cells, "each figure has one place"
            self.cells[self._key] = ""
        self._open.append(tag)

    def handle_endtag(self, tag):
        self._key = None if tag == "td" else self._key
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        self.texts.append(data)
        if self._key is not None and self._open[-1] != "sup":
            self.cells[self._key] += data


def figures(result) -> dict[str, str]:
    """What each place of the page must say, from the JSON alone."""
    found = {}

    def put(key, score, form="{:.3f}"):
        parts = [None if score[k] is None else form.format(score[k]) for k in ("value", "low", "high")]
        found[key] = (
            "–" if parts[0] is None else parts[0] if parts[1] is None else f"{parts[0]} [{parts[1]}, {parts[2]}]"
        )

    for mode, part in result["modes"].items():
        for name, score in part["checklist"].items():
            put(f"{mode}|checklist||{name}", score)
        for threshold, counts in part["rule_counts"].items():
            found |= {f"{mode}|checklist||rule_{threshold}:{name}": str(n) for name, n in counts.items()}
        for task, data in part["tasks"].items():
            found[f"{mode}|{task}||cases"] = str(data["cases"])
            put(f"{mode}|{task}||majority_share", {"value": data["majority_share"], "low": None, "high": None})
            found |= {f"{mode}|{task}||count:{name}": str(n) for name, n in data["counts"].items()}
            found |= {
                f"{mode}|{task}||confusion:{i},{j}": str(n)
                for i, row in enumerate(data["confusion"])
                for j, n in enumerate(row)
            }
            for name, score in data["scores"].items():
                put(f"{mode}|{task}||{name}", score)
            for column, groups in data["subgroups"].items():
                for group in groups:
                    place = f"{mode}|{task}|{column}={group['subgroup']}|"
                    found[f"{place}cases"] = str(group["cases"])
                    found |= {f"{place}count:{name}": str(n) for name, n in group["counts"].items()}
                    for name, score in group["scores"].items():
                        put(place + name, score)
    for mode, part in result["comparison"].items():
        for task, scores in {**part["tasks"], "checklist": part["checklist"]}.items():
            for name, score in scores.items():
                place = f"{mode}|{task}|difference|{name}"
                put(place, score, "{:+.3f}")
                for side in ("first", "second"):
                    put(f"{place}|{side}", {"value": score[side], "low": None, "high": None})
                found[f"{place}|p"] = "–" if score["p"] is None else f"p {score['p']:.3f}"
    return found


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A report in which every name is hostile: (folder, cases, result)."""

    def cases(seed: int, mode: str) -> Cases:
        made = make(70, seed, classes=HOSTILE, mode=mode, model="<b>model</b>")
        labels = np.where(np.arange(70) % 9 == 3, -1, made.labels["diagnosis"])
        task = '<i onclick="x">task'
        return Cases(**{
            **vars(made), "tasks": {task: HOSTILE}, "labels": {task: labels}, "probabilities": {task: made.probabilities["diagnosis"]},
            "metadata": {"sex": ["<u>f</u>"] * 40 + ['m"'] * 25 + [""] * 5},
        })  # fmt: skip

    modes = {mode: cases(seed, mode) for seed, mode in enumerate(("both", "clinical", "dermoscopy"))}
    result = evaluate(modes, cases(9, "both"), resamples=30)
    folder = tmp_path_factory.mktemp("report")
    write_report(result, folder, modes, title="</title><script>")
    return folder, modes, result


def test_html_holds_every_figure_of_the_json(hostile):
    folder, _, _ = hostile
    result = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    expected = figures(result)
    assert len(expected) > 200
    assert {key: page.cells.get(key) for key in expected} == expected
    for part in result["modes"].values():  # and the reason of each that is missing
        notes = {score["note"] for task in part["tasks"].values() for score in task["scores"].values()}
        assert all(any(note in text for text in page.texts) for note in notes)


def test_hostile_names_stay_text(hostile):
    text = (hostile[0] / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= set(
        "html head meta title style body main h1 h2 h3 p ul li b nav a br div table thead tbody tr th td sup details summary figure "
        "figcaption img".split()
    )
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(
        any(name in shown for shown in page.texts)
        for name in (*HOSTILE, "<u>f</u>", "<b>model</b>", "</title><script>")
    )
    assert sum("not a medical device" in shown for shown in page.texts) == 1


def test_page_needs_nothing_else_and_its_plots_are_xml(hostile):
    text = (hostile[0] / "report.html").read_text(encoding="utf-8")
    images = [attributes["src"] for tag, attributes in Page(text).tags if tag == "img"]
    assert len(images) == 12  # four plots in three modes
    for source in images:
        kind, _, data = source.partition(",")
        assert kind == "data:image/svg+xml;base64"
        root = ElementTree.fromstring(base64.b64decode(data))
        assert root.tag.endswith("svg") and not [e for e in root.iter() if e.tag.endswith("script")]
    assert "http" not in text.replace("http-equiv", "")


def test_csv_holds_every_score_once(hostile):
    rows = list(csv.DictReader(io.StringIO((hostile[0] / "scores.csv").read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == FIELDS
    result = hostile[2]
    places = {(r["mode"], r["task"], r["column"], r["subgroup"], r["score"], r["class"]): r for r in rows}
    assert len(places) == len(rows)
    for mode, part in result["modes"].items():
        for task, data in part["tasks"].items():
            for name, score in data["scores"].items():
                base, _, label = name.partition(":")
                row = places[mode, task, "", "", base, label]
                assert row["value"] == ("" if score["value"] is None else repr(score["value"]))
                assert row["cases"] == str(data["cases"])
            small = places[mode, task, "sex", 'm"', "", ""]
            assert small["value"] == "" and int(small["cases"]) < 30
    assert sum(row["column"] == "difference" for row in rows) == 8 + 5 * 3


def test_same_cases_same_report(hostile, tmp_path):
    folder, modes, result = hostile
    write_report(result, tmp_path, modes, title="</title><script>")
    for name in ("report.html", "scores.json", "scores.csv"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_checklist_is_in_every_output(monkeypatch):
    monkeypatch.setattr(html_report, "PLOTS", {})  # the tables are meant, and drawing is slow
    cases = make_derm7pt(60)
    result = evaluate(cases, make_derm7pt(60, truth=0, seed=3), resamples=20)
    assert set(result["comparison"]["both"]["checklist"]) == {"avg_accuracy", "auc_12", "auc_24"}
    average = f"{result['modes']['both']['checklist']['avg_accuracy']['value']:.3f}"
    assert any("AVG" in line and average in line for line in to_text(result).splitlines())
    assert "both,checklist,,,avg_accuracy,,60," in to_csv(result)
    assert result["modes"]["both"]["rule_counts"]["3"].keys() == {"TP", "FN", "FP", "TN"}
    streaks = result["modes"]["both"]["tasks"]["streaks"]
    assert streaks["majority_share"] == max(streaks["counts"].values()) / 60
    gain = result["comparison"]["both"]["tasks"]["streaks"]["accuracy"]
    assert gain["first"] == streaks["scores"]["accuracy"]["value"] != gain["second"]
    assert gain["value"] == pytest.approx(gain["second"] - gain["first"])
    page, expected = Page(html_report.render_html(result, {"both": cases}, title="x")), figures(result)
    assert {key: page.cells.get(key) for key in expected} == expected


def test_text_shows_modes_side_by_side_and_the_comparison(hostile):
    lines = to_text(hostile[2]).splitlines()
    header = next(
        line for line in lines if "dermoscopy only" in line and "clinical only" in line and "both images" in line
    )
    assert header.index("both") < header.index("dermoscopy") < header.index("clinical")
    accuracy = next(line for line in lines if line.strip().startswith("accuracy"))
    for part in hostile[2]["modes"].values():
        assert f"{next(iter(part['tasks'].values()))['scores']['accuracy']['value']:.3f}" in accuracy
    assert any("minus" in line for line in lines) and any(" p 0." in line for line in lines)


def test_unusual_cases_make_a_whole_report(tmp_path):
    nothing = Cases(**{**vars(make(4)), "labels": {"diagnosis": np.full(4, -1)}})
    perfect = certain({task: values[:10] for task, values in make_derm7pt(60).labels.items()})
    assert (
        json.loads(to_json(evaluate(perfect, resamples=20)))["modes"]["both"]["checklist"]["avg_accuracy"]["value"] == 1
    )
    for i, cases in enumerate((nothing, make(1))):
        result = evaluate(cases, resamples=20)
        write_report(result, tmp_path / str(i), cases)
        assert json.loads(to_json(result)) == result
        to_text(result)


def test_errors(tmp_path):
    with pytest.raises(ConfigError, match="no cases"):
        evaluate(make(3).select(np.zeros(3, dtype=bool)))
    with pytest.raises(ConfigError, match="nothing to compare"):
        evaluate(make(5), make(5, mode="clinical"))
    (tmp_path / "file").write_text("")
    with pytest.raises(TableError, match="cannot be written"):
        write_report(evaluate(make(5), resamples=0), tmp_path / "file" / "folder", make(5))


def test_the_files_take_their_places_once_all_are_written(tmp_path, monkeypatch):
    unfinished, replace = [], os.replace

    def noting(source, target):
        unfinished.append(len(list(tmp_path.glob(".*.partial"))))
        replace(source, target)

    monkeypatch.setattr(os, "replace", noting)
    monkeypatch.setattr(html_report, "render_html", lambda *cases, **words: "a page")
    paths = write_report(evaluate(make(5), resamples=0), tmp_path, make(5))
    assert unfinished == [3, 2, 1] and sorted(tmp_path.iterdir()) == sorted(paths)


def test_what_is_called_is_scored_in_every_output():
    """Against scikit-learn; where nothing is called by an operating point, nothing is said of it."""
    tasks = {"streaks": ("absent", "present"), "diagnosis": ("NV", "MEL")}
    rng = np.random.default_rng(0)
    labels, p = rng.integers(0, 2, 80), rng.uniform(0, 0.5, 80)
    rows_of = {task: np.stack([1 - p, p], 1) for task in tasks}
    cases = Cases([*map(str, range(80))], tasks, dict.fromkeys(tasks, labels), rows_of)
    called = with_calls(cases, {"streaks": {"present": 0.2}}, np.ones(80, bool))
    result = evaluate(called, resamples=50)
    scores = result["modes"]["both"]["tasks"]["streaks"]["scores"]
    said = p >= 0.2
    for name, expected in (
        ("called_macro_f1", f1_score(labels, said, average="macro")),
        ("called_sensitivity:present", recall_score(labels, said)),
        ("called_sensitivity:absent", recall_score(labels, said, pos_label=0)),
        ("called_precision:present", precision_score(labels, said)),
    ):
        assert scores[name]["value"] == pytest.approx(expected)
        assert scores[name]["low"] < expected < scores[name]["high"]
    assert scores["sensitivity:present"]["value"] == 0  # of the most probable class
    assert not any("called" in name for name in result["modes"]["both"]["tasks"]["diagnosis"]["scores"])
    text, page = to_text(result), Page(html_report.render_html(result, {"both": called}, title="t"))
    assert text.count("sensitivity as called") == text.count("macro-F1 as called") == 1
    assert f"{scores['called_sensitivity:present']['value']:.3f} [" in text
    assert page.cells == figures(json.loads(to_json(result)))
    assert "both|streaks||called_precision:absent" in page.cells


def test_tasks_without_a_label_are_named_and_take_no_room():
    tasks = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}
    rng = np.random.default_rng(0)
    p, labels = rng.uniform(0, 1, 40), {"diagnosis": rng.integers(0, 2, 40), "streaks": np.full(40, -1)}
    cases = Cases([*map(str, range(40))], tasks, labels, {task: np.stack([1 - p, p], 1) for task in tasks})
    result = evaluate(cases, cases, resamples=20)
    text, page = to_text(result), html_report.render_html(result, {"both": cases}, title="t")
    assert text.count("no case has a label, so there are no figures: streaks") == 1 and text.count("streaks") == 1
    assert Page(page).texts.count("no case has a label, so there are no figures: streaks.") == 1
    keys = Page(page).cells
    assert "both|diagnosis||accuracy" in keys and not any("streaks" in key for key in keys)
    assert (
        "streaks" in to_csv(result) and json.loads(to_json(result))["modes"]["both"]["tasks"]["streaks"]["cases"] == 0
    )


def test_page_says_of_what_its_figures_are():
    """Data, patients that are unknown, and in each caption task, images and cases; in the text how many have a label."""
    cases = make(60)
    labels = np.where(np.arange(60) < 10, -1, cases.labels["diagnosis"])
    cases = Cases(**{**vars(cases), "labels": {"diagnosis": labels}, "groups": ()})
    result = evaluate(cases, resamples=20)
    page = Page(html_report.render_html(result, {"both": cases}, title="t", data="clinic <A>"))
    assert "data: clinic <A>" in page.texts
    for plot in html_report.PLOTS:
        assert f"{plot}: diagnosis, both images, 50 cases" in page.texts
    told = "No patient is known, so lesions are drawn one by one: where a patient has several, the intervals are too narrow."
    text = to_text(result)
    assert told in page.texts and told in text.splitlines()
    assert next(line.split()[-1] for line in text.splitlines() if "cases with a known class" in line) == "50"

    groups = [f"patient:{i // 2}" if i < 40 else f"lesion:{i}" for i in range(60)]
    some = evaluate(Cases(**{**vars(cases), "groups": groups}), resamples=20)
    assert some["modes"]["both"]["unknown_patients"] == 20
    assert "\nThe patient of 20 of 60 cases is unknown, and these are drawn one by one" in to_text(some)
    everyone = evaluate(make(60, groups=[f"patient:{i // 2}" for i in range(60)]), resamples=20)
    assert "one by one" not in to_text(everyone) and "known class" not in to_text(everyone)
    assert "one by one" not in to_text(evaluate(cases, resamples=0))  # no intervals


@pytest.mark.slow
def test_page_prints_whole(tmp_path, browser):
    """On A4 every column of the widest table is on the paper."""
    cases = with_calls(make_derm7pt(60), {"blue_whitish_veil": {"present": 0.2}}, np.ones(60, bool))
    write_report(evaluate(cases, resamples=50), tmp_path, cases)
    page = browser.new_page(viewport={"width": 718, "height": 1000})  # 21 cm at 96 dpi, less the margins
    page.emulate_media(media="print")
    page.goto((tmp_path / "report.html").as_uri())
    widths = page.eval_on_selector_all(
        ".scroll", "all => all.map(e => [e.scrollWidth, e.clientWidth, getComputedStyle(e).overflowX])"
    )
    assert widths and all(needed <= given and overflow == "visible" for needed, given, overflow in widths)


def test_a_report_takes_the_cases_of_its_result_alone(tmp_path):
    """Its plots would be of others."""
    result = evaluate(make(12), resamples=0)
    for others, said in ((make(12, mode="clinical"), "12 of the mode 'clinical'"), (make(9), "9 of the mode 'both'")):
        with pytest.raises(ConfigError, match=f"of 12 cases of the mode 'both', and these are others .{said}"):
            write_report(result, tmp_path / "report", others)
    assert not (tmp_path / "report").exists()
