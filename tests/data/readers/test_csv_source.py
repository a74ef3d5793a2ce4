"""CSV tables: columns, paths, labels, and what is said of faulty rows."""

from __future__ import annotations

import re
import sys

import pytest

from amfzoo.data.readers.csv_source import read_csv
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST, Task


def write(folder, text, encoding="utf-8", name="lesions.csv"):
    file = folder / name
    file.write_bytes(text.encode(encoding))
    return file


def one(folder, text, **options):
    (lesion,) = read_csv(write(folder, text), **options)
    return lesion


def test_default_columns(tmp_path):
    lesion = one(tmp_path, "lesion_id,clinical,dermoscopy,patient_id,split,age\nL1,a/c.jpg,../d.png,P1,valid,70\n")
    assert lesion.id == "L1" and lesion.patient == "P1" and lesion.split == "valid"
    assert lesion.clinical == tmp_path / "a" / "c.jpg"
    assert lesion.dermoscopy == tmp_path.parent / "d.png"
    assert lesion.metadata == {"age": "70"} and lesion.labels == {}


def test_default_columns_in_another_spelling(tmp_path):
    lesion = one(tmp_path, "Lesion-ID,Clinical,DERMOSCOPY,Patient ID,Split,clinic\nL1,c.jpg,d.png,P1,valid,A\n")
    assert (lesion.id, lesion.patient, lesion.split, lesion.metadata) == ("L1", "P1", "valid", {"clinic": "A"})
    assert lesion.images == {"clinical": tmp_path / "c.jpg", "dermoscopy": tmp_path / "d.png"}
    exact = one(tmp_path, "clinical,Clinical\nc.jpg,notes\n")
    assert exact.clinical == tmp_path / "c.jpg" and exact.metadata == {"Clinical": "notes"}
    with pytest.raises(ConfigError, match="'Clinical', 'CLINICAL' may each be the clinical"):
        one(tmp_path, "Clinical,CLINICAL\nc.jpg,d.jpg\n")


def test_blanks_around_a_name_are_its_own_if_only_such_a_file_is_there(tmp_path):
    for name in ("d.jpg ", "both.jpg ", "both.jpg"):
        (tmp_path / name).touch()
    assert one(tmp_path, "clinical,dermoscopy\nboth.jpg ,d.jpg \n").images == {
        "clinical": tmp_path / "both.jpg",
        "dermoscopy": tmp_path / "d.jpg ",
    }


def test_named_columns_and_the_rest_as_metadata(tmp_path):
    text = "case,photo,scope,person,part,dx,age\nL1,c.jpg,d.jpg,P1,Val,nevus,70\nL2,,d2.jpg,,TRAIN,mel,\n"
    lesions = read_csv(
        write(tmp_path, text),
        clinical="photo",
        dermoscopy="scope",
        id="case",
        patient="person",
        split="part",
        labels={"diagnosis": "dx"},
    )
    first, second = lesions
    assert (first.id, first.patient, first.split, first.labels) == ("L1", "P1", "valid", {"diagnosis": "nevus"})
    assert second.clinical is None and second.patient is None and second.split == "train"
    assert first.metadata == {"age": "70"} and second.metadata == {}
    assert lesions.tasks == {"diagnosis": ("mel", "nevus")}


def test_rows_are_numbered_without_an_id_column(tmp_path):
    lesions = read_csv(write(tmp_path, "clinical\na.jpg\n\nb.jpg\n"))
    assert [lesion.id for lesion in lesions] == ["1", "2"]
    assert [lesion.dermoscopy for lesion in lesions] == [None, None]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_encodings(tmp_path, delimiter, encoding):
    rows = ["id", "dermoscopy", "site"], ["Ä1", "d.jpg", "Rücken"]
    file = write(tmp_path, "\r\n".join(delimiter.join(row) for row in rows), encoding)
    (lesion,) = read_csv(file)
    assert lesion.id == "Ä1" and lesion.metadata == {"site": "Rücken"}


def test_classes_with_commas_do_not_hide_semicolons(tmp_path):
    """As a spreadsheet writes it that separates by semicolons, and so puts no quotation marks around commas."""
    (lesion,) = read_csv(
        write(tmp_path, "id;dermoscopy;d [nevus, flat|nevus, raised|other, benign]\n1;d.jpg;nevus, flat\n")
    )
    assert lesion.labels == {"d": "nevus, flat"}
    (lesion,) = read_csv(
        write(tmp_path, "id,dermoscopy,d [nevus; flat|nevus; raised|other; benign]\n1,d.jpg,nevus; flat\n")
    )
    assert lesion.labels == {"d": "nevus; flat"}


