"""The answer for one pair: seven-point rule, plain data, texts."""

from __future__ import annotations

import html.parser
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from amfzoo import Prediction, PredictionError
from amfzoo.guards import InputWarning
from amfzoo.labels import CHECKLIST, DERM7PT, seven_point_score

# class -> points, in the order of the seven-point rule; every criterion's most probable class is marked
POINTS = {
    "pigment_network": {"absent": 0, "typical": 0, "atypical": 2},
    "blue_whitish_veil": {"absent": 0, "present": 2},
    "vascular_structures": {"absent": 0, "regular": 0, "irregular": 2},
    "pigmentation": {"absent": 0, "regular": 0, "irregular": 1},
    "streaks": {"absent": 0, "regular": 0, "irregular": 1},
    "dots_and_globules": {"absent": 0, "regular": 0, "irregular": 1},
    "regression_structures": {"absent": 0, "present": 1},
}
DIAGNOSIS = {"BCC": 0.05, "NEV": 0.2, "MEL": 0.6, "MISC": 0.1, "SK": 0.05}


def checklist(**winners: str) -> dict[str, dict[str, float]]:
    """Probabilities in which the named class, else `absent`, is the most probable of each criterion."""
    rows = {}
    for task, points in POINTS.items():
        rest = 0.4 / (len(points) - 1)
        rows[task] = {label: 0.6 if label == winners.get(task, "absent") else rest for label in points}
    return rows


def random_checklist(seed: int) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(seed)
    return {task: dict(zip(points, rng.dirichlet(np.ones(len(points))).tolist())) for task, points in POINTS.items()}


@pytest.fixture
def prediction() -> Prediction:
    winners = {"pigment_network": "atypical", "streaks": "irregular"}
    return Prediction({"diagnosis": DIAGNOSIS, **checklist(**winners)}, model="amf_small.x", missing=("clinical",))


# ------------------------------------------------------------ seven-point rule


@pytest.mark.parametrize("seed", range(8))
def test_bounds_are_those_of_all_scores_that_the_labels_allow(seed: int) -> None:
    """Against every way in which absent / present and unanswered criteria could turn out."""
    rng = np.random.default_rng(seed)
    rows, open_classes = {}, []
    for task, points in POINTS.items():
        form = ("full", "coarse", "unanswered")[rng.integers(3 if task != "streaks" else 2)]
        if form == "unanswered":
            open_classes.append(list(points))
            continue
        classes = list(points) if form == "full" else ["absent", "present"]
        top = classes[rng.integers(len(classes))]
        rows[task] = {name: 0.9 if name == top else 0.1 / (len(classes) - 1) for name in classes}
        known = top in points and (form == "full" or top == "absent")
        open_classes.append([top] if known else [name for name in points if name != "absent"])
    scores = [seven_point_score(dict(zip(POINTS, one))) for one in itertools.product(*open_classes)]
    found = Prediction(rows)
    assert found.seven_point_bounds == (min(scores), max(scores))
    if found.seven_point_score is None:
        text = "the findings allow {} to {} points".format(*found.seven_point_bounds)
        assert text in found.summary() and found.to_dict()["seven_point"]["bounds"] == [min(scores), max(scores)]
    else:
        assert min(scores) == max(scores) == found.seven_point_score


def test_no_bounds_without_a_checklist() -> None:
    assert Prediction({"diagnosis": DIAGNOSIS}).seven_point_bounds is None
    assert Prediction({"diagnosis": DIAGNOSIS}).to_dict()["seven_point"]["bounds"] is None


@pytest.mark.parametrize(
    "winners, score",
    [
        ({}, 0),
        ({"pigment_network": "typical", "streaks": "regular"}, 0),
        ({"pigment_network": "atypical"}, 2),
        ({"pigment_network": "atypical", "streaks": "irregular"}, 3),
        ({"regression_structures": "present", "dots_and_globules": "irregular"}, 2),
        ({"blue_whitish_veil": "present", "vascular_structures": "irregular", "pigmentation": "irregular"}, 5),
        ({task: list(points)[-1] for task, points in POINTS.items()}, 10),
    ],
)
def test_score_of_the_most_probable_classes(winners, score):
    prediction = Prediction(checklist(**winners))
    assert prediction.seven_point_score == score and prediction.seven_point_note is None
    assert prediction.refer() == (score >= 3) and prediction.refer(1) == (score >= 1)


