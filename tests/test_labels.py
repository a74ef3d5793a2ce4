"""Classes, grouping of raw strings and the seven-point rule, against tables written out here."""

from __future__ import annotations

import csv
import itertools
from collections import Counter

import pytest

from amfzoo import ConfigError, Schema, Task
from amfzoo.labels import (
    CHECKLIST,
    DERM7PT,
    MILK10K,
    REFER_ORIGINAL,
    REFER_REVISED,
    as_tasks,
    class_titles,
    criterion_bounds,
    criterion_points,
    same_classes,
    seven_point_score,
)

# task -> class -> (points, {raw string: cases of 1011})
TABLE: dict[str, dict[str, tuple[int, dict[str, int]]]] = {
    "diagnosis": {
        "BCC": (0, {"basal cell carcinoma": 42}),
        "NEV": (0, {"blue nevus": 28, "clark nevus": 399, "combined nevus": 13, "congenital nevus": 17,
                    "dermal nevus": 33, "recurrent nevus": 6, "reed or spitz nevus": 79}),
        "MEL": (0, {"melanoma": 1, "melanoma (in situ)": 64, "melanoma (less than 0.76 mm)": 102,
                    "melanoma (0.76 to 1.5 mm)": 53, "melanoma (more than 1.5 mm)": 28, "melanoma metastasis": 4}),
        "MISC": (0, {"dermatofibroma": 20, "lentigo": 24, "melanosis": 16, "miscellaneous": 8, "vascular lesion": 29}),
        "SK": (0, {"seborrheic keratosis": 45}),
    },
    "pigment_network": {
        "absent": (0, {"absent": 400}), "typical": (0, {"typical": 381}), "atypical": (2, {"atypical": 230}),
    },
    "blue_whitish_veil": {"absent": (0, {"absent": 816}), "present": (2, {"present": 195})},
    "vascular_structures": {
        "absent": (0, {"absent": 823}),
        "regular": (0, {"arborizing": 31, "comma": 23, "hairpin": 15, "within regression": 46, "wreath": 2}),
        "irregular": (2, {"dotted": 53, "linear irregular": 18}),
    },
    "pigmentation": {
        "absent": (0, {"absent": 588}),
        "regular": (0, {"diffuse regular": 115, "localized regular": 3}),
        "irregular": (1, {"diffuse irregular": 265, "localized irregular": 40}),
    },
    "streaks": {
        "absent": (0, {"absent": 653}), "regular": (0, {"regular": 107}), "irregular": (1, {"irregular": 251}),
    },
    "dots_and_globules": {
        "absent": (0, {"absent": 229}), "regular": (0, {"regular": 334}), "irregular": (1, {"irregular": 448}),
    },
    "regression_structures": {
        "absent": (0, {"absent": 758}), "present": (1, {"blue areas": 116, "white areas": 38, "combinations": 99}),
    },
}  # fmt: skip
CRITERIA = [task for task in TABLE if task != "diagnosis"]


# ------------------------------------------------------------------- grouping


def test_classes_and_their_order():
    assert DERM7PT.classes() == {task: tuple(classes) for task, classes in TABLE.items()}
    assert list(CHECKLIST) == CRITERIA
    assert sum(len(classes) for classes in TABLE.values()) == 24


@pytest.mark.parametrize("task", TABLE)
def test_raw_strings_fall_into_their_class(task):
    for label, (_, strings) in TABLE[task].items():
        for text in strings:
            assert DERM7PT.tasks[task].group(text) == label
            assert DERM7PT.tasks[task].group(f"  {text.upper()}\n") == label
        assert DERM7PT.tasks[task].group(label) == label  # a table may hold classes already
    known = {text for _, strings in TABLE[task].values() for text in strings}
    assert set(DERM7PT.tasks[task].raw) == known  # nothing else is accepted


def test_milk10k_classes():
    classes = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
    assert MILK10K.classes() == {"diagnosis": classes}
    assert set(class_titles(classes)) == set(classes) and class_titles(classes)["NV"] == "melanocytic nevus"
    assert class_titles(("NV", "MEL")) == {}


