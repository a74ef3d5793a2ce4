"""The section of one lesion, from answers made up here."""

from __future__ import annotations

import pytest
from html_pages import Page

from amfzoo import Prediction
from amfzoo.explain import Contribution
from amfzoo.guards import InputWarning
from amfzoo.html_page import document
from amfzoo.inference.prediction import PredictionSet
from amfzoo.labels import CHECKLIST
from amfzoo.report.case import CaseView
from amfzoo.report.case_html import case_section

DIAGNOSIS = {"BCC": 0.0004, "NEV": 0.2996, "MEL": 0.7, "MISC": 0.0, "SK": 0.0}


def show(answer: Prediction, without=None, **options) -> Page:
    case = CaseView("A lesion", Contribution(answer, without or {}), (), **options)
    return Page(document("t", case_section(case)))


def test_diagnosis_is_sorted_with_its_set():
    answer = Prediction({"diagnosis": DIAGNOSIS}, sets={"diagnosis": PredictionSet(("MEL", "NEV"), 0.9)})
    page = show(answer)
    assert page.rows("Probabilities of diagnosis") == [
        ["melanoma (MEL) in the set", "70 %", ""],
        ["nevus (NEV) in the set", "30 %", ""],
        ["basal cell carcinoma (BCC)", "below 1 %", ""],
        ["miscellaneous (MISC)", "0 %", ""],
        ["seborrheic keratosis (SK)", "0 %", ""],
    ]
    widths = [bar.attributes["style"] for bar in page.find("i") if "style" in bar.attributes]
    assert widths == ["width:70.0%", "width:30.0%", "width:0.0%", "width:0.0%", "width:0.0%"]
    text = page.one("body").text
    assert "melanoma (MEL) and nevus (NEV)" in text and "true class in 90\xa0%" in text
    assert "Most probable diagnosis: melanoma (MEL), 70\xa0%" in text


def test_the_score_and_what_it_consists_of():
    sure = {
        name: {label: float(label == list(row.points)[-1]) for label in row.points} for name, row in CHECKLIST.items()
    }
    sure["streaks"] = {"absent": 0.5, "regular": 0.3, "irregular": 0.2}
    answer = Prediction(sure)
    page = show(answer)
    rows = {row[0]: row for row in page.rows("What the score consists of")}
    assert list(rows) == [name.replace("_", " ") for name in CHECKLIST]
    assert rows["streaks"] == ["streaks", "absent (regular 30 %, irregular 20 %)", "50 %", "0"]
    assert sum(int(row[-1]) for row in rows.values()) == answer.seven_point_score > 0
    assert f"Score {answer.seven_point_score}:" in page.one("body").text
    assert f"probabilities: {answer.expected_seven_point_score:.1f}" in page.one("body").text


def test_a_score_that_is_known_within_bounds():
    answer = Prediction({"streaks": {"absent": 0.1, "regular": 0.2, "irregular": 0.7}})
    page = show(answer)
    low, high = answer.seven_point_bounds
    assert low < high and f"The findings allow {low} to {high} points" in page.one("body").text
    rows = {row[0]: row[1:] for row in page.rows("What the score consists of")}
    assert rows["streaks"][-1] == "1" and rows["pigmentation"] == ["not answered by this model", "–", "0 to 1"]


def test_a_finding_is_the_class_that_is_called():
    rows = {"streaks": {"absent": 0.8, "present": 0.2}}
    found = {
        point: {row[0]: row[1:] for row in show(answer).rows("What the score consists of")}["streaks"]
        for point in (0.15, 0.25)
        if (answer := Prediction(rows, operating_points={"streaks": {"present": point}}))
    }
    assert found[0.15] == ["present (absent 80 %; present from 15 % on)", "20 %", "0 to 1"]
    assert found[0.25] == ["absent (present 20 %; present from 25 % on)", "80 %", "0"]


@pytest.mark.parametrize("warned", [True, False])
def test_warnings_stand_in_a_box_before_the_answer(warned):
    found = (InputWarning("swapped", ("clinical", "dermoscopy"), "the two <b>images</b> look swapped"),)
    page = show(Prediction({"diagnosis": DIAGNOSIS}, warnings=found if warned else ()))
    boxes = page.find("div", "warning")
    assert len(boxes) == warned
    if warned:
        assert "The two <b>images</b> look swapped" in boxes[0].text
        headline = page.one("p", "headline")
        assert page.elements.index(boxes[0]) < page.elements.index(headline)


def test_a_missing_picture_is_said():
    page = show(Prediction({"diagnosis": DIAGNOSIS}, missing=("clinical",)))
    text = page.one("body").text
    assert "The clinical photo was not given." in text and "sets are calibrated on whole pairs" in text


def test_what_each_picture_adds():
    less = Prediction({"diagnosis": {**DIAGNOSIS, "BCC": 0.0, "NEV": 0.8, "MEL": 0.2}}, missing=("dermoscopy",))
    page = show(Prediction({"diagnosis": DIAGNOSIS}), {"dermoscopy": less})
    (row,) = page.rows("The class that is called")
    assert row == ["diagnosis", "melanoma (MEL), 70 %", "nevus (NEV), 80 %50 points move"]


def test_hostile_names_stay_text():
    hostile = "<script>alert(1)</script>\u202e\n\x00"
    row = {hostile: 0.6, '"><img src=x onerror=alert(1)>': 0.4}
    page = show(
        Prediction({"diagnosis": row, "<i>task</i>": row}, sets={"diagnosis": PredictionSet((hostile,), 0.9)}),
        facts=((hostile, hostile),),
    )
    assert not page.find("script") and not page.find("img")
    assert "<script>alert(1)</script>\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}" in page.one("dl").text
    assert "\u202e" not in page.source and "\x00" not in page.source
