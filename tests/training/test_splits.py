"""Which lesions a run learns from, and which it holds out."""

from dataclasses import replace

import pytest

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.errors import ConfigError
from amfzoo.training.splits import check_leaks, folds_of, split_lesions


def test_lesions_without_a_split_follow_their_patient(tmp_path):
    """Every patient has a lesion with a split and one without; P5's picture is also named for P9."""
    given = [
        Lesion(f"A{n}", tmp_path / f"{n}.jpg", patient=f"P{n}", split=("train", "valid", "test")[n % 3])
        for n in range(9)
    ]
    free = [Lesion(f"B{n}", patient=f"P{n}") for n in range(9)] + [Lesion("C", tmp_path / "5.jpg", patient="P9")]
    lesions = split_lesions(LesionSet("x", (*given, *free), {"diagnosis": ("nv", "mel")}), valid=0.5, seed=0)
    splits = {lesion.id: lesion.split for lesion in lesions}
    assert [splits[f"B{n}"] for n in range(9)] == [splits[f"A{n}"] for n in range(9)]
    assert splits["C"] == splits["A5"] == "test"


def test_without_validation_lesions_some_of_training_are_taken_and_none_of_test():
    given = [Lesion(f"{n}", patient=f"P{n // 2}", split="test" if n < 10 else "train") for n in range(40)]
    lesions = split_lesions(LesionSet("x", tuple(given), {"diagnosis": ("nv", "mel")}), valid=0.2, seed=0)
    assert {lesion.id for lesion in lesions.split("test")} == {str(n) for n in range(10)}
    valid, train = ({lesion.patient for lesion in lesions.split(name)} for name in ("valid", "train"))
    assert valid and train and not valid & train


def test_data_without_labels_says_how_to_name_them():
    with pytest.raises(ConfigError, match="nothing is labelled.*--label TASK=COLUMN"):
        split_lesions(LesionSet("x", (Lesion("1"),), {}), valid=0.2, seed=0)


def test_patients_and_image_files_on_both_sides_of_a_split_are_warned_of(tmp_path, caplog):
    picture = tmp_path / "one.jpg"
    check_leaks(
        LesionSet("x", (Lesion("1", picture, split="train"), Lesion("2", tmp_path / "two.jpg", split="valid")), {})
    )
    assert not caplog.text
    lesions = (Lesion("1", picture, patient="P", split="train"), Lesion("2", patient="P", split="valid"),
               Lesion("3", dermoscopy=tmp_path / "x" / ".." / "one.jpg", split="test"))  # fmt: skip
    check_leaks(LesionSet("x", lesions, {}))
    assert "1 patients are in both training and validation" in caplog.text
    assert "1 image files are in both training and test" in caplog.text and caplog.text.count("flatter") == 2


def _twenty() -> LesionSet:
    """Two lesions a patient; P0 has a test lesion, and one without a split."""
    labels = [{"diagnosis": ("nv", "mel")[n // 2 % 2]} for n in range(20)]
    splits = ["test", None, "train", "train", "valid", "valid", *[None] * 14]
    given = (Lesion(f"L{n}", f"{n}.jpg", patient=f"P{n // 2}", labels=labels[n], split=splits[n]) for n in range(20))
    return LesionSet("x", tuple(given), {"diagnosis": ("nv", "mel")})


def test_each_fold_holds_out_other_patients_until_all_were_and_no_test_lesion():
    parts = folds_of(_twenty(), 3, seed=0)
    held_out = [{lesion.patient for lesion in part.split("valid")} for part in parts]
    assert sorted(patient for fold in held_out for patient in fold) == sorted(f"P{n}" for n in range(1, 10))
    for part, own in zip(parts, held_out):
        assert {lesion.id for lesion in part.split("test")} == {"L0", "L1"}
        assert {lesion.patient for lesion in part.split("train")} == {f"P{n}" for n in range(1, 10)} - own


@pytest.mark.parametrize(
    ("folds", "says"),
    [
        (1, "at least 2"),
        (
            12,
            "18 lesions of 9 patients, 18 of them with an image and a label, are too few for 12 folds: .* fewer folds",
        ),
    ],
)
def test_folds_that_the_lesions_do_not_give_are_refused(folds, says):
    with pytest.raises(ConfigError, match=says):
        folds_of(_twenty(), folds, seed=0)
    unlabelled = replace(_twenty(), lesions=tuple(replace(one, labels={}) for one in _twenty()))
    with pytest.raises(ConfigError, match="too few for 2 folds: fold 0 has none with an image and a label"):
        folds_of(unlabelled, 2, seed=0)
