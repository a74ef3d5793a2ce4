"""Rows of images that do not say which lesion, or whose, they are of."""

from __future__ import annotations

import csv

import pytest

from amfzoo.data.readers.ham10000 import read_ham10000
from amfzoo.data.readers.isic_archive import read_hiba
from amfzoo.data.readers.mra_midas import read_mra_midas
from amfzoo.data.readers.pad_ufes import read_pad_ufes
from amfzoo.errors import ConfigError


def write(path, columns: str, *rows: str) -> None:
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns.split(), *(row.split(",") for row in rows)])


def found(lesions) -> list[tuple]:
    return [(lesion.id, lesion.patient, lesion.labels["diagnosis"]) for lesion in lesions]


def test_midas_rows_without_record_or_place_are_lesions_of_their_own(tmp_path):
    write(
        tmp_path / "release_midas.csv",
        "midas_record_id midas_file_name midas_iscontrol midas_distance midas_location midas_path midas_melanoma",
        ",a.jpg,no,dscope,back,nevus,no",
        ",b.jpg,no,6in,back,mel,yes",
        "7,c.jpg,no,dscope,,nevus,no",
        "7,d.jpg,no,6in,,bcc,no",
        "8,e.jpg,no,dscope,arm,bcc,no",
        "8,f.jpg,no,6in,arm,bcc,no",
    )
    lesions = list(read_mra_midas(tmp_path))
    assert [(lesion.id, lesion.patient) for lesion in lesions] == [
        ("a.jpg", None),
        ("b.jpg", None),
        ("c.jpg", "7"),
        ("d.jpg", "7"),
        ("8_arm_no", "8"),
    ]
    assert [len(lesion.images) for lesion in lesions] == [1, 1, 1, 1, 2]


def test_pad_ufes_and_ham_rows_without_ids_are_lesions_of_their_own(tmp_path):
    write(
        tmp_path / "metadata.csv",
        "patient_id lesion_id img_id diagnostic",
        ",2,y.png,NEV",
        ",2,z.png,MEL",
        "P,,w.png,BCC",
    )
    assert found(read_pad_ufes(tmp_path)) == [("y.png", None, "NEV"), ("z.png", None, "MEL"), ("w.png", "P", "BCC")]
    write(tmp_path / "HAM10000_metadata.csv", "lesion_id image_id dx", ",I1,nv", ",I2,mel", "H,I3,bcc")
    assert [name for name, _, _ in found(read_ham10000(tmp_path))] == ["I1", "I2", "H"]


def test_a_lesion_of_two_patients_is_refused_or_listed(tmp_path):
    write(
        tmp_path / "metadata.csv",
        "isic_id image_type lesion_id patient_id diagnosis",
        "I1,clinical: close-up,L1,P1,nevus",
        "I2,dermoscopic,L1,P2,nevus",
        "I3,dermoscopic,NA,,melanoma",
    )
    with pytest.raises(ConfigError, match="lesion L1: its images are of several patients, P1, P2"):
        read_hiba(tmp_path)
    lenient = read_hiba(tmp_path, lenient=True)
    assert [fault.kind for fault in lenient.faults] == ["bad-row"] and found(lenient)[1][:2] == ("I3", None)


@pytest.mark.parametrize(
    "read, name, columns, image",
    [
        (read_ham10000, "HAM10000_metadata", "lesion_id image_id dx", "image_id"),
        (read_pad_ufes, "metadata.csv", "lesion_id img_id diagnostic patient_id", "img_id"),
        (read_hiba, "metadata.csv", "lesion_id isic_id diagnosis", "isic_id"),
    ],
)
def test_a_row_that_names_no_image_is_a_fault_with_its_line(tmp_path, read, name, columns, image):
    write(tmp_path / name, columns, "1,a,nv", "2,,mel", "3,b,mel")
    with pytest.raises(ConfigError, match=f"{name}, line 3: {image} is empty"):
        read(tmp_path)
    lesions = read(tmp_path, lenient=True)
    assert [lesion.dermoscopy or lesion.clinical for lesion in lesions] == [tmp_path / "a.jpg", tmp_path / "b.jpg"]


def test_midas_rows_that_are_not_read_need_no_image(tmp_path):
    columns = "midas_record_id midas_file_name midas_iscontrol midas_distance midas_location midas_path midas_melanoma"
    rows = ["1,a.jpg,no,dscope,back,nevus,no", "2,b.jpg,no,dscope,back,mel,yes", "3,,no,n/a - virtual,back,mel,yes"]
    write(tmp_path / "release_midas.csv", columns, *rows)
    assert len(read_mra_midas(tmp_path)) == 2
    write(tmp_path / "release_midas.csv", columns, *rows, "4,,no,6in,arm,mel,yes")
    with pytest.raises(ConfigError, match="line 5: midas_file_name is empty"):
        read_mra_midas(tmp_path)
