"""Derm7pt: its quirks on a drawn miniature, its counts on the real label table."""

from __future__ import annotations

import csv

import pytest

from amfzoo.data.readers.derm7pt import read_derm7pt
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST, DERM7PT, seven_point_score

COLUMNS = [
    "case_num",
    "diagnosis",
    "seven_point_score",
    *CHECKLIST,
    "level_of_diagnostic_difficulty",
    "elevation",
    "location",
    "sex",
    "management",
    "clinic",
    "derm",
    "case_id",
    "notes",
]
# Of all 1011 cases, grouped; counted from the publisher's table.
COUNTS = {
    "diagnosis": {"BCC": 42, "NEV": 575, "MEL": 252, "MISC": 97, "SK": 45},
    "pigment_network": {"absent": 400, "typical": 381, "atypical": 230},
    "blue_whitish_veil": {"absent": 816, "present": 195},
    "vascular_structures": {"absent": 823, "regular": 117, "irregular": 71},
    "pigmentation": {"absent": 588, "regular": 118, "irregular": 305},
    "streaks": {"absent": 653, "regular": 107, "irregular": 251},
    "dots_and_globules": {"absent": 229, "regular": 334, "irregular": 448},
    "regression_structures": {"absent": 758, "present": 253},
}
OFFICIAL = {"train": 413, "valid": 203, "test": 395}
OFFICIAL_TEST = {
    "diagnosis": (16, 219, 101, 40, 19),
    "pigment_network": (156, 146, 93),
    "blue_whitish_veil": (320, 75),
    "vascular_structures": (313, 52, 30),
    "pigmentation": (223, 48, 124),
    "streaks": (257, 44, 94),
    "dots_and_globules": (100, 118, 177),
    "regression_structures": (289, 106),
}
# Cases without a clinical image, and the official split each is in.
SAME = {565: "train", 833: "train", **dict.fromkeys((800, 824, 839, 844, 851), "valid"), 827: "test", 834: "test"}


def row(number, **values):
    plain = {
        "diagnosis": "clark nevus",
        **dict.fromkeys(CHECKLIST, "absent"),
        "management": "excision",
        "sex": "male",
        "level_of_diagnostic_difficulty": "low",
        "clinic": f"AAA/Aal{number:03}.jpg",
        "derm": f"AAA/Aal{number:03}d.JPG",
    }
    return {"case_num": str(number), **plain, **values}