@pytest.mark.parametrize("seed", range(3))
def test_expected_score_is_the_mean_over_all_combinations(seed):
    rows = random_checklist(seed)
    expected = total = 0.0
    for labels in itertools.product(*rows.values()):
        p = math.prod(rows[task][label] for task, label in zip(rows, labels))
        expected += p * sum(POINTS[task][label] for task, label in zip(rows, labels))
        total += p
    assert total == pytest.approx(1)
    assert Prediction(rows).expected_seven_point_score == pytest.approx(expected)


def test_order_of_classes_and_tasks_does_not_matter():
    rows = random_checklist(7)
    turned = {task: dict(reversed(list(rows[task].items()))) for task in reversed(rows)}
    one, other = Prediction(rows), Prediction(turned)
    assert one.seven_point_score == other.seven_point_score
    assert one.expected_seven_point_score == pytest.approx(other.expected_seven_point_score)


@pytest.mark.parametrize(
    "probabilities, note",
    [
        ({"diagnosis": DIAGNOSIS}, "no checklist tasks"),
        ({t: row for t, row in checklist().items() if t not in ("streaks", "pigmentation")}, "pigmentation, streaks"),
        ({**checklist(), "streaks": {"absent": 0.7, "present": 0.3}}, "streaks lack the classes"),
    ],
)
def test_no_score_without_all_criteria(probabilities, note):
    prediction = Prediction(probabilities)
    assert note in prediction.seven_point_note and note in prediction.summary()
    assert prediction.seven_point_score is prediction.expected_seven_point_score is None
    with pytest.raises(PredictionError, match=note):
        prediction.refer()
    plain = prediction.to_dict()["seven_point"]
    assert plain["score"] is plain["expected_score"] is plain["refer"] is None and note in plain["note"]


# -------------------------------------------------------------- reading it out


def test_diagnosis_checklist_top(prediction):
    assert prediction.diagnosis == DIAGNOSIS
    assert list(prediction.checklist) == list(POINTS) == list(CHECKLIST)
    assert prediction.top() == ("MEL", 0.6) and prediction.top("streaks") == ("irregular", 0.6)
    with pytest.raises(PredictionError, match="no task 'colour'; they have diagnosis, pigment_network"):
        prediction.top("colour")
    other = Prediction({"grade": {"low": 0.5, "high": 0.5}})
    assert other.diagnosis == {} and other.checklist == {}


def test_plain_data_survives_json(prediction):
    plain = json.loads(json.dumps(prediction.to_dict(), allow_nan=False))
    assert plain == prediction.to_dict()
    assert plain["probabilities"] == prediction.probabilities
    assert plain["model"] == "amf_small.x" and plain["missing"] == ["clinical"]
    assert plain["top"]["diagnosis"] == "MEL" and list(plain["top"]) == ["diagnosis", *POINTS]
    expected = pytest.approx(sum(p * POINTS[t][c] for t, row in prediction.checklist.items() for c, p in row.items()))
    assert plain["seven_point"] == {
        "score": 3, "expected_score": expected, "bounds": [3, 3], "refer": True, "note": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        {"a": 0.5, "b": 0.6},
        {"a": 0.5, "b": 0.501},
        {"a": 0.2, "b": 0.2},
        {"a": 1.5, "b": -0.5},
        {"a": float("nan"), "b": 1.0},
        {"a": float("inf"), "b": 0.0},
        {},
    ],
)
def test_what_are_not_probabilities_is_refused(row):
    with pytest.raises(PredictionError, match="'grade'"):
        Prediction({"grade": row})


@pytest.mark.parametrize("row", [{"x": "1"}, {"x": None, "y": 1.0}, [0.5, 0.5], "x"])
def test_what_are_no_probabilities_is_said(row):
    with pytest.raises(PredictionError, match="task 'a': give {class: probability} with numbers, not "):
        Prediction({"a": row})


def test_text(prediction):
    lines = str(prediction).splitlines()
    assert lines[0] == "model amf_small.x" and lines[1] == "diagnosis"
    assert lines[2].split() == ["60.0%", "############", "MEL", "melanoma"]  # the most probable class first
    assert "seven-point score 3" in lines[-2] and "the clinical image was missing" in lines[-2]
    assert "not a medical device" in lines[-1]
    assert len([line for line in lines if "%" in line]) == sum(len(t.classes) for t in DERM7PT.tasks.values())
    warned = replace(prediction, warnings=(InputWarning("dark", ("clinical",), "the photo is <too> dark"),))
    assert str(warned).splitlines()[-3] == "warning: the photo is <too> dark"
    assert "Warning: the photo is &lt;too&gt; dark" in warned._repr_html_()


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_escapes_every_name():
    evil = "<script>alert('x')</script>&amp;"
    prediction = Prediction({f"task{evil}": {evil: 0.75, "b": 0.25}}, model=evil, missing=(evil,))
    page = Tags(prediction._repr_html_())
    assert page.open == [] and page.seen == {"table", "caption", "tr", "th", "td", "div"}
    assert page.text.count(evil) == 4  # shown as typed: task, class, model, missing image
    assert "75.0%" in page.text and "not a medical device" in page.text


