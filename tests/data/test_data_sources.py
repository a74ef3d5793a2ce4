"""`load_source`, and the public sets on miniatures of their layouts."""

from __future__ import annotations

import os

import pytest

from amfzoo.data.readers.paths import ImageIndex
from amfzoo.data.sources import READERS, load_source
from amfzoo.errors import ConfigError


def images(lesions, root):
    return {
        lesion.id: {kind: str(path.relative_to(root).as_posix()) for kind, path in lesion.images.items()}
        for lesion in lesions
    }


def test_every_reader_can_be_imported_and_takes_lenient():
    for name, reader in READERS.items():
        assert "lenient" in reader.load().__kwdefaults__, name


@pytest.mark.parametrize("source", ["csv:{}", "{}", "CSV:{}"])
def test_tables_by_name_and_by_path(table, source):
    file = table("lesions.csv", [{"id": "A", "clinical": "a.jpg"}])
    assert [lesion.id for lesion in load_source(source.format(file))] == ["A"]


def test_options_reach_the_reader(table):
    file = table("lesions.csv", [{"who": "A", "clinical": "a.jpg"}])
    assert load_source(file, id="who").lesions[0].id == "A"


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("milk10:/x", {}, "unknown reader 'milk10'; did you mean 'milk10k'"),
        ("qqq:/x", {}, "unknown reader 'qqq'; known: csv, derm7pt"),
        ("/some/folder", {}, "say how to read it, as in milk10k:/some/folder"),
        ("lesions.xlsx", {}, "spreadsheets are not read; save the sheet as CSV UTF-8"),
        ("milk10k:", {}, "path is missing"),
        ("csv:/x.csv", {"clinica": "a"}, "no option 'clinica'; did you mean 'clinical'"),
        ("milk10k:/x", {"schema": "derm7pt"}, "the reader 'milk10k' has no option 'schema'"),
        ("C:\\x\\y.csv", {}, "does not exist"),
    ],
)
def test_errors(source, options, message):
    with pytest.raises(ConfigError, match=message):
        load_source(source, **options)


def test_ham10000(table, touch):
    row = {"dx_type": "histo", "age": "60.0", "sex": "male", "localization": "back"}
    table(
        "HAM10000_metadata.csv",
        [
            {"lesion_id": "HAM_1", "image_id": "ISIC_1", "dx": "mel", **row},
            {"lesion_id": "HAM_2", "image_id": "ISIC_2", "dx": "nv", **row},
            {"lesion_id": "HAM_1", "image_id": "ISIC_3", "dx": "mel", **row},
        ],
    )
    root = touch(
        "HAM10000_images_part_1/ISIC_1.jpg",
        "HAM10000_images_part_2/ISIC_2.jpg",
        "HAM10000_images_part_2/ISIC_3.JPG",
        "masks/ISIC_1_segmentation.png",
    )
    lesions = load_source(f"ham10000:{root}")
    assert images(lesions, root) == {
        "HAM_1": {"dermoscopy": "HAM10000_images_part_1/ISIC_1.jpg"},
        "HAM_1#2": {"dermoscopy": "HAM10000_images_part_2/ISIC_3.JPG"},
        "HAM_2": {"dermoscopy": "HAM10000_images_part_2/ISIC_2.jpg"},
    }
    assert [lesion.group for lesion in lesions] == ["patient:HAM_1", "patient:HAM_1", "lesion:HAM_2"]
    assert lesions.counts("diagnosis") == {"akiec": 0, "bcc": 0, "bkl": 0, "df": 0, "mel": 2, "nv": 1, "vasc": 0}
    assert lesions.lesions[2].metadata == row


def test_pad_ufes(table, touch):
    table(
        "metadata.csv",
        [
            {
                "patient_id": "PAT_8",
                "lesion_id": "15",
                "img_id": "PAT_8_15_820.png",
                "diagnostic": "BCC",
                "fitspatrick": "2.0",
            },
            {
                "patient_id": "PAT_8",
                "lesion_id": "16",
                "img_id": "PAT_8_16_1.png",
                "diagnostic": "NEV",
                "fitspatrick": "",
            },
        ],
    )
    root = touch("images/imgs_part_1/PAT_8_15_820.png", "images/imgs_part_2/PAT_8_16_1.png")
    first, second = lesions = load_source(f"pad-ufes-20:{root}")
    assert images(lesions, root)["PAT_8_15"] == {"clinical": "images/imgs_part_1/PAT_8_15_820.png"}
    assert first.group == second.group == "patient:PAT_8"
    assert first.labels == {"diagnosis": "BCC"} and first.metadata == {"fitspatrick": "2.0"} and second.metadata == {}


