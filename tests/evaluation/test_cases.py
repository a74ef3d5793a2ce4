"""The table of predictions: what it refuses, and that its file gives it back."""

from __future__ import annotations

import numpy as np
import pytest
from evaluation_cases import CLASSES, make

from amfzoo.data.records import Lesion
from amfzoo.errors import ConfigError, TableError
from amfzoo.evaluation import Cases
from amfzoo.inference import Prediction

TABLE = "lesion_id,diagnosis,diagnosis:MEL,diagnosis:NV\na,MEL,0.7,0.3\nb,,0.2,0.8\n"


def read(tmp_path, text: str, name: str = "table.csv") -> Cases:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return Cases.read(path)


def test_file_gives_the_cases_back(tmp_path):
    hostile = ('a,"b', "ü\nx", "c;d")
    cases = make(
        3, classes=('<b>"', "x,y", "z z"), groups=["patient:p,1", "patient:p,1", "lesion:c;d"], splits=["train", "", "test"],
        metadata={"sex": ["f", "", "m"], "a:b": ["1", "2", '"']}, mode="clinical", model="amf <small>",
    )  # fmt: skip
    cases = Cases(**{**vars(cases), "ids": hostile, "labels": {"diagnosis": np.array([2, -1, 0])}})
    cases.write(tmp_path / "t.csv")
    back = Cases.read(tmp_path / "t.csv")
    for name in ("ids", "tasks", "groups", "splits", "metadata", "mode", "model"):
        assert getattr(back, name) == getattr(cases, name), name
    assert (back.labels["diagnosis"] == [2, -1, 0]).all()
    np.testing.assert_allclose(back.probabilities["diagnosis"], cases.probabilities["diagnosis"], rtol=3e-8)
    assert not list(tmp_path.glob("*.partial"))


def test_names_of_classes_with_commas_do_not_hide_semicolons(tmp_path):
    """As a spreadsheet writes it that separates by semicolons, and so puts no quotation marks around commas."""
    cases = read(tmp_path, "lesion_id;d;d:common, flat, small;d:other, or more, of it\na;common, flat, small;0.7;0.3\n")
    assert cases.tasks == {"d": ("common, flat, small", "other, or more, of it")} and cases.labels["d"].tolist() == [0]


def test_columns_without_a_name_are_left_out(tmp_path):
    """Spreadsheets go on writing columns that were emptied."""
    cases = read(tmp_path, ";lesion_id;d;d:a;d:b;sex;;\n0;x;a;0.7;0.3;f;;\n")
    assert cases.ids == ("x",) and cases.metadata == {"sex": ("f",)}


def test_plain_table(tmp_path):
    cases = read(tmp_path, TABLE)
    assert cases.ids == ("a", "b") and cases.mode == "both" and cases.groups == ("lesion:a", "lesion:b")
    assert cases.labels["diagnosis"].tolist() == [0, -1] and cases.known("diagnosis").tolist() == [True, False]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: "\ufeff" + t,
        lambda t: t.replace(",", ";"),
        lambda t: t.replace(",", "\t"),
        lambda t: "sep=;\n" + t.replace(",", ";"),
        lambda t: "\ufeffsep=,\r\n" + t.replace("\n", "\r\n"),
        lambda t: t.replace("\n", "\r\n"),
        lambda t: t + "\n\n",
        lambda t: t.rstrip("\n"),
    ],
)
def test_other_spellings_of_a_table(tmp_path, change):
    assert read(tmp_path, change(TABLE)).probabilities["diagnosis"].tolist() == [[0.7, 0.3], [0.2, 0.8]]


def test_a_table_in_utf_16_is_read_by_its_mark(tmp_path):
    """What Excel calls Unicode text: little endian, tabs."""
    (tmp_path / "table.csv").write_bytes(
        TABLE.replace("a,", "\u00e4,").replace(",", "\t").replace("\n", "\r\n").encode("utf-16")
    )
    cases = Cases.read(tmp_path / "table.csv")
    assert cases.ids == ("\u00e4", "b") and cases.probabilities["diagnosis"].tolist() == [[0.7, 0.3], [0.2, 0.8]]


def test_columns_of_other_names_are_metadata(tmp_path):
    text = "lesion_id,sex,metadata:age,diagnosis,diagnosis:MEL,diagnosis:NV,patient\na,f,71,MEL,1,0,p1\nb,,,NV,0,1,\n"
    cases = read(tmp_path, text)
    assert cases.metadata == {"sex": ("f", ""), "age": ("71", "")}
    assert cases.groups == ("patient:p1", "lesion:b")