def test_a_given_delimiter_wins(tmp_path):
    (lesion,) = read_csv(write(tmp_path, "id|dermoscopy|a,b,c,d\n1|d.jpg|x\n"), delimiter="|")
    assert lesion.metadata == {"a,b,c,d": "x"}


def test_paths_written_on_windows(tmp_path):
    if sys.platform == "win32":
        pytest.skip("backslashes are the separator here")
    assert one(tmp_path, "clinical\nimages\\a\\c.jpg\n").clinical == tmp_path / "images" / "a" / "c.jpg"
    (tmp_path / "a\\c.jpg").touch()  # the name of a file here
    assert one(tmp_path, "clinical\na\\c.jpg\n").clinical == tmp_path / "a\\c.jpg"


def test_candidate_sets_unknown_labels_and_the_class_order_given(tmp_path):
    text = "dermoscopy,net\n1.jpg,typical|atypical\n2.jpg,\n3.jpg, Absent \n4.jpg,absent|ABSENT\n"
    lesions = read_csv(write(tmp_path, text), labels={"network": ("net", ["typical", "atypical", "absent"])})
    assert [lesion.labels for lesion in lesions] == [
        {"network": ("typical", "atypical")},
        {},
        {"network": "absent"},
        {"network": "absent"},
    ]
    assert lesions.tasks == {"network": ("typical", "atypical", "absent")}


def test_a_task_groups_raw_strings(tmp_path):
    task = Task("diagnosis", ("MEL", "NEV"), raw={"melanoma": "MEL", "naevus": "NEV"})
    lesions = read_csv(
        write(tmp_path, "dermoscopy,dx\n1.jpg,Melanoma\n2.jpg,NEV\n3.jpg,naevus|melanoma\n"),
        labels={"diagnosis": ("dx", task)},
    )
    assert [lesion.labels["diagnosis"] for lesion in lesions] == ["MEL", "NEV", ("NEV", "MEL")]


def test_schema_groups_and_orders(tmp_path):
    text = (
        "dermoscopy,diagnosis,vascular_structures\n"
        "1.jpg,clark nevus,comma|dotted\n"
        "2.jpg,basal cell carcinoma,arborizing|comma\n"
    )
    lesions = read_csv(write(tmp_path, text), schema="derm7pt")
    assert lesions.tasks == {
        "diagnosis": ("BCC", "NEV", "MEL", "MISC", "SK"),
        "vascular_structures": ("absent", "regular", "irregular"),
    }
    assert lesions.lesions[0].labels == {"diagnosis": "NEV", "vascular_structures": ("regular", "irregular")}
    assert lesions.lesions[1].labels == {"diagnosis": "BCC", "vascular_structures": "regular"}


def test_schema_with_columns_of_other_names(tmp_path):
    lesions = read_csv(write(tmp_path, "dermoscopy,dx\n1.jpg,nv\n"), schema="milk10k", labels={"diagnosis": "dx"})
    assert lesions.lesions[0].labels == {"diagnosis": "NV"} and len(lesions.tasks["diagnosis"]) == 11


def test_columns_found_without_being_named(tmp_path):
    text = "dermoscopy,diagnosis,streaks,ulcer [yes|no],grade\n1.jpg,b,regular,no,1\n2.jpg,a,,yes,2\n"
    lesions = read_csv(write(tmp_path, text))
    assert lesions.tasks == {"ulcer": ("yes", "no"), "diagnosis": ("a", "b"), "streaks": CHECKLIST["streaks"].classes}
    assert lesions.lesions[0].metadata == {"grade": "1"}


def test_labels_as_a_list_of_columns(tmp_path):
    assert read_csv(write(tmp_path, "dermoscopy,x,y\n1.jpg,b,d\n2.jpg,a,c\n"), labels=["y"]).tasks == {"y": ("c", "d")}


def test_strict_reading_names_file_line_column_and_the_near_class(tmp_path):
    file = write(tmp_path, 'dermoscopy,streaks,note\n1.jpg,regular,"two\nlines"\n2.jpg,iregular,\n')
    with pytest.raises(
        ConfigError, match=r"lesions\.csv, line 4, column 'streaks'.*'iregular'; did you mean 'irregular'"
    ):
        read_csv(file)