def test_unknown_string_names_the_nearest():
    with pytest.raises(ConfigError, match=r"'present'; known: absent, .*--label 'streaks=streaks:absent\|present'"):
        CHECKLIST["streaks"].group("present")  # which is the very contrary of what it is spelt most like
    with pytest.raises(ConfigError, match="pigmentation.*'diffuse iregular'; did you mean 'diffuse irregular'"):
        DERM7PT.tasks["pigmentation"].group("diffuse iregular")
    with pytest.raises(ConfigError, match="streaks.*'x'; known: absent, irregular, regular"):
        DERM7PT.tasks["streaks"].group("x")
    with pytest.raises(ConfigError, match="'xx'; known: AKIEC, BCC, .*, VASC$"):  # as they are called
        MILK10K.tasks["diagnosis"].group("xx")
    with pytest.raises(ConfigError, match="'BEN_OTT'; did you mean 'BEN_OTH'"):
        MILK10K.tasks["diagnosis"].group("BEN_OTT")


@pytest.mark.parametrize(
    "said", [("no", "yes"), ("FALSE", "TRUE"), ("0", "1"), ("0.0", "1.0"), ("Nein", "Ja"), ("FALSCH", "WAHR")]
)
def test_yes_and_no_are_present_and_absent_where_these_are_the_classes(said):
    for classes in (("absent", "present"), ("present", "absent")):
        assert [Task("veil", classes).group(text) for text in said] == ["absent", "present"]
    graded = CHECKLIST["streaks"]
    for text in said:  # regular or irregular?
        with pytest.raises(ConfigError, match=r"unknown label .*--label 'streaks=streaks:absent\|present'"):
            graded.group(text)
        with pytest.raises(ConfigError, match="unknown label"):
            Task("sex", ("male", "female")).group(text)
    assert Task("grade", ("0", "1")).group("1") == "1"


# ----------------------------------------------------------- seven-point rule


@pytest.mark.parametrize("task", CRITERIA)
def test_points(task):
    points = {label: value for label, (value, _) in TABLE[task].items()}
    assert criterion_points(task, points) == points
    assert criterion_points(task, reversed(list(points))) == points


@pytest.mark.parametrize(
    "task, classes",
    [
        ("pigment_network", ("absent", "present")),
        ("streaks", ("absent", "irregular")),
        ("colour", ("absent", "present")),
    ],
)
def test_coarser_or_other_classes_have_no_points(task, classes):
    assert criterion_points(task, classes) is None


@pytest.mark.parametrize(
    "task, bounds",
    [
        ("streaks", {"absent": (0, 0), "regular": (0, 0), "irregular": (1, 1)}),
        ("streaks", {"absent": (0, 0), "irregular": (0, 1)}),  # what was regular may be among them
        ("pigment_network", {"absent": (0, 0), "present": (0, 2)}),
        ("blue_whitish_veil", {"absent": (0, 0), "present": (2, 2)}),
    ],
)
def test_bounds_are_points_where_the_classes_are_those_of_the_rule(task, bounds):
    assert criterion_bounds(task, bounds) == bounds


def test_score_of_every_combination():
    scores = Counter()
    for labels in itertools.product(*(TABLE[task] for task in CRITERIA)):
        expected = sum(TABLE[task][label][0] for task, label in zip(CRITERIA, labels))
        assert seven_point_score(dict(zip(CRITERIA, labels))) == expected
        scores[expected] += 1
    assert min(scores) == 0 and max(scores) == 10 and sum(scores.values()) == 3**5 * 2**2


def test_score_needs_every_criterion():
    findings = dict.fromkeys(CRITERIA, "absent")
    assert seven_point_score({**findings, "diagnosis": "MEL"}) == 0
    with pytest.raises(ConfigError, match="'streaks'.*'present'; known: absent, regular, irregular"):
        seven_point_score({**findings, "streaks": "present"})
    del findings["pigmentation"], findings["streaks"]
    with pytest.raises(ConfigError, match="missing: pigmentation, streaks"):
        seven_point_score(findings)