def test_what_programs_write_for_nothing_is_nothing(tmp_path):
    text = (
        "lesion_id,sex,split,diagnosis,diagnosis:MEL,diagnosis:NV,patient\na,NA,NA,NA,1,0,NA\nb,nan,test,NV,0,1,None\n"
    )
    cases = read(tmp_path, text)
    assert cases.metadata == {"sex": ("", "")} and cases.splits == ("", "test")
    assert cases.groups == ("lesion:a", "lesion:b")  # not one patient called NA
    assert cases.labels["diagnosis"].tolist() == [-1, 1]


def test_a_class_may_be_called_like_nothing(tmp_path):
    cases = read(tmp_path, TABLE.replace("MEL", "NA"))
    assert cases.labels["diagnosis"].tolist() == [0, -1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows"),
        ("lesion_id,diagnosis,diagnosis:MEL,diagnosis:NV\n", "no rows"),
        (TABLE.replace("lesion_id", "id"), "no column 'lesion_id'"),
        (TABLE.replace(",diagnosis,", ",other,"), "no column 'diagnosis'"),
        ("lesion_id,diagnosis\na,MEL\n", "no probabilities"),
        ("lesion_id,diagnosis,diagnosis:MEL\na,MEL,1\n", "at least two classes"),
        (TABLE.replace("a,MEL", "a,mel"), "diagnosis is 'mel'"),
        (TABLE.replace("0.7", "0,7"), "row 1: 5 cells"),
        (TABLE.replace("0.7", "70%"), "'a'.*'70%' is not a number"),
        (TABLE.replace("0.7", ""), "'a'.*diagnosis:MEL is empty"),
        (TABLE.replace("0.7", "nan"), "'a'.*not probabilities"),
        (TABLE.replace("0.7", "-0.7"), "'a'.*not probabilities"),
        (TABLE.replace("0.7", "0.9"), "'a'.*sum to 1.2"),
        (TABLE.replace("b,", "a,"), "'a' comes twice"),
        (TABLE.replace("b,", ",", 1), "lesion_id is empty"),
        (TABLE.replace("diagnosis:NV", "diagnosis:MEL"), "'diagnosis:MEL' twice"),
        (TABLE.replace("\na", '\n"a'), "unpaired quotation mark"),
        ("mode," + TABLE.replace("a,MEL", "both,a,MEL").replace("b,,", "clinical,b,,"), "several values"),
        (
            TABLE.replace("lesion_id,", "lesion_id,sex,metadata:sex,").replace("a,", "a,f,m,"),
            "'sex' and 'metadata:sex'",
        ),
        ("mode," + TABLE.replace("a,MEL", "x,a,MEL").replace("b,,", "x,b,,"), "mode 'x'"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    with pytest.raises(TableError, match=message) as error:
        read(tmp_path, text)
    assert "table.csv" in str(error.value)


@pytest.mark.parametrize("prefix", ["", "amf_"])
def test_answers_of_predict_are_not_taken_for_truth(tmp_path, prefix):
    columns = ("diagnosis", "diagnosis:MEL", "diagnosis:NV", "missing", "error")
    text = f"lesion_id,{','.join(prefix + name for name in columns)}\na,MEL,0.7,0.3,,\n"
    with pytest.raises(TableError, match="predicted class, not the true one"):
        read(tmp_path, text)


def test_tasks_and_metadata_called_like_the_columns_of_answers_are_no_answers(tmp_path):
    rows = np.eye(2)[[0, 1, 0]]
    for names in (("missing", "error"), ("hair missing", "hair error")):
        labels = {task: np.array([0, 1, 0]) for task in names}
        cases = Cases(list("abc"), dict.fromkeys(names, ("no", "yes")), labels, dict.fromkeys(names, rows))
        cases.write(tmp_path / "t.csv")
        assert Cases.read(tmp_path / "t.csv").tasks == cases.tasks
    cases = make(3, metadata={"missing": ["clinical", "", ""], "error": ["", "", ""]})
    cases.write(tmp_path / "t.csv")
    assert Cases.read(tmp_path / "t.csv").metadata == cases.metadata


def test_unreadable_files(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        Cases.read(tmp_path / "none.csv")
    (tmp_path / "latin.csv").write_bytes(TABLE.replace("a,", "\xe9,").encode("latin-1"))
    with pytest.raises(TableError, match="not UTF-8"):
        Cases.read(tmp_path / "latin.csv")
    with pytest.raises(TableError, match="cannot be written"):
        make(3).write(tmp_path / "no" / "folder.csv")


def test_from_predictions_takes_partial_and_foreign_labels_as_unknown():
    tasks = {"diagnosis": CLASSES, "streaks": ("absent", "present")}
    labels = [{"diagnosis": "MEL", "streaks": ("absent", "present")}, {"diagnosis": "VASC"}, {"diagnosis": ("NV",)}]
    lesions = [
        Lesion(str(i), labels=label, patient="p" if i else None, metadata={"sex": "f"} if i else {})
        for i, label in enumerate(labels)
    ]
    answer = Prediction(
        {"diagnosis": dict(zip(CLASSES, (0.2, 0.5, 0.3))), "streaks": {"present": 0.9, "absent": 0.1}}, model="m"
    )
    cases = Cases.from_predictions(lesions, [answer] * 3, tasks, mode="clinical")
    assert cases.labels["diagnosis"].tolist() == [1, -1, 2] and cases.labels["streaks"].tolist() == [-1, -1, -1]
    assert cases.probabilities["streaks"][0].tolist() == [0.1, 0.9]  # by name, not by order
    assert cases.groups == ("lesion:0", "patient:p", "patient:p") and cases.metadata == {"sex": ("", "f", "f")}
    assert (cases.mode, cases.model) == ("clinical", "m")


def test_no_rows_can_be_selected():
    """As a list comprehension gives where nothing is found."""
    assert len(make(5).select([])) == 0


def test_what_is_called_goes_with_the_cases(tmp_path):
    """From the answers, one of which lacks dermoscopy, through a file, a selection and another order of classes."""
    tasks = {"streaks": ("absent", "present"), "diagnosis": CLASSES}
    rows = {"streaks": {"absent": 0.8, "present": 0.2}, "diagnosis": dict(zip(CLASSES, (0.2, 0.5, 0.3)))}
    points = {"streaks": {"present": 0.1}}
    answers = [Prediction(rows, missing=missing, operating_points=points) for missing in ((), ("dermoscopy",), ())]
    lesions = [Lesion(str(i), labels={"streaks": "present"}) for i in range(3)]
    cases = Cases.from_predictions(lesions, answers, tasks)
    assert {task: indices.tolist() for task, indices in cases.called.items()} == {"streaks": [1, 0, 1]}
    cases.write(tmp_path / "cases.csv")
    again = Cases.read(tmp_path / "cases.csv")
    assert {task: indices.tolist() for task, indices in again.called.items()} == {"streaks": [1, 0, 1]}
    assert not again.metadata and again.select(np.array([1, 2])).called["streaks"].tolist() == [0, 1]
    turned = Cases(
        again.ids,
        {**tasks, "streaks": ("present", "absent")},
        {**again.labels, "streaks": 1 - again.labels["streaks"]},
        {**again.probabilities, "streaks": again.probabilities["streaks"][:, ::-1]},
    )
    assert turned.aligned(again).called["streaks"].tolist() == [0, 1, 0]
    text = (tmp_path / "cases.csv").read_text()
    (tmp_path / "cases.csv").write_text(text.replace(",absent,", ",perhaps,", 1))
    with pytest.raises(TableError, match="lesion '1'.* streaks called is 'perhaps'|streaks called is 'perhaps'"):
        Cases.read(tmp_path / "cases.csv")
    with pytest.raises(ConfigError, match="no task 'veil'"):
        Cases(again.ids, tasks, again.labels, again.probabilities, called={"veil": np.zeros(3, int)})
    with pytest.raises(ConfigError, match="no class has the index -1"):
        Cases(again.ids, tasks, again.labels, again.probabilities, called={"streaks": np.full(3, -1)})


def test_aligned_matches_by_id_and_refuses_other_cases():
    first, order = make(10), np.random.default_rng(0).permutation(10)
    back = first.aligned(first.select(order))
    assert back.ids == first.ids and (back.probabilities["diagnosis"] == first.probabilities["diagnosis"]).all()
    with pytest.raises(ConfigError, match="1 are only in the first.*'L9'"):
        first.aligned(first.select(np.arange(9)))
    with pytest.raises(ConfigError, match="9 that both have say --common"):
        first.aligned(first.select(np.arange(9)))
    with pytest.raises(ConfigError, match="and none is in both"):
        first.select(np.arange(4)).aligned(first.select(np.arange(4, 10)))
    with pytest.raises(ConfigError, match="lesion 'L0' differs.*it is 'BCC' in the first and 'NV' in the second"):
        first.aligned(Cases(**{**vars(first), "labels": {"diagnosis": np.r_[2, first.labels["diagnosis"][1:]]}}))


def test_aligned_says_of_a_class_that_it_is_unknown_in_one_and_known_in_the_other():
    first = make(10)
    labels = np.where(np.arange(10) == 2, -1, first.labels["diagnosis"])
    other = Cases(**{**vars(first), "labels": {"diagnosis": labels}})
    with pytest.raises(ConfigError, match="lesion 'L2' differs.*it is 'NV' in the first and unknown in the second"):
        first.aligned(other)
    with pytest.raises(ConfigError, match="it is unknown in the first and 'NV' in the second; both"):
        other.aligned(first)


def test_common_gives_what_both_have_and_refuses_if_that_is_nothing():
    first, second = make(10).common(make(12, 1).select(np.arange(11, 3, -1)))
    assert first.ids == tuple(f"L{i}" for i in range(4, 10)) and second.ids == first.ids[::-1]
    with pytest.raises(ConfigError, match="none of the 4 lesions of the first is among the 6 of .*'L0', 'L4'"):
        make(4).common(make(10).select(np.arange(4, 10)))


def test_split():
    cases = make(3, splits=["train", "valid", "train"])
    assert cases.split("train").ids == ("L0", "L2")
    with pytest.raises(ConfigError, match="splits of these cases: train, valid"):
        cases.split("test")


def test_a_selection_keeps_the_probabilities_bit_by_bit():
    cases = make(200)
    again = cases.select(np.arange(200)).select(np.arange(200))
    assert (again.probabilities["diagnosis"] == cases.probabilities["diagnosis"]).all()
    rounded = Cases(**{**vars(cases), "probabilities": {"diagnosis": cases.probabilities["diagnosis"].round(3)}})
    np.testing.assert_allclose(rounded.probabilities["diagnosis"].sum(1), 1, atol=1e-14)


@pytest.mark.parametrize("columns", ["patient,patient_id", "patient_id,patient"])
def test_the_patient_is_in_whichever_column_has_one(tmp_path, columns):
    head = f"lesion_id,{columns},diagnosis,diagnosis:MEL,diagnosis:NV\n"
    cases = read(tmp_path, head + "a,,7,MEL,0.7,0.3\nb,7,,,0.2,0.8\nc,NA,,NV,0.2,0.8\nd,8,8,NV,0.2,0.8\n")
    assert cases.groups == ("patient:7", "patient:7", "lesion:c", "patient:8") and cases.has_patients
    with pytest.raises(TableError, match="lesion 'a': patient is .* and patient_id is"):
        read(tmp_path, head + "a,6,7,MEL,0.7,0.3\n")


def test_columns_with_a_colon_that_are_no_probabilities_are_metadata(tmp_path):
    cases = read(tmp_path, "Unnamed: 0,time: s," + TABLE.replace("\n", "\n0,1,").removesuffix("0,1,"))
    assert list(cases.tasks) == ["diagnosis"] and cases.metadata == {"Unnamed:0": ("0", "0"), "time:s": ("1", "1")}
    with pytest.raises(TableError, match="no column 'streaks'"):  # a task whose truth was forgotten
        read(tmp_path, TABLE.replace("NV\n", "NV,streaks:a,streaks:b\n"))


def test_blanks_candidates_and_other_names_of_splits(tmp_path):
    text = "lesion_id,split,diagnosis, diagnosis: MEL ,diagnosis: NV\na,val,MEL,0.7,0.3\nb,Validation,NV | MEL,0.2,0.8\nc,train,NV,0.2,0.8\n"
    cases = read(tmp_path, text)
    assert cases.tasks == {"diagnosis": ("MEL", "NV")} and cases.splits == ("valid", "valid", "train")
    assert cases.labels["diagnosis"].tolist() == [0, -1, 1]
    with pytest.raises(TableError, match="XX"):
        read(tmp_path, TABLE.replace("b,,", "b,NV|XX,"))


def test_probabilities_of_two_decimals(tmp_path):
    rounded = [[0.34, 0.34, 0.34], [0.33, 0.33, 0.32], [1.01, 0.0, 0.0]]
    cases = Cases(list("abc"), {"d": ("x", "y", "z")}, {"d": np.array([0, 1, 0])}, {"d": np.array(rounded)})
    np.testing.assert_allclose(cases.probabilities["d"].sum(1), 1)
    many = np.random.default_rng(0).dirichlet(np.ones(11), 500).round(2)
    cases = Cases(list(map(str, range(500))), {"d": tuple("abcdefghijk")}, {"d": np.zeros(500, int)}, {"d": many})
    np.testing.assert_allclose(cases.probabilities["d"], many / many.sum(1, keepdims=True))
    with pytest.raises(ConfigError, match="softmax, not sigmoid"):
        Cases(["a"], {"d": ("x", "y")}, {"d": np.array([0])}, {"d": np.array([[0.6, 0.43]])})