def test_lenient_reading_reports_every_fault_and_keeps_the_rest(tmp_path):
    text = (
        "id,dermoscopy,streaks,split\n"
        "A,1.jpg,iregular,train\n"
        "A,2.jpg,regular,train\n"
        ",3.jpg,what,valid\n"
        "D,https://example.org/4.jpg,absent,holdout\n"
        "E,5.jpg,absent,test,surplus\n"
    )
    lesions = read_csv(write(tmp_path, text), lenient=True)
    kinds = sorted(fault.kind for fault in lesions.faults)
    assert kinds == ["bad-path", "bad-row", "bad-row", "bad-split", "repeated-id", "unknown-label", "unknown-label"]
    assert [lesion.id for lesion in lesions] == ["A", "A (row 2)", "(row 3)", "D"]
    assert [lesion.labels for lesion in lesions] == [{}, {"streaks": "regular"}, {}, {"streaks": "absent"}]
    assert lesions.lesions[3].dermoscopy is None and lesions.lesions[3].split is None


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "empty"),
        ("id,foto\n1,a.jpg\n", {}, r"no column of image paths.*'foto'"),
        ("Klinik;;\nid;dermoscopy\n1;a.jpg\n", {}, "--dermoscopy.*nothing may stand above the line with the columns"),
        (
            "id,Dermoscopy\n1,a.jpg\n",
            {"dermoscopy": "dermoscopy"},
            r"no column 'dermoscopy'.*did you mean 'Dermoscopy'",
        ),
        ("dermoscopy,dermoscopy\na,b\n", {}, "comes twice"),
        ("dermoscopy,dx\na.jpg,one\n", {"labels": {"diagnosis": "dx"}}, "at least two classes"),
        (
            "dermoscopy,dx\na.jpg,Mel\nb.jpg,mel\nc.jpg,nv\n",
            {"labels": {"diagnosis": "dx"}},
            "differ only by their spelling",
        ),
        (
            "dermoscopy,dx\na.jpg,N\u00e4vus\nb.jpg,Na\u0308vus\nc.jpg,nv\n",
            {"labels": {"diagnosis": "dx"}},
            "their spelling",
        ),
        (
            "dermoscopy,dx\na.jpg,seb ker\nb.jpg,seb\u00a0 ker\nc.jpg,nv\n",
            {"labels": {"diagnosis": "dx"}},
            "their spelling",
        ),
        (
            "dermoscopy,dx\na.jpg,veil\nb.jpg,veil\u200b\nc.jpg,no\n",
            {"labels": {"diagnosis": "dx"}},
            r"'veil\\u200b'.*no width",
        ),
        ("dermoscopy,dx\na.jpg,1\nb.jpg,1.0\nc.jpg,2\n", {"labels": {"diagnosis": "dx"}}, "their spelling"),
        ("dermoscopy,dx\na.jpg,mel\n", {"schema": "derm7pt"}, "no column is named like a task of the schema"),
        ("dermoscopy,dx\na.jpg,mel\n", {"schema": "derm8pt"}, "unknown label schema 'derm8pt'"),
        ("dermoscopy,x [a|b],x [b|c]\na.jpg,a,b\n", {}, "two columns label the task 'x'"),
        ('dermoscopy\n"a.jpg\n', {}, "unpaired quotation mark"),
        ("dermoscopy\nhttps://example.org/a.jpg\n", {}, "URLs are not fetched"),
        ("id,dermoscopy\nA,a.jpg\nA,b.jpg\n", {}, r"line 3: the id 'A' was used before \(lesions.csv, line 2\)"),
        ("dermoscopy,split\na.jpg,holdout\n", {}, "split 'holdout' must be one of train, valid, test"),
    ],
)
def test_errors(tmp_path, text, options, message):
    with pytest.raises(ConfigError, match=message):
        read_csv(write(tmp_path, text), **options)


