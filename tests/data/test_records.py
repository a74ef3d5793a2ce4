"""Records: what says nothing is left out, what is wrong is refused; sets and their joins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from amfzoo.data.faults import Fault
from amfzoo.data.records import Lesion, LesionSet, concat, evenly_spaced, join
from amfzoo.errors import ConfigError

TASKS = {"diagnosis": ("nv", "mel")}


def test_equal_knowledge_gives_equal_records():
    plain = Lesion("1", labels={"diagnosis": "nv"}, metadata={"age": "70"})
    assert Lesion("1", labels={"diagnosis": ("nv",), "streaks": ()}, metadata={"age": " 70 ", "sex": " "}) == plain
    assert Lesion("1", labels={"diagnosis": ("nv", "mel", "nv")}).candidates("diagnosis") == ("nv", "mel")
    assert plain.candidates("diagnosis") == ("nv",) and plain.candidates("streaks") == ()


def test_images_and_group():
    lesion = Lesion("1", dermoscopy=Path("d.jpg"))
    assert lesion.images == {"dermoscopy": Path("d.jpg")} and lesion.group == "lesion:1"
    both = Lesion("1", Path("c.jpg"), Path("d.jpg"), patient="1")
    assert (
        list(both.images.items()) == [("clinical", Path("c.jpg")), ("dermoscopy", Path("d.jpg"))]
        and both.group == "patient:1"
    )


@pytest.mark.parametrize("missing", [None, "", "  ", float("nan"), "nan", "None", "null"])
def test_a_patient_that_is_none(missing):
    assert Lesion("1", patient=missing).patient is None and Lesion("1", patient=missing).group == "lesion:1"
    assert Lesion("1", patient=17).patient == "17"


class PandasNA:
    """As pandas.NA: without a truth value, and equal to nothing that could be told."""

    def __repr__(self):
        return "<NA>"

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    def __eq__(self, other):
        return self

    __hash__ = None


NOTHING = [None, float("nan"), np.float32("nan"), np.datetime64("NaT"), PandasNA()]


@pytest.mark.parametrize("missing", NOTHING)
def test_what_a_data_frame_has_for_nothing_is_left_out(missing):
    lesion = Lesion(
        "1", missing, missing, labels={"diagnosis": missing, "streaks": ("a", missing)}, patient=missing, split=missing,
        metadata={"age": missing, "sex": "f"},
    )  # fmt: skip
    assert lesion == Lesion("1", labels={"streaks": "a"}, metadata={"sex": "f"}) and not lesion.images
    with pytest.raises(ConfigError, match="the id of a lesion is .*; give every lesion a name"):
        Lesion(missing)


@pytest.mark.parametrize("text", ["NA", "nan", "None"])
def test_a_text_says_something_where_it_is_no_cell(text):
    found = Lesion(text, labels={"diagnosis": text}, metadata={"arm": text})
    assert (found.id, found.labels, found.metadata) == (text, {"diagnosis": text}, {"arm": text})


@pytest.mark.parametrize("text", ["", " ", "NA", "nan"])
def test_texts_that_name_no_image(text):
    lesion = Lesion("1", text, "d.jpg", split="")
    assert lesion.images == {"dermoscopy": Path("d.jpg")} and lesion.split is None


@pytest.mark.parametrize("number", [1, 1.0, np.int64(1), np.float32(1)])
def test_numbers_are_what_a_table_would_say(number):
    lesion = Lesion(number, "c.jpg", labels={"d": number, "e": [number, "2"]}, patient=number, metadata={"n": number})
    assert lesion == Lesion(
        "1", Path("c.jpg"), labels={"d": "1", "e": ("1", "2")}, patient="1", metadata={"n": "1"}
    ) and isinstance(lesion.id, str)
    assert Lesion("1", metadata={"age": 30.5}).metadata == {"age": "30.5"}
    assert LesionSet("x", (lesion,), {"d": ("0", "1"), "e": ("1", "2")}).counts("d") == {"0": 0, "1": 1}


def test_truth_values_are_classes_as_in_a_table_of_them():
    assert Lesion("1", labels={"d": True, "e": np.bool_(False)}).labels == {"d": "True", "e": "False"}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"labels": {"d": 0.5}}, "lesion 'L7': the label of task 'd' is 0.5; give a class name"),
        ({"labels": {"d": ("a", 0.5)}}, "lesion 'L7': the label of task 'd' is 0.5"),
        ({"labels": {"d": float("inf")}}, "lesion 'L7': the label of task 'd' is inf"),
        ({"labels": {"d": b"nv"}}, "lesion 'L7': the label of task 'd' is b'nv'"),
        ({"labels": {"d": {"nv": 0.9}}}, "lesion 'L7': the label of task 'd' is {'nv': 0.9}"),
        ({"clinical": 3}, "lesion 'L7': clinical is 3; give the path of an image file, or None"),
        ({"dermoscopy": ["d.jpg"]}, r"lesion 'L7': dermoscopy is \['d.jpg'\]"),
    ],
)
def test_values_that_are_no_class_or_path(facts, message):
    with pytest.raises(ConfigError, match=message):
        Lesion("L7", **facts)


def test_counts_splits_and_selection():
    lesions = LesionSet(
        "x",
        (
            Lesion("1", labels={"diagnosis": "nv"}, split="train"),
            Lesion("2", labels={"diagnosis": ("nv", "mel")}, split="train"),
            Lesion("3", labels={"diagnosis": "mel"}),
        ),
        TASKS,
        hints={"border": 0.05},
    )
    assert lesions.counts("diagnosis") == {"nv": 1, "mel": 1}
    train = lesions.split("train")
    assert [lesion.id for lesion in train] == ["1", "2"] and train.hints == {"border": 0.05}
    with pytest.raises(ConfigError, match="unknown split 'val'"):
        lesions.split("val")
    with pytest.raises(ConfigError, match="no task 'dx'; known: diagnosis"):
        lesions.counts("dx")


@pytest.mark.parametrize(
    ("lesions", "message"),
    [
        ((Lesion("1"), Lesion("1")), "repeated: 1"),
        ((Lesion("1", labels={"dx": "nv"}),), "no task 'dx'"),
        ((Lesion("1", labels={"diagnosis": ("nv", "bcc")}),), "has no class 'bcc'"),
    ],
)
def test_faulty_sets(lesions, message):
    with pytest.raises(ConfigError, match=message):
        LesionSet("x", lesions, TASKS)


def test_a_faulty_split():
    with pytest.raises(ConfigError, match="split 'val' must be one of train, valid, test"):
        Lesion("1", split="val")


def test_concat_keeps_names_apart_and_faults():
    one = LesionSet(
        "one", (Lesion("1", patient="P"),), TASKS, (Fault("bad-row", "m", ("1",)),), {"border": 0.05, "x": 1}
    )
    other = LesionSet("other", (Lesion("1", patient="P"),), {"streaks": ("absent", "present")}, hints={"x": 1})
    joined = concat([one, other])
    assert [(lesion.id, lesion.patient) for lesion in joined] == [("one/1", "one/P"), ("other/1", "other/P")]
    assert set(joined.tasks) == {"diagnosis", "streaks"}
    assert joined.faults == (Fault("bad-row", "m", ("one/1",)),)
    assert joined.hints == {"x": 1}  # a border for one source is none for the other
    assert len(concat([])) == 0


def test_concat_warns_of_patients_in_several_sources(caplog):
    one, other, third = (
        LesionSet(name, (Lesion("x", patient=patient),), TASKS)
        for name, patient in (("a", "p1"), ("b", "p1"), ("c", None))
    )
    concat([one, third])
    assert not caplog.records
    assert [lesion.patient for lesion in concat([one, other])] == ["a/p1", "b/p1"]
    assert "1 patient ids (p1) occur in several sources" in caplog.text and "into one table" in caplog.text


def test_concat_refuses_other_classes():
    with pytest.raises(ConfigError, match="task 'diagnosis' has the classes .*amfzoo data export"):
        concat([LesionSet("a", (), TASKS), LesionSet("b", (), {"diagnosis": ("mel", "nv")})])
    few, all_three = (
        LesionSet(name, (), {"dx": classes}) for name, classes in (("a", ("b", "c")), ("b", ("a", "b", "c")))
    )
    for sets in ([few, all_three], [all_three, few]):
        with pytest.raises(ConfigError, match=r"--label 'dx=dx:a\|b\|c'"):  # what lacks a class may be told of it
            concat(sets)


def test_join_numbers_sources_of_the_same_name():
    one = LesionSet("one", (Lesion("1"),), TASKS)
    assert join([one]) is one
    assert [lesion.id for lesion in join([one, one])] == ["one-0/1", "one-1/1"]


def test_reading_checking_and_splitting_load_no_torch():
    code = (
        "import sys, amfzoo.cli.data, amfzoo.data.checking.check, amfzoo.data.export, amfzoo.data.split\n"
        "from amfzoo.data.sources import READERS\n"
        "[reader.load() for reader in READERS.values()]\n"
        "sys.exit(','.join({'torch', 'sklearn', 'pandas'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("count", "places"), [(0, []), (1, [0]), (3, [0, 3, 6]), (7, [0, 1, 2, 4, 5, 7, 8]), (20, range(10))]
)
def test_evenly_spaced(count, places):
    lesions = [Lesion(str(i)) for i in range(10)]
    assert [lesion.id for lesion in evenly_spaced(lesions, count)] == [str(i) for i in places]
    assert evenly_spaced([], count) == ()
