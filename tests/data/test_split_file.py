"""The file of splits: what it gives back, to which lesions, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from amfzoo.data.records import Lesion, LesionSet, concat, join
from amfzoo.data.split import make_split
from amfzoo.data.split_file import read_split, splits_in, write_split
from amfzoo.errors import ConfigError


@pytest.fixture
def singles():
    return LesionSet("singles", tuple(Lesion(f"L{n}", f"{n}.jpg") for n in range(1000)), {})


def numbered(name: str, order: list[int]) -> LesionSet:
    """A table without ids, its rows in some order."""
    lesions = (Lesion(str(row), f"c{n}.jpg", f"d{n}.jpg") for row, n in enumerate(order, start=1))
    return LesionSet(name, tuple(lesions), {})


def test_splits_are_written_and_read(singles, tmp_path):
    found = make_split(singles, 0.2, 0.1, stratify=None)
    write_split(found, tmp_path / "split.csv")
    assert read_split(singles, tmp_path / "split.csv").lesions == found.lesions
    write_split(singles, tmp_path / "none.csv")
    assert {one.split for one in read_split(found, tmp_path / "none.csv")} == {None}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: re.sub("L999,.*\n", "", text), r"lacks lesions L999 \(1 in all\)"),
        (lambda text: text + "M1,train\n", "names the unknown lesions M1"),
        (lambda text: text + "L999,train\n", "line 1002: the lesion 'L999' comes twice"),
        (lambda text: text.replace(",train", ",tarin", 1), "split 'tarin' must be one of"),
        (lambda text: text.replace("lesion_id", "id"), "no column 'lesion_id'"),
    ],
)
def test_a_split_of_other_lesions_is_refused(singles, tmp_path, change, message):
    file = tmp_path / "split.csv"
    write_split(make_split(singles, stratify=None), file)
    file.write_text(change(file.read_text()))
    with pytest.raises(ConfigError, match=message):
        read_split(singles, file)


def test_a_file_of_something_else_is_left_alone(tmp_path):
    lesions = LesionSet("x", (Lesion("1", tmp_path / "c.jpg", split="train"),), {})
    table = tmp_path / "lesions.csv"
    table.write_text("lesion_id,split,clinical\n1,train,c.jpg\n")
    with pytest.raises(ConfigError, match="left as it is"):
        write_split(lesions, table)
    assert "clinical" in table.read_text()
    for _ in range(2):  # a split may be written again
        write_split(lesions, tmp_path / "split.csv")
    assert read_split(lesions, tmp_path / "split.csv").lesions == lesions.lesions


def test_numbers_of_rows_are_no_names_so_the_images_tell_which_lesion_it_is(tmp_path):
    before = make_split(numbered("a.csv", list(range(40))), stratify=None)
    write_split(before, tmp_path / "split.csv")
    split = {lesion.clinical: lesion.split for lesion in before}
    after = numbered("a.csv", list(range(39, -1, -1)))
    assert {one.clinical: one.split for one in read_split(after, tmp_path / "split.csv")} == split
    with pytest.raises(ConfigError, match="lacks lesions 1 "):
        read_split(numbered("a.csv", [99, *range(1, 40)]), tmp_path / "split.csv")


def test_where_images_do_not_tell_lesions_apart_ids_do(tmp_path):
    lesions = LesionSet("x", tuple(Lesion(str(n), f"{n}/photo.jpg") for n in range(1, 21)), {})
    found = make_split(lesions, stratify=None)
    write_split(found, tmp_path / "split.csv")
    assert read_split(lesions, tmp_path / "split.csv").lesions == found.lesions


def test_a_file_of_several_sources_does_for_one_of_them_also_under_another_name(tmp_path):
    wards = [replace(numbered(name, order)) for name, order in (("a.csv", [0, 1, 2]), ("b.csv", [3, 4, 5, 6]))]
    joint = make_split(concat(wards), 0.4, stratify=None)
    write_split(joint, tmp_path / "split.csv")
    wanted = {lesion.clinical: lesion.split for lesion in joint}
    for ward in (*wards, replace(wards[1], name="renamed.csv")):
        assert {one.clinical: one.split for one in read_split(ward, tmp_path / "split.csv")} == {
            lesion.clinical: wanted[lesion.clinical] for lesion in ward
        }
    assert len(splits_in(tmp_path / "split.csv", numbered("other.csv", [5, 6, 70]))) == 2
    with pytest.raises(ConfigError, match="was it made for other.csv"):
        read_split(numbered("other.csv", [5, 6, 70]), tmp_path / "split.csv")


def test_files_with_two_columns_are_read(singles, tmp_path):
    (tmp_path / "split.csv").write_text("lesion_id,split\n" + "".join(f"L{n},train\n" for n in range(1000)))
    assert {lesion.split for lesion in read_split(singles, tmp_path / "split.csv")} == {"train"}


def test_another_split_in_the_file_is_lost_only_where_it_may_be(singles, tmp_path):
    one, other = (make_split(singles, seed=seed, stratify=None) for seed in range(2))
    write_split(one, tmp_path / "split.csv")
    write_split(one, tmp_path / "split.csv", overwrite=False)
    with pytest.raises(ConfigError, match="is there already"):
        write_split(other, tmp_path / "split.csv", overwrite=False)
    assert read_split(singles, tmp_path / "split.csv").lesions == one.lesions


def test_ids_that_stand_for_other_lesions_now_are_found_by_their_images(tmp_path):
    """Rows sorted and numbered anew, from 0 or within one of several sources: no lesion goes into another split than before."""
    before = LesionSet("x", tuple(Lesion(str(n), f"c{n}.jpg", f"d{n}.jpg") for n in range(30)), {})
    found = make_split(before, stratify=None)
    write_split(found, tmp_path / "split.csv")
    split = {lesion.clinical: lesion.split for lesion in found}
    again = LesionSet("x", tuple(Lesion(str(29 - n), f"c{n}.jpg", f"d{n}.jpg") for n in range(30)), {})
    assert {one.clinical: one.split for one in read_split(again, tmp_path / "split.csv")} == split
    other = replace(again, lesions=(replace(again.lesions[0], clinical="new.jpg"), *again.lesions[1:]))
    with pytest.raises(ConfigError, match="ids stand for other lesions than in this split"):
        read_split(other, tmp_path / "split.csv")
    renamed = replace(before, lesions=tuple(Lesion(one.id, f"{one.id}.png") for one in before))
    assert (
        read_split(renamed, tmp_path / "split.csv").lesions[0].split == found.lesions[0].split
    )  # ids are as they were


def test_sources_of_one_name_keep_their_ids_in_any_order(tmp_path):
    """Their files may have the same names, so that nothing but the folder tells them apart."""
    sites = [LesionSet("lesions.csv", [Lesion(str(n), Path(site, f"{n}.jpg")) for n in range(20)], {}) for site in "AB"]
    found = make_split(join(sites), 0.3, stratify=None)
    write_split(found, tmp_path / "split.csv")
    again = read_split(join(sites[::-1]), tmp_path / "split.csv")
    assert {one.clinical: one.split for one in again} == {one.clinical: one.split for one in found}
    assert {one.split for one in found} == {"train", "valid"}


def test_each_lesion_is_found_for_itself(tmp_path):
    """One picture that two rows have, or rows without any, do not hide that the others were put in another order."""
    pictures = ["a.jpg", "b.jpg", "c.jpg", "c.jpg", None, None]
    lesions = [Lesion(f"L{n}", dermoscopy=name) for n, name in enumerate(pictures)]
    found = [
        replace(one, split=split) for one, split in zip(lesions, ["train", "test", "valid", "valid", "train", "test"])
    ]
    write_split(LesionSet("x", found, {}), tmp_path / "split.csv")
    swapped = [Lesion("L0", dermoscopy="b.jpg"), Lesion("L1", dermoscopy="a.jpg"), *lesions[2:]]
    again = read_split(LesionSet("x", swapped, {}), tmp_path / "split.csv")
    assert [one.split for one in again] == ["test", "train", "valid", "valid", "train", "test"]
    renamed = LesionSet("x", [Lesion("new", dermoscopy="a.jpg"), *lesions[1:]], {})
    assert read_split(renamed, tmp_path / "split.csv").lesions[0].split == "train"
    taken = LesionSet("x", [Lesion("L0", dermoscopy="new.jpg"), Lesion("new", dermoscopy="a.jpg")], {})
    with pytest.raises(ConfigError, match="ids stand for other lesions"):
        splits_in(tmp_path / "split.csv", taken)
    both = [replace(found[2], split="train"), *found[3:]]
    write_split(LesionSet("x", both, {}), tmp_path / "both.csv")
    with pytest.raises(ConfigError, match="in different splits"):
        splits_in(tmp_path / "both.csv", LesionSet("x", [Lesion("L9", dermoscopy="c.jpg")], {}))
