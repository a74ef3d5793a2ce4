"""MILK10k: a drawn miniature always, the real folder where there is one."""

from __future__ import annotations

import pytest

from amfzoo.data.export import write_csv
from amfzoo.data.readers.csv_source import read_csv
from amfzoo.data.readers.milk10k import read_milk10k
from amfzoo.errors import ConfigError
from amfzoo.labels import MILK10K

CLASSES = MILK10K.classes()["diagnosis"]


def image(lesion, isic, kind, **more):
    return {
        "lesion_id": lesion,
        "isic_id": isic,
        "image_type": kind,
        "age_approx": "70",
        "sex": "male",
        "site": "trunk",
        "skin_tone_class": "3",
        "MONET_hair": "0.5",
        **more,
    }


def truth(lesion, name):
    return {"lesion_id": lesion, **{one: "1.0" if one == name else "0.0" for one in CLASSES}}


@pytest.fixture
def small(table, tmp_path):
    """`small(images, truths)`: the official layout."""

    def build(images, truths):
        table("MILK10k_Training_Metadata.csv", images)
        table("MILK10k_Training_GroundTruth.csv", truths)
        return tmp_path

    return build


PAIR = [image("IL_1", "ISIC_2", "dermoscopic"), image("IL_1", "ISIC_1", "clinical: close-up")]


def test_miniature(small):
    root = small([*PAIR, image("IL_0", "ISIC_9", "dermoscopic", age_approx="", site="")], [truth("IL_1", "SCCKA")])
    first, second = lesions = read_milk10k(root)
    folder = root / "MILK10k_Training_Input"
    assert first.clinical == folder / "IL_1" / "ISIC_1.jpg" and first.dermoscopy == folder / "IL_1" / "ISIC_2.jpg"
    assert first.labels == {"diagnosis": "SCCKA"} and first.patient is None and first.split is None
    assert first.metadata == {"age": "70", "sex": "male", "site": "trunk", "skin_tone_class": "3"}
    assert second.id == "IL_0" and second.clinical is None and second.labels == {}
    assert second.metadata == {"sex": "male", "skin_tone_class": "3"}
    assert lesions.tasks == {"diagnosis": CLASSES}


def test_ground_truth_without_images_gives_a_lesion_without_images(small):
    blank = {**PAIR[0], "age_approx": ""}  # in the row of one image alone
    lesions = read_milk10k(small([blank, PAIR[1]], [truth("IL_1", "NV"), truth("IL_5", "MEL")]))
    assert lesions.lesions[0].metadata["age"] == "70"
    assert [(lesion.id, len(lesion.images)) for lesion in lesions] == [("IL_1", 2), ("IL_5", 0)]


@pytest.mark.parametrize(
    ("images", "truths", "message"),
    [
        (PAIR, [{**truth("IL_1", "NV"), "MEL": "1.0"}], "line 2: the diagnosis is not one-hot"),
        (PAIR, [{**truth("IL_1", "NV"), "NV": "x"}], "not one-hot"),
        (PAIR, [{**truth("IL_1", "NV"), "NV": "0.5"}], "not one-hot"),
        (
            [*PAIR, image("IL_1", "ISIC_3", "dermoscopic")],
            [truth("IL_1", "NV")],
            "line 4: a second dermoscopy image of lesion IL_1",
        ),
        ([image("IL_1", "ISIC_3", "overview")], [truth("IL_1", "NV")], "image_type 'overview' is not one of"),
    ],
)
def test_faulty_rows(small, images, truths, message):
    root = small(images, truths)
    with pytest.raises(ConfigError, match=message):
        read_milk10k(root)
    lesions = read_milk10k(root, lenient=True)
    assert [fault.kind for fault in lesions.faults] == ["bad-row"] and len(lesions) == 1


def test_missing_files_and_columns(small, tmp_path):
    with pytest.raises(ConfigError, match="has no MILK10k_Training_Metadata.csv"):
        read_milk10k(tmp_path)
    root = small([{key: value for key, value in row.items() if key != "site"} for row in PAIR], [truth("IL_1", "NV")])
    with pytest.raises(ConfigError, match="no column 'site'"):
        read_milk10k(root)


def test_the_test_part_has_no_ground_truth(table, tmp_path):
    table("MILK10k_Test_Metadata.csv", PAIR)
    (lesion,) = read_milk10k(tmp_path, part="Test")
    assert lesion.labels == {} and lesion.clinical.parent.parent.name == "MILK10k_Test_Input"


def test_the_real_folder_and_its_round_trip_through_csv(shared, tmp_path):
    lesions = read_milk10k(shared("milk10k"))
    assert len(lesions) == 4402 and all(len(lesion.images) == 2 for lesion in lesions)
    assert lesions.counts("diagnosis") == dict(zip(CLASSES, (255, 2118, 37, 457, 44, 42, 8, 378, 627, 397, 39)))
    assert sum("age" in lesion.metadata for lesion in lesions) == 4402 - 18
    assert all(path.is_file() for lesion in lesions.lesions[::200] for path in lesion.images.values())
    write_csv(lesions, tmp_path / "milk10k.csv")
    again = read_csv(tmp_path / "milk10k.csv")
    assert again.lesions == lesions.lesions and again.tasks == lesions.tasks


def test_rows_without_ids_are_faults(small):
    unnamed = [image("", "ISIC_3", "dermoscopic"), image("IL_2", "", "dermoscopic")]
    lesions = read_milk10k(small([*PAIR, *unnamed], [truth("IL_1", "NV"), truth("", "MEL")]), lenient=True)
    assert [lesion.id for lesion in lesions] == ["IL_1"]
    assert [fault.message.partition(" is empty")[0] for fault in lesions.faults] == [
        "MILK10k_Training_Metadata.csv, line 4: lesion_id",
        "MILK10k_Training_Metadata.csv, line 5: isic_id",
        "MILK10k_Training_GroundTruth.csv, line 3: lesion_id",
    ]


def test_two_diagnoses_of_one_lesion_are_a_fault(small):
    root = small(PAIR, [truth("IL_1", "NV"), truth("IL_1", "NV"), truth("IL_1", "MEL")])
    with pytest.raises(ConfigError, match="line 4: the diagnosis of lesion IL_1 is MEL here and NV before"):
        read_milk10k(root)