def test_not_text_and_not_there(tmp_path):
    file = tmp_path / "x.csv"
    file.write_bytes(b"id,dermoscopy\n1,\xff\xe4.jpg\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_csv(file)
    with pytest.raises(ConfigError, match="does not exist"):
        read_csv(tmp_path / "y.csv")
    with pytest.raises(ConfigError, match="is a folder"):
        read_csv(tmp_path)


@pytest.mark.parametrize("mark", ["NA", "N/A", "nan", "NULL", "#N/A", "n/a", "#REF!", "#ZAHL!", "#SPILL!"])
def test_marks_of_empty_cells_are_no_class_no_patient_no_split_and_no_file(tmp_path, mark):
    text = (
        f"id,clinical,dermoscopy,diagnosis,patient,split\na,a.jpg,{mark},mel,p,val\n"
        f"b,{mark},b.jpg,{mark},{mark},{mark}\nc,c.jpg,,nev,{mark},\n"
    )
    (tmp_path / "t.csv").write_text(text)
    lesions = read_csv(tmp_path / "t.csv")
    assert lesions.tasks == {"diagnosis": ("mel", "nev")}
    assert [set(lesion.images) for lesion in lesions] == [{"clinical"}, {"dermoscopy"}, {"clinical"}]
    assert [lesion.patient for lesion in lesions] == ["p", None, None] and not lesions.lesions[1].labels
    assert [lesion.split for lesion in lesions] == ["valid", None, None]
    given = read_csv(tmp_path / "t.csv", labels={"diagnosis": ("diagnosis", ["mel", "nev", mark])})
    assert given.lesions[1].labels == {"diagnosis": mark}  # unless it is named as a class


def test_label_columns_are_found_however_they_are_spelt(tmp_path):
    (tmp_path / "t.csv").write_text("clinical,Diagnosis,Pigment Network\na.jpg,mel,absent\nb.jpg,nev,typical\n")
    assert set(read_csv(tmp_path / "t.csv").tasks) == {"diagnosis", "pigment_network"}
    (tmp_path / "t.csv").write_text("clinical,Diagnosis,DIAGNOSIS\na.jpg,mel,mel\n")
    with pytest.raises(ConfigError, match="rename all but one"):
        read_csv(tmp_path / "t.csv")


def test_two_dots_behind_a_link_lead_where_the_system_says(tmp_path):
    (tmp_path / "disk" / "project").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "project", target_is_directory=True)
    write(tmp_path / "link", "clinical,dermoscopy\n../images/c.jpg,d.jpg\n")
    (lesion,) = read_csv(tmp_path / "link" / "lesions.csv")
    assert (
        lesion.clinical == tmp_path / "disk" / "images" / "c.jpg" and lesion.dermoscopy == tmp_path / "link" / "d.jpg"
    )
    (lesion,) = read_csv(f"{tmp_path}/link/../project/lesions.csv")  # there is no such folder beside the link
    assert lesion.dermoscopy == tmp_path / "disk" / "project" / "d.jpg"


def test_answers_of_predict_are_not_taken_for_the_truth(tmp_path):
    table = write(
        tmp_path,
        "clinical,truth,diagnosis,diagnosis:a,diagnosis:b,missing,error\nc.jpg,b,a,.9,.1,,\nd.jpg,a,a,.9,.1,,\n",
    )
    for labels in (None, {"dx": "diagnosis"}, ["diagnosis"]):
        with pytest.raises(ConfigError, match="'diagnosis' holds what `amfzoo predict` answered"):
            read_csv(table, labels=labels)
    assert [lesion.labels for lesion in read_csv(table, labels=["truth"])] == [{"truth": "b"}, {"truth": "a"}]


def test_several_pictures_of_one_lesion_can_be_numbered(tmp_path):
    """As the error on their repeated id says."""
    file = tmp_path / "t.csv"
    file.write_text("lesion_id,patient_id,clinical\nA,P,1.jpg\nA,P,2.jpg\n")
    with pytest.raises(
        ConfigError, match="'' to number the rows; the column 'patient_id' keeps those of a patient in one"
    ):
        read_csv(file)
    assert [(one.id, one.patient) for one in read_csv(file, id="")] == [("1", "P"), ("2", "P")]
    file.write_text("lesion_id,clinical\nA,1.jpg\nA,2.jpg\n")
    with pytest.raises(ConfigError, match="'' to number the rows, and this column as the patient's"):
        read_csv(file)
    assert [(one.id, one.patient) for one in read_csv(file, id="", patient="lesion_id")] == [("1", "A"), ("2", "A")]


def test_the_advice_on_ungraded_findings_names_the_column_that_there_is(tmp_path):
    file = write(tmp_path, "id,dermoscopy,Pigment Network\n1,d.jpg,present\n2,e.jpg,absent\n")
    advised = "pigment_network=Pigment Network:absent|present"
    with pytest.raises(ConfigError, match=f"--label '{re.escape(advised)}'"):
        read_csv(file)
    lesions = read_csv(file, labels={"pigment_network": ("Pigment Network", ["absent", "present"])})  # what it says
    assert [lesion.labels for lesion in lesions] == [{"pigment_network": "present"}, {"pigment_network": "absent"}]


def test_metadata_that_comes_twice_is_not_lost_silently(tmp_path):
    with pytest.raises(ConfigError, match="'sex' and 'metadata:sex' are read as the same"):
        read_csv(write(tmp_path, "id,dermoscopy,sex,metadata:sex\n1,d.jpg,f,m\n"))
    lesion = one(tmp_path, "id,dermoscopy,split,metadata:split\n1,d.jpg,train,no. 3\n")
    assert lesion.split == "train" and lesion.metadata == {"split": "no. 3"}
