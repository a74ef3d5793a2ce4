"""Records: what says nothing is left out, what is wrong is refused; sets and their joins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