@pytest.fixture
def release(tmp_path):
    """`release(rows, splits)`: a folder in the official layout; the files that it names are empty."""

    def build(rows, splits):
        root = tmp_path / "release_v0"
        (root / "meta").mkdir(parents=True)
        with open(root / "meta" / "meta.csv", "w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        for split in ("train", "valid", "test"):
            (root / "meta" / f"{split}_indexes.csv").write_text(
                "".join(f"{line}\n" for line in ["indexes", *splits.get(split, [])])
            )
        for name in {values[column] for values in rows for column in ("clinic", "derm")}:
            file = root / "images" / name.replace("FCl/", "FCL/")  # as it lies on disk
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        return root

    return build


def test_quirks(release):
    root = release(
        [
            row(1),
            row(2, clinic="NEL/Nel051.jpg", derm="NEL/Nel051.jpg"),
            row(3, derm="FCl/Fcl068.jpg"),
            row(4, derm="fcL/fCL068.JPG"),
        ],
        {"train": [0], "valid": [1], "test": [2]},
    )
    lesions = read_derm7pt(root)
    first, same, case, both = lesions
    assert [lesion.split for lesion in lesions] == ["train", "valid", "test", None]
    assert first.id == "1" and first.clinical == root / "images/AAA/Aal001.jpg" and first.dermoscopy.is_file()
    assert same.clinical is None and same.dermoscopy == root / "images/NEL/Nel051.jpg"
    assert case.dermoscopy == root / "images/FCL/Fcl068.jpg" and case.dermoscopy.is_file()
    assert lesions.tasks == DERM7PT.classes() and lesions.hints == {"border": 0.05}
    assert first.metadata == {
        "case_num": "1",
        "management": "excision",
        "sex": "male",
        "level_of_diagnostic_difficulty": "low",
    }


def test_exact_spelling_wins_where_two_files_differ_by_case(release):
    root = release([row(1, derm="AAA/x.jpg"), row(2, derm="AAA/X.JPG")], {"train": [0, 1]})
    if len(list((root / "images/AAA").glob("[xX].*"))) < 2:
        pytest.skip("this file system does not tell cases apart")
    assert [lesion.dermoscopy.name for lesion in read_derm7pt(root)] == ["x.jpg", "X.JPG"]


def test_one_image_in_two_spellings_is_no_pair(release):
    found = read_derm7pt(release([row(1, clinic="NEL/NEL051.JPG", derm="NEL/Nel051.jpg")], {"train": [0]})).lesions[0]
    assert found.clinical is None and found.dermoscopy is not None


def test_a_missing_image_keeps_its_name(release):
    root = release([row(1)], {"train": [0]})
    (root / "images/AAA/Aal001.jpg").unlink()
    assert read_derm7pt(root).lesions[0].clinical == root / "images/AAA/Aal001.jpg"


def test_the_folder_above_will_do(release):
    assert len(read_derm7pt(release([row(1)], {"train": [0]}).parent)) == 1


def test_errors(release, tmp_path):
    root = release([row(1), row(2)], {"train": [0], "test": [1]})
    indexes = root / "meta" / "valid_indexes.csv"
    for content, message in (
        ("2", "'2' is not a row number from 0 to 1"),
        ("x", "not a row number"),
        ("0", "splits train and valid"),
    ):
        indexes.write_text(f"indexes\n{content}\n")
        with pytest.raises(ConfigError, match=message):
            read_derm7pt(root)
    indexes.unlink()
    with pytest.raises(ConfigError, match="no meta/valid_indexes.csv|no valid_indexes.csv"):
        read_derm7pt(root)
    with pytest.raises(ConfigError, match="does not exist"):
        read_derm7pt(tmp_path / "elsewhere")


def test_a_sorted_table_is_refused(release):
    with pytest.raises(ConfigError, match=r"line 2: case_num is '2', expected 1"):
        read_derm7pt(release([row(2), row(1)], {"train": [0]}))


def test_rows_that_changed_places_further_down_are_refused(release):
    with pytest.raises(ConfigError, match=r"line 3: case_num is '3', expected 2"):
        read_derm7pt(release([row(1), row(3), row(2)], {"train": [0]}))


def test_unknown_strings_are_all_reported_when_lenient(release):
    root = release([row(1, streaks="regulr"), row(2, diagnosis="clark naevus"), row(3)], {"train": [0, 1, 2]})
    with pytest.raises(ConfigError, match="did you mean 'regular'"):
        read_derm7pt(root)
    lesions = read_derm7pt(root, lenient=True)
    assert [(fault.kind, fault.lesions) for fault in lesions.faults] == [
        ("unknown-label", ("1",)),
        ("unknown-label", ("2",)),
    ]
    assert "clark nevus" in lesions.faults[1].message and "streaks" not in lesions.lesions[0].labels


@pytest.fixture
def real(shared, release):
    """The real label table with made-up clinical paths; its index lists are parts of the official splits."""
    folder = shared("derm7pt_labels")
    with open(folder / "meta.csv", newline="") as stream:
        rows = [dict(values) for values in csv.DictReader(stream)]
    for number, values in enumerate(rows, start=1):
        values["case_num"] = str(number)
        values["clinic"] = values["derm"] if number in SAME else f"clinic/{number}.jpg"
    splits = {
        split: (folder / "splits" / f"asymmetric_{split}_indexes_filtered.csv").read_text().split()[1:]
        for split in OFFICIAL
    }
    return read_derm7pt(release(rows, splits)), splits


def test_every_class_of_the_real_table(real):
    lesions, _ = real
    assert len(lesions) == 1011
    assert {task: lesions.counts(task) for task in lesions.tasks} == COUNTS


def test_the_real_table_as_far_as_its_splits_go(real):
    """The lists lack 170 cases, so the official counts of a split are bounds and not equalities."""
    lesions, splits = real
    for split, official in OFFICIAL.items():
        part = lesions.split(split)
        assert len(part) == len(splits[split]) <= official
        assert {int(lesion.id) - 1 for lesion in part} == set(map(int, splits[split]))
    for task, counts in OFFICIAL_TEST.items():
        found, everything = lesions.split("test").counts(task), lesions.counts(task)
        unlisted = lesions.select(lambda lesion: lesion.split is None).counts(task)
        assert sum(counts) == OFFICIAL["test"]
        for (name, number), official in zip(found.items(), counts):
            assert number <= official <= min(number + unlisted[name], everything[name])
    for number, split in SAME.items():
        assert lesions.lesions[number - 1].split in (split, None)


def test_the_nine_cases_without_a_clinical_image(real):
    lesions, _ = real
    assert {int(lesion.id) for lesion in lesions if lesion.clinical is None} == set(SAME)
    assert all(path.is_file() for lesion in lesions for path in lesion.images.values())


def test_the_seven_point_rule_on_the_real_labels(real):
    """Sensitivity and specificity for melanoma that are published for the human labels."""
    lesions, _ = real
    scores = [(seven_point_score(lesion.labels), lesion.labels["diagnosis"] == "MEL") for lesion in lesions]
    for points, sensitivity, specificity in ((3, 0.929, 0.822), (1, 0.992, 0.407)):
        melanoma = [score >= points for score, is_melanoma in scores if is_melanoma]
        other = [score < points for score, is_melanoma in scores if not is_melanoma]
        assert sum(melanoma) / len(melanoma) == pytest.approx(sensitivity, abs=5e-4)
        assert sum(other) / len(other) == pytest.approx(specificity, abs=5e-4)
