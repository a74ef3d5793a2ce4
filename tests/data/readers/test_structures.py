"""The sets that label dermoscopic structures, on miniatures of their layouts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from amfzoo.data.sources import load_source
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST


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


def test_masks_and_images_may_lie_behind_links(table, touch, tmp_path):
    elsewhere = touch("elsewhere/images/ISIC_1.jpg") / "elsewhere"
    (elsewhere / "masks").mkdir()
    Image.new("L", (64, 48)).save(elsewhere / "masks" / "ISIC_1_attribute_streaks.png")
    root = tmp_path / "linked"
    root.mkdir()
    for name in ("images", "masks"):
        (root / name).symlink_to(elsewhere / name, target_is_directory=True)
    (lesion,) = load_source(f"isic2018-task2:{root}")
    assert lesion.labels == {"streaks": "absent"} and lesion.dermoscopy == root / "images" / "ISIC_1.jpg"


def test_rows_that_name_no_image_or_one_again_are_faults_with_their_line(table, tmp_path):
    values = {"pigment_network": "0", "streaks": "NA", "globules": "1"}
    table("isic2018_task2.csv", [{"image_id": name, **values} for name in ("ISIC_1", "", "ISIC_1", "ISIC_2")])
    with pytest.raises(ConfigError, match="line 3: image_id is empty"):
        load_source(f"isic2018-task2:{tmp_path}")
    lesions = load_source(f"isic2018-task2:{tmp_path}", lenient=True)
    assert [lesion.id for lesion in lesions] == ["ISIC_1", "ISIC_2"]
    assert [fault.kind for fault in lesions.faults] == ["bad-row", "repeated-id"]
    assert "line 4: image_id 'ISIC_1' was there before (isic2018_task2.csv, line 2)" in lesions.faults[1].message
    assert dict(lesions.lesions[0].labels) == {"pigment_network": "absent", "dots_and_globules": "present"}
