"""`load_source`, and the public sets on miniatures of their layouts."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from amfzoo.data.readers.paths import ImageIndex
from amfzoo.data.sources import READERS, load_source
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST


@pytest.fixture
def touch(tmp_path):
    """`touch(names)`: empty files in the test's folder. Readers must not open them."""

    def make(*names: str):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make


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


def test_dermaknet(table, touch):
    names = (
        "globules_cobblestone",
        "reticular_pigment_network",
        "streaks",
        "blue_white_veil",
        "vascular_structures",
        "regression_structures",
    )
    table(
        "dermaknet.csv",
        [
            {"image_id": "ISIC_1", "melanoma": "1", **dict(zip(names, "012012"))},
            {"image_id": "ISIC_2", "melanoma": "0", **dict(zip(names, ("", *"00000")))},
        ],
    )
    first, second = lesions = load_source(f"dermaknet:{touch('images/ISIC_1.jpg')}")
    assert first.labels == {
        "dots_and_globules": "absent",
        "pigment_network": "present",
        "streaks": "present",
        "blue_whitish_veil": "absent",
        "vascular_structures": "present",
        "regression_structures": "present",
    }
    assert first.dermoscopy.name == "ISIC_1.jpg" and first.clinical is None and first.metadata == {"melanoma": "1"}
    assert "dots_and_globules" not in second.labels and set(lesions.tasks.values()) == {("absent", "present")}
    table("dermaknet.csv", [{"image_id": "ISIC_1", **dict.fromkeys(names, "3")}])
    with pytest.raises(ConfigError, match=r"line 2, column 'reticular_pigment_network': '3' is not one of 0, 1, 2"):
        load_source(f"dermaknet:{first.dermoscopy.parent.parent}")


def test_isic2018_task2_from_masks_and_from_a_table(table, touch):
    root = touch("ISIC2018_Task1-2_Training_Input/ISIC_1.jpg")
    masks = root / "ISIC2018_Task2_Training_GroundTruth_v3"
    masks.mkdir()
    mask = np.zeros((48, 64), np.uint8)
    for name, value in (("pigment_network", 255), ("streaks", 0), ("globules", 0), ("milia_like_cyst", 255)):
        mask[3, 4] = value
        Image.fromarray(mask).save(masks / f"ISIC_1_attribute_{name}.png")
    (lesion,) = load_source(f"isic2018-task2:{root}")
    assert lesion.labels == {"pigment_network": "present", "streaks": "absent", "dots_and_globules": "absent"}
    assert lesion.dermoscopy == root / "ISIC2018_Task1-2_Training_Input" / "ISIC_1.jpg"
    table("isic2018_task2.csv", [{"image_id": "ISIC_1", "pigment_network": "0", "streaks": "1", "globules": "1"}])
    (lesion,) = load_source(f"isic2018-task2:{root}")
    assert lesion.labels == {"pigment_network": "absent", "streaks": "present", "dots_and_globules": "present"}


def test_with_the_checklists_classes_a_present_structure_leaves_its_grade_open(table, touch):
    root = touch("images/ISIC_1.jpg")
    structures = ["reticular_pigment_network", "blue_white_veil", "vascular_structures", "streaks",
                  "globules_cobblestone", "regression_structures"]  # fmt: skip
    table("dermaknet.csv", [{"image_id": "ISIC_1", **dict.fromkeys(structures, "1"), "streaks": "0"}])
    table("isic2018_task2.csv", [{"image_id": "ISIC_1", "pigment_network": "0", "streaks": "1", "globules": "1"}])
    human, masks = (load_source(f"{name}:{root}", schema="derm7pt") for name in ("dermaknet", "isic2018-task2"))
    for lesions in (human, masks):
        assert lesions.tasks == {task: CHECKLIST[task].classes for task in lesions.tasks}
    assert human.lesions[0].labels == {
        "pigment_network": ("typical", "atypical"),
        "blue_whitish_veil": "present",  # has one grade only
        "vascular_structures": ("regular", "irregular"),
        "streaks": "absent",
        "dots_and_globules": ("regular", "irregular"),
        "regression_structures": "present",
    }
    assert masks.lesions[0].labels["pigment_network"] == "absent"
    assert masks.lesions[0].labels["streaks"] == ("regular", "irregular")
    (root / "isic2018_task2.csv").unlink()
    Image.new("L", (32, 32), 255).save(root / "ISIC_1_attribute_streaks.png")
    assert load_source(f"isic2018-task2:{root}", schema="derm7pt").lesions[0].labels == {
        "streaks": ("regular", "irregular")
    }
    with pytest.raises(ConfigError, match="no structure 'pigment_network'; use derm7pt"):
        load_source(f"dermaknet:{root}", schema="milk10k")


def test_isic2018_task2_without_labels(tmp_path):
    with pytest.raises(ConfigError, match="neither isic2018_task2.csv nor masks"):
        load_source(f"isic2018-task2:{tmp_path}")


def test_the_real_tables_of_criteria(shared):
    folder = shared("criteria")
    masks, human = load_source(f"isic2018-task2:{folder}"), load_source(f"dermaknet:{folder}")
    assert (len(masks), len(human)) == (2540, 692)
    assert {task: masks.counts(task)["present"] for task in masks.tasks} == {
        "pigment_network": 1495,
        "streaks": 99,
        "dots_and_globules": 583,
    }
    assert {task: human.counts(task)["present"] for task in human.tasks} == {
        "pigment_network": 486,
        "blue_whitish_veil": 46,
        "vascular_structures": 75,
        "streaks": 52,
        "dots_and_globules": 236,
        "regression_structures": 184,
    }
    assert all(lesion.dermoscopy.is_file() for lesion in (*masks, *human))


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