def test_without_dermoscopy_there_is_no_score():
    """The checklist's criteria are defined on dermoscopy (Argenziano et al., 1998)."""
    alone = Prediction({"diagnosis": DIAGNOSIS, **checklist(streaks="irregular")}, missing=("dermoscopy",))
    assert alone.seven_point_score is alone.expected_seven_point_score is alone.seven_point_bounds is None
    assert "dermoscopy image was missing" in alone.seven_point_note
    with pytest.raises(PredictionError, match="dermoscopic"):
        alone.refer()
    told = alone.to_dict()["seven_point"]
    assert (told["score"], told["bounds"], told["refer"]) == (None, None, None)
    headings = [line for line in str(alone).splitlines() if not line.startswith(" ")]
    assert "streaks (dermoscopic: a guess)" in headings and "diagnosis" in headings
    assert Prediction({"diagnosis": DIAGNOSIS}, missing=("dermoscopy",)).seven_point_note.endswith("no checklist tasks")


def test_small_and_large_probabilities_do_not_look_certain():
    rows = {"a": {"x": 0.99996, "y": 0.00004}, "b": {"u": 1.0, "v": 0.0}, "c": {"s": 0.9996, "t": 0.0004}}
    text = str(Prediction(rows))
    assert [line.split()[0] for line in text.splitlines() if line.startswith(" ")] == [
        ">99.9%",
        "<0.1%",
        "100.0%",
        "0.0%",
        ">99.9%",
        "<0.1%",
    ]


def test_a_network_that_reads_no_dermoscopy_gives_no_score():
    alone = Prediction(checklist(streaks="irregular"), reads=("clinical",))
    assert alone.seven_point_score is None and "the network reads no dermoscopy" in alone.seven_point_note
    assert Prediction(checklist(streaks="irregular"), reads=("dermoscopy",)).seven_point_score == 1


# ------------------------------------------------------------ operating points

RARE = {"blue_whitish_veil": {"absent": 0.8, "present": 0.2}, "streaks": {"present": 0.3, "absent": 0.7}}


@pytest.mark.parametrize("threshold, finding", [(0.19, "present"), (0.2, "present"), (0.21, "absent")])
def test_a_class_is_called_from_its_operating_point_on(threshold, finding):
    answer = Prediction(RARE, operating_points={"blue_whitish_veil": {"present": threshold}})
    p = RARE["blue_whitish_veil"][finding]
    assert answer.called("blue_whitish_veil") == (finding, p) and answer.top("blue_whitish_veil") == ("absent", 0.8)
    assert answer.findings == {"blue_whitish_veil": finding, "streaks": "absent"}
    assert answer.to_dict()["called"] == {**answer.findings}
    assert answer.to_dict()["top"] == {"blue_whitish_veil": "absent", "streaks": "absent"}
    # a veil scores two points; pigmentation and the other criteria that are not answered, up to seven
    assert answer.seven_point_bounds == ((2, 9) if finding == "present" else (0, 7))
    share = f"{threshold:.1%}"
    assert f"blue whitish veil: {finding} (present from {share} on)\n" in str(answer)
    assert f"blue whitish veil: {finding} (present from {share} on)<" in answer._repr_html_()
    assert "\nstreaks\n" in str(answer)


def test_without_dermoscopy_the_operating_point_of_a_criterion_is_left_out():
    points = {"blue_whitish_veil": {"present": 0.1}, "grade": {"high": 0.1}}
    rows = {**RARE, "grade": {"low": 0.8, "high": 0.2}}
    answer = Prediction(rows, operating_points=points, missing=("dermoscopy",))
    assert answer.called("blue_whitish_veil")[0] == "absent" and answer.called("grade")[0] == "high"
    assert "blue whitish veil (dermoscopic: a guess)" in str(answer) and "grade: high (high from 10.0% on)" in str(
        answer
    )


def test_the_score_follows_operating_points():
    """By hand: a network that knows the whole checklist gets none by itself."""
    rows = checklist(streaks="irregular")
    rows["blue_whitish_veil"] = {"absent": 0.9, "present": 0.1}
    assert Prediction(rows).seven_point_score == 1
    called = Prediction(rows, operating_points={"blue_whitish_veil": {"present": 0.05}})
    assert called.seven_point_score == 3 and called.refer() and called.seven_point_bounds == (3, 3)