def test_hiba_pairs_by_lesion_and_leaves_overviews_out(table, touch):
    rows = [
        ("ISIC_1", "IL_1", "dermoscopic"),
        ("ISIC_2", "IL_1", "clinical: close-up"),
        ("ISIC_3", "IL_1", "clinical: overview"),
        ("ISIC_4", "", "dermoscopic"),
    ]
    table(
        "metadata.csv",
        [
            {
                "isic_id": isic,
                "lesion_id": lesion,
                "patient_id": "IP_1",
                "image_type": kind,
                "diagnosis_1": "Benign",
                "diagnosis_3": "Nevus" if isic == "ISIC_4" else "Basal cell carcinoma",
                "sex": "male",
            }
            for isic, lesion, kind in rows
        ],
    )
    root = touch("ISIC_1.jpg", "ISIC_2.jpg", "ISIC_3.jpg", "ISIC_4.jpg")
    lesions = load_source(f"hiba:{root}")
    assert images(lesions, root) == {
        "IL_1": {"clinical": "ISIC_2.jpg", "dermoscopy": "ISIC_1.jpg"},
        "ISIC_4": {"dermoscopy": "ISIC_4.jpg"},
    }
    assert lesions.name == "hiba" and lesions.tasks == {"diagnosis": ("Basal cell carcinoma", "Nevus")}
    assert lesions.lesions[0].patient == "IP_1" and lesions.lesions[0].metadata == {
        "diagnosis_1": "Benign",
        "sex": "male",
    }
    with pytest.raises(ConfigError, match="at least two classes"):
        load_source(f"isic-archive:{root}", diagnosis="diagnosis_1")


def test_an_image_of_the_isic_archive_without_a_type_is_told_of(table, touch):
    row = {"isic_id": "ISIC_1", "lesion_id": "IL_1", "image_type": "dermoscopic", "diagnosis": "Nevus"}
    blank = {**row, "isic_id": "ISIC_2", "lesion_id": "IL_2", "image_type": "", "diagnosis": "Melanoma"}
    table("metadata.csv", [row, blank])
    root = touch("ISIC_1.jpg", "ISIC_2.jpg")
    with pytest.raises(ConfigError, match="image_type is empty"):
        load_source(f"isic-archive:{root}")


def test_mra_midas(table, touch):
    def row(name, distance, path, record="r1", control="no"):
        return {
            "midas_record_id": record,
            "midas_file_name": name,
            "midas_iscontrol": control,
            "midas_distance": distance,
            "midas_location": "arm",
            "midas_path": path,
            "midas_melanoma": "no" if path else "",
            "midas_age": "60",
        }

    table(
        "release_midas.csv",
        [
            row("s1.jpeg", "dscope", "malignant- bcc"),
            row("s2.jpg", "6in", "malignant- bcc"),
            row("s3.jpg", "1ft", "malignant- bcc"),
            row("s4.jpg", "n/a - virtual", "malignant- bcc"),
            row("s5.jpg", "dscope", "", control="yes"),
            row("s6.jpg", "6in", "benign-melanocytic nevus", record="r2"),
            {**row("s7.jpg", "dscope", "benign-melanocytic nevus", record="r2"), "midas_melanoma": "yes"},
        ],
    )
    root = touch(
        "images/s1.jpg", "images/s2_cropped.jpg", "images/s3.jpg", "images/s5.jpg", "images/s6.jpg", "images/s7.jpg"
    )
    lesions = load_source(f"mra-midas:{root}")
    assert images(lesions, root) == {
        "r1_arm_no": {"dermoscopy": "images/s1.jpg", "clinical": "images/s2_cropped.jpg"},
        "r1_arm_yes": {"dermoscopy": "images/s5.jpg"},
        "r2_arm_no": {"clinical": "images/s6.jpg", "dermoscopy": "images/s7.jpg"},
    }
    first, control, other = lesions
    assert first.patient == control.patient == "r1" and control.labels == {}
    assert first.labels == {"diagnosis": "malignant- bcc", "melanoma": "no"}
    assert other.labels["melanoma"] == ("no", "yes")  # its rows disagree
    assert first.metadata["midas_age"] == "60"
    both = load_source(f"mra-midas:{root}", distances=["6in", "1ft"])
    assert images(both, root)["r1_arm_no#2"] == {"clinical": "images/s3.jpg"}
    with pytest.raises(ConfigError, match="6in, 1ft"):
        load_source(f"mra-midas:{root}", distances="6in")


def test_marks_of_empty_cells_are_no_lesion_and_no_patient(table, touch):
    rows = [("ISIC_1", "IL_1", "clinical: close-up"), ("ISIC_2", "IL_1", "clinical: close-up"), ("ISIC_3", "NA", "dermoscopic"),
            ("ISIC_4", "NA", "dermoscopic")]  # fmt: skip
    table(
        "metadata.csv",
        [
            {
                "isic_id": isic,
                "lesion_id": lesion,
                "patient_id": "NA",
                "image_type": kind,
                "diagnosis_3": ("Nevus", "Melanoma")[isic == "ISIC_4"],
            }
            for isic, lesion, kind in rows
        ],  # fmt: skip
    )
    lesions = load_source(f"hiba:{touch(*(f'ISIC_{n}.jpg' for n in range(1, 5)))}")
    assert [(one.id, one.group) for one in lesions] == [
        ("IL_1", "patient:IL_1"), ("IL_1#2", "patient:IL_1"), ("ISIC_3", "lesion:ISIC_3"), ("ISIC_4", "lesion:ISIC_4")
    ]  # fmt: skip
    assert [one.labels["diagnosis"] for one in lesions][2:] == ["Nevus", "Melanoma"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_images_behind_a_link_are_found_and_links_in_a_ring_end(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "I1.jpg").touch()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "pictures").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(tmp_path / "root")
    assert ImageIndex(tmp_path / "root").find("I1") == tmp_path / "root" / "pictures" / "I1.jpg"
