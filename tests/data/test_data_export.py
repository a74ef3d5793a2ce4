"""What `write_csv` writes reads back equal, or is not written."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from amfzoo.data.export import write_csv
from amfzoo.data.readers.csv_source import read_csv
from amfzoo.data.records import Lesion, LesionSet, concat
from amfzoo.errors import ConfigError

TASKS = {"diagnosis": ("nv", "mel", "bcc"), "streaks": ("regular", "irregular", "absent")}


@pytest.fixture
def lesions(tmp_path):
    return LesionSet(
        "set",
        (
            Lesion(
                'A, "1"',
                tmp_path / "a b" / "c,1.jpg",
                tmp_path.parent / "elsewhere" / "d.png",
                {"diagnosis": "mel", "streaks": ("irregular", "regular")},
                "P;1",
                "train",
                {"age": "70", "note": "two\nlines; ü"},
            ),
            Lesion("B", None, tmp_path / "d.jpg", {"streaks": "absent"}, None, "test"),
            Lesion(
                "C",
                tmp_path / "c.jpg",
                None,
                {},
                "P;1",
                None,
                {
                    "split": "left",
                    "id": "x",
                    "patient": "y",
                    "streaks": "many",
                    "diagnosis": "?",
                    "metadata:age": "z",
                    "x [a|b]": "b",
                },
            ),
        ),
        TASKS,
    )


def test_a_table_written_through_a_link_reads_back_through_it_and_without_it(lesions, tmp_path):
    file, link = tmp_path / "elsewhere" / "lesions.csv", tmp_path / "mine.csv"
    file.parent.mkdir()
    link.symlink_to(file)
    write_csv(lesions, link)
    assert link.is_symlink() and read_csv(link).lesions == read_csv(file).lesions == lesions.lesions


def test_round_trip(lesions, tmp_path):
    file = tmp_path / "out" / "lesions.csv"
    file.parent.mkdir()
    write_csv(lesions, file)
    again = read_csv(file)
    assert again.lesions == lesions.lesions
    assert again.tasks == TASKS
    assert os.listdir(file.parent) == ["lesions.csv"]


def test_the_file_is_plain_and_its_paths_are_relative(lesions, tmp_path):
    write_csv(lesions.select(lambda lesion: lesion.id == "B"), tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == (
        "lesion_id,clinical,dermoscopy,patient_id,split,diagnosis [nv|mel|bcc],streaks [regular|irregular|absent]\n"
        "B,,d.jpg,,test,,absent\n"
    )


def test_table_and_images_can_be_moved_together(lesions, tmp_path):
    write_csv(lesions, tmp_path / "lesions.csv")
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    moved.mkdir()
    os.replace(tmp_path / "lesions.csv", moved / "lesions.csv")
    assert read_csv(moved / "lesions.csv").lesions[1].dermoscopy == moved / "d.jpg"


def test_sets_of_several_sources(lesions, tmp_path):
    joined = concat([lesions, replace(lesions, name="other")])
    write_csv(joined, tmp_path / "joined.csv")
    assert read_csv(tmp_path / "joined.csv").lesions == joined.lesions


def test_without_tasks_and_without_lesions(tmp_path):
    for found in (LesionSet("x", (Lesion("1", tmp_path / "c.jpg"),), {}), LesionSet("x", (), TASKS)):
        write_csv(found, tmp_path / "x.csv")
        again = read_csv(tmp_path / "x.csv")
        assert (again.lesions, again.tasks) == (found.lesions, found.tasks)


@pytest.mark.parametrize(
    ("lesion", "tasks", "message"),
    [
        (Lesion("1"), {"x": ("a|b", "c")}, "the tasks"),
        (Lesion("1"), {"x [y]": ("b", "c")}, "the tasks"),
        (Lesion(" 1"), TASKS, "lesion ' 1' would differ in id"),
    ],
)
def test_what_csv_cannot_hold_is_refused_and_the_old_file_stays(tmp_path, lesion, tasks, message):
    file = tmp_path / "x.csv"
    file.write_text("old")
    with pytest.raises(ConfigError, match=message):
        write_csv(LesionSet("x", (lesion,), tasks), file)
    assert file.read_text() == "old" and os.listdir(tmp_path) == ["x.csv"]


def test_errors(lesions, tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        write_csv(lesions, tmp_path / "nowhere" / "x.csv")
    for name in ("x.parquet", "x.PQ"):
        with pytest.raises(ConfigError, match="only CSV is written"):
            write_csv(lesions, tmp_path / name)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_table_reached_through_a_link_finds_its_images(tmp_path):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "deep")
    image = tmp_path / "pictures" / "a.jpg"
    write_csv(LesionSet("x", (Lesion("a", image),), {}), tmp_path / "link" / "t.csv")
    (found,) = read_csv(tmp_path / "link" / "t.csv")
    assert os.path.realpath(found.clinical) == os.path.realpath(image)