@pytest.fixture
def cases(shared) -> list[dict[str, str]]:
    with open(shared / "data" / "derm7pt_labels" / "meta.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("task", TABLE)
def test_counts_of_the_real_table(cases, task):
    strings = Counter(case[task] for case in cases)
    assert strings == {text: n for _, counts in TABLE[task].values() for text, n in counts.items()}
    found = Counter(DERM7PT.tasks[task].group(case[task]) for case in cases)
    assert found == {label: sum(strings.values()) for label, (_, strings) in TABLE[task].items()}


@pytest.mark.parametrize("threshold, expected", [(REFER_ORIGINAL, (0.929, 0.822)), (REFER_REVISED, (0.992, 0.407))])
def test_score_finds_melanoma_as_published(cases, threshold, expected):
    hits: dict[bool, list[bool]] = {True: [], False: []}
    for case in cases:
        score = seven_point_score({task: CHECKLIST[task].group(case[task]) for task in CRITERIA})
        hits[DERM7PT.tasks["diagnosis"].group(case["diagnosis"]) == "MEL"].append(score >= threshold)
    assert len(hits[True]) == 252 and len(hits[False]) == 759
    sensitivity = sum(hits[True]) / len(hits[True])
    specificity = 1 - sum(hits[False]) / len(hits[False])
    assert (round(sensitivity, 3), round(specificity, 3)) == expected


# ---------------------------------------------------------------- own schemas


def test_own_schema():
    task = Task("grade", ("low", "high"), raw={"Grade I": "low", " grade iii ": "high"}, titles={"low": "low grade"})
    assert [task.group(text) for text in ("grade i", "GRADE III", "High")] == ["low", "high", "high"]
    schema = Schema("mine", {"grade": task})
    assert schema.classes() == as_tasks(schema) == as_tasks({"grade": ["low", "high"]}) == {"grade": ("low", "high")}


def test_accents_and_blanks_may_be_stored_in_several_ways():
    task = Task("diagnosis", ("N\u00e4vus", "seborrheic keratosis"), raw={"Na\u0308vuszellen": "N\u00e4vus"})
    assert {task.group(text) for text in ("Na\u0308vus", "n\u00c4VUS ", "n\u00e4vuszellen")} == {"N\u00e4vus"}
    assert task.group("Seborrheic\u00a0 keratosis") == "seborrheic keratosis"


def test_classes_that_differ_in_case_alone():
    task = Task("allele", ("A", "a"))
    assert task.group("A") == "A" and task.group("a") == "a"


def test_the_same_classes_of_two_lists():
    assert same_classes(("mel", "NV", "scc"), ("NV", "MEL", "SCCKA")) == {"mel": "MEL", "NV": "NV"}
    assert same_classes(("nv", "NV", "mel"), ("NV", "MEL", "Mel")) == {"NV": "NV"}  # the others may be either
    assert same_classes(("Mel",), ("MEL", "Mel")) == {"Mel": "Mel"}
    assert same_classes((), ("NV",)) == {}


def test_known_schemas_by_name():
    assert as_tasks("derm7pt") == DERM7PT.classes() and as_tasks("milk10k") == MILK10K.classes()
    with pytest.raises(ConfigError, match="'ham10000'; known: derm7pt, milk10k"):
        as_tasks("ham10000")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Task("t", ("a",)), "at least two classes"),
        (lambda: Task("t", ("a", "b", "a")), "repeats a class"),
        (lambda: Task("t", "ab"), "not the string 'ab'"),
        (lambda: Task("t", ("a", "")), "non-empty strings"),
        (lambda: Task("t", ("a", 1)), "non-empty strings"),
        (lambda: Task("t", ("a", "b"), raw={"x": "c"}), "raw names 'c'"),
        (lambda: Task("t", ("a", "b"), points={"c": 1}), "points names 'c'"),
        (lambda: Task("t", ("a", "b"), titles={"c": "see"}), "titles names 'c'"),
        (lambda: as_tasks({}), "non-empty mapping"),
        (lambda: as_tasks(["a", "b"]), "non-empty mapping"),
        (lambda: as_tasks({"a.b": ("x", "y")}), "without a dot"),
        (lambda: as_tasks({"": ("x", "y")}), "without a dot"),
        (lambda: as_tasks({3: ("x", "y")}), "without a dot"),
        (lambda: as_tasks({"t": ("x",)}), "'t' needs at least two"),
        (lambda: as_tasks({"t": 7}), "'t': classes must be a list of names, not 7"),
    ],
)
def test_bad_schemas_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_schema_of_bare_classes_is_refused():
    with pytest.raises(
        ConfigError, match=r"schema 'mine': 'diagnosis' must be a Task, e.g. Task\('diagnosis', classes\)"
    ):
        Schema("mine", {"diagnosis": ("a", "b")})
