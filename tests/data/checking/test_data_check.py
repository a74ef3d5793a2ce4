"""`check`: one planted fault of each kind is found, and nothing else; clean data is clean."""

from __future__ import annotations

import csv
import os
import shutil
import sys
from collections import Counter

import pytest
from PIL import Image, ImageEnhance

from amfzoo.data.checking.check import FAULTS, WARNINGS, check
from amfzoo.data.readers.csv_source import read_csv
from amfzoo.data.records import LesionSet
from amfzoo.data.split import make_split

COLUMNS = ["lesion_id", "clinical", "dermoscopy", "patient_id", "split", "diagnosis [nv|mel]"]
LABEL = COLUMNS[-1]
LESIONS = 12
SPLITS = ("train",) * 6 + ("valid",) * 6


@pytest.fixture(scope="module")
def pictures(drawn, tmp_path_factory):
    """A folder with c0.png, d0.png, ...: drawn pairs, all different."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(LESIONS):
        for name, image in zip("cd", drawn(number)):
            image.save(folder / f"{name}{number}.png")
    return folder


@pytest.fixture
def clean(pictures, tmp_path):
    """Rows of a faultless table, and the folder with its files."""
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    rows = [
        {
            "lesion_id": f"L{n}",
            "clinical": f"c{n}.png",
            "dermoscopy": f"d{n}.png",
            "patient_id": f"P{n // 2}",
            "split": SPLITS[n],
            LABEL: ("nv", "mel")[n % 2],
        }
        for n in range(LESIONS)
    ]
    return rows, tmp_path


def copy(folder, name, new):
    shutil.copy(folder / name, folder / new)
    return new


def recompress(folder, name, new):
    image = Image.open(folder / name)
    ImageEnhance.Brightness(image.resize((96, 72), Image.Resampling.BICUBIC)).enhance(1.1).save(
        folder / new, quality=90
    )
    return new


def truncate(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:-200])


def halve(folder, name, new):
    """A JPEG that lies on its side and ends in gray."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / name).save(folder / new, quality=90, exif=exif)
    data = (folder / new).read_bytes()
    start = data.rindex(b"\xff\xda")
    (folder / new).write_bytes(data[: (start + len(data)) // 2].rstrip(b"\xff") + b"\xff\xd9")
    return new


# kind -> what plants it, given the rows and the folder; and the ids that the report must name
PLANTS = {
    "bad-row": (lambda rows, folder: rows[1].update(lesion_id=""), ()),
    "bad-path": (lambda rows, folder: rows[1].update(clinical="https://example.org/c.png", dermoscopy=""), ("L1",)),
    "bad-split": (lambda rows, folder: rows[1].update(split="holdout", patient_id="P99"), ("L1",)),
    "repeated-id": (lambda rows, folder: rows[1].update(lesion_id="L0"), ("L0",)),
    "unknown-label": (lambda rows, folder: rows[1].update({LABEL: "mell"}), ("L1",)),
    "no-image": (lambda rows, folder: rows[1].update(clinical="", dermoscopy=""), ("L1",)),
    "missing-file": (lambda rows, folder: (folder / "c1.png").unlink(), ("L1",)),
    "unreadable-image": (lambda rows, folder: truncate(folder, "c1.png"), ("L1",)),
    "damaged-image": (lambda rows, folder: rows[1].update(clinical=halve(folder, "c1.png", "half.jpg")), ("L1",)),
    "same-image-twice": (lambda rows, folder: rows[1].update(clinical=copy(folder, "d1.png", "again.png")), ("L1",)),
    "duplicate-image": (
        lambda rows, folder: rows[1].update(clinical=copy(folder, "c3.png", "again.png")),
        ("L1", "L3"),
    ),
    "leaking-image": (lambda rows, folder: rows[1].update(clinical=copy(folder, "c8.png", "again.png")), ("L1", "L8")),
    "leaking-patient": (lambda rows, folder: rows[1].update(patient_id="P5"), ("L1", "L10", "L11")),
    "near-duplicate": (
        lambda rows, folder: rows[1].update(clinical=recompress(folder, "c3.png", "again.jpg")),
        ("L1", "L3"),
    ),
    "shared-image": (lambda rows, folder: rows[1].update(clinical="c3.png"), ("L1", "L3")),
    "no-split": (lambda rows, folder: rows[1].update(split="", patient_id="P99"), ("L1",)),
    "empty-class": (
        lambda rows, folder: [row.update({LABEL: "mel" if n > 6 else "nv"}) for n, row in enumerate(rows)],
        (),
    ),
    "rare-class": (lambda rows, folder: [rows[n].update({LABEL: "nv"}) for n in (1, 3)], ()),
    "like-patients": (
        lambda rows, folder: rows[1].update(patient_id=rows[0]["patient_id"].lower(), split=rows[0]["split"]),
        (),
    ),
    "open-patient": (lambda rows, folder: rows[1].update(patient_id="?"), ()),
    "rounded-id": (lambda rows, folder: rows[1].update(patient_id="1.2E+14"), ()),
    "no-patient": (lambda rows, folder: rows[1].update(patient_id=""), ("L1",)),
}


def kinds(report):
    return Counter(fault.kind for fault in (*report.faults, *report.warnings))


def test_clean_data_is_clean(clean, table):
    rows, _ = clean
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    assert report.ok and not report.warnings, report.text()
    assert (report.lesions, report.images) == (12, 24)
    assert report.counts == {
        "diagnosis": {
            "train": {"nv": 3, "mel": 3, "(several)": 0, "(unknown)": 0},
            "valid": {"nv": 3, "mel": 3, "(several)": 0, "(unknown)": 0},
        }
    }
    assert report.text().endswith("no faults")


@pytest.mark.parametrize("kind", PLANTS)
def test_a_planted_fault_is_found_and_nothing_else(clean, table, kind):
    rows, folder = clean
    plant, lesions = PLANTS[kind]
    plant(rows, folder)
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    assert kinds(report) == {kind: 1}, report.text()
    found = report.faults if kind in FAULTS else report.warnings
    fault = next(fault for fault in found if fault.kind == kind)
    assert report.ok == (kind in WARNINGS)
    assert fault.lesions == lesions
    assert fault.message in report.text()


def test_a_row_with_too_many_cells(clean, table):
    rows, _ = clean
    file = table("lesions.csv", rows, COLUMNS)
    file.write_text(file.read_text() + "L99,c0.png,,,train,nv,surplus\n")
    report = check(read_csv(file, lenient=True))
    assert kinds(report) == {"bad-row": 1} and "line 14: 7 cells" in report.faults[0].message


def test_a_column_of_one_class(clean, table):
    rows, _ = clean
    file = table("lesions.csv", [{**row, "site": "arm"} for row in rows], [*COLUMNS, "site"])
    report = check(read_csv(file, labels={"diagnosis": LABEL, "site": "site"}, lenient=True))
    assert kinds(report) == {"bad-column": 1}


def test_unlabelled_data(clean, table):
    rows, _ = clean
    report = check(
        read_csv(table("lesions.csv", [{**row, LABEL: ""} for row in rows], COLUMNS), labels={}, lenient=True)
    )
    assert kinds(report) == {"no-labels": 1} and report.ok


def test_every_kind_is_planted_somewhere():
    assert set(FAULTS) | set(WARNINGS) == {
        *PLANTS,
        *("bad-column", "no-labels", "no-lesions", "open-class", "crowded-patient", "repeated-lesion", "no-such-image"),
    }


@pytest.mark.parametrize(("label", "told"), [("mel", True), ("nv", False), ("nv|mel", False), ("", False)])
def test_one_picture_with_two_labels_is_told_of(clean, table, label, told):
    rows, folder = clean
    rows[2].update(clinical="c0.png", **{LABEL: label})  # the first is nv
    (fault,) = (one for one in check(read_csv(table(folder / "t.csv", rows))).warnings if one.kind == "shared-image")
    assert ("though not the same diagnosis; " in fault.message) == told and fault.lesions == ("L0", "L2")


def test_pictures_of_one_lesion_without_a_patient(clean, table):
    """Rows are numbered; the lesions of every second pair of rows have a patient, those of the others could be parted."""
    rows, _ = clean
    for number, row in enumerate(rows):
        row.update(lesion_id=f"L{number // 2}", patient_id="" if number % 4 < 2 else f"P{number // 2}", split="")
    found = read_csv(table("lesions.csv", rows, COLUMNS), id="", lenient=True)
    report = check(found)
    assert kinds(report) == {"no-patient": 1, "repeated-lesion": 1}
    assert (
        "6 rows without a patient share their 'lesion_id'" in report.text() and "--patient lesion_id" in report.text()
    )
    known = read_csv(table("lesions.csv", rows, COLUMNS), id="", patient="lesion_id", lenient=True)
    assert "repeated-lesion" not in kinds(check(known))


@pytest.mark.parametrize("name, told", [("dermoscopy_image", True), ("Dermatoscope file", True), ("other", False)])
def test_images_in_a_column_of_another_name(clean, table, name, told):
    rows, _ = clean
    rows = [
        {**{key: value for key, value in row.items() if key != "dermoscopy"}, name: row["dermoscopy"]} for row in rows
    ]
    columns = [name if column == "dermoscopy" else column for column in COLUMNS]
    report = check(read_csv(table("lesions.csv", rows, columns), lenient=True))
    assert kinds(report) == ({"no-such-image": 1} if told else {}), report.text()
    assert not told or f"no lesion has a dermoscopy image; are they in the column '{name}'" in report.text()
    unused = [{**row, name: "none taken"} for row in rows]
    assert not kinds(check(read_csv(table("lesions.csv", unused, columns), lenient=True)))


def test_a_patient_that_stands_for_not_known(clean, table):
    rows, _ = clean
    for row in rows[:10]:
        row.update(patient_id="clinic 7", split="")
    rows[10].update(split=""), rows[11].update(split="")
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    assert kinds(report) == {"crowded-patient": 1} and "'clinic 7' has 10 of 12 lesions" in report.text()


@pytest.mark.parametrize("first, second", [("0012", "12"), ("12", "12.0"), ("M\u00fcller 1", "Mu\u0308ller 01")])
def test_a_patient_in_two_spellings(clean, table, first, second):
    """As spreadsheets and other systems write the same number or name."""
    rows, _ = clean
    rows[0].update(patient_id=first), rows[1].update(patient_id=second, split=rows[0]["split"])
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    assert kinds(report)["like-patients"] == 1


def test_a_file_in_a_folder_that_may_not_be_read_is_not_missing(clean, table, monkeypatch):
    rows, folder = clean

    def stat(path, *args, **kwargs):
        if str(path).endswith("c1.png"):
            raise PermissionError(13, "Permission denied")
        return found(path, *args, **kwargs)

    found = os.stat
    monkeypatch.setattr(os, "stat", stat)
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    assert kinds(report) == {"unreadable-image": 1} and "permission denied" in report.text()


def test_all_unknown_labels_are_listed_with_the_nearest_class(clean, table):
    rows, _ = clean
    for number, text in ((1, "mell"), (4, "nvv"), (7, "zzz")):
        rows[number][LABEL] = text
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    messages = [fault.message for fault in report.faults]
    assert kinds(report) == {"unknown-label": 3, "rare-class": 1}  # of the 6 of each class
    assert "line 3" in messages[0] and "'mell'; did you mean 'mel'?" in messages[0]
    assert "did you mean 'nv'" in messages[1] and "known: mel, nv" in messages[2]


def test_a_column_that_looks_like_the_patients_is_named(clean, table):
    rows, _ = clean
    renamed = [{("PatientenNr" if name == "patient_id" else name): cell for name, cell in row.items()} for row in rows]
    columns = ["PatientenNr" if name == "patient_id" else name for name in COLUMNS]
    report = check(read_csv(table("lesions.csv", renamed, columns), lenient=True))
    (warning,) = report.warnings
    assert warning.kind == "no-patient" and "--patient PatientenNr" in warning.message


def test_many_faults_at_once(clean, table):
    """Faults do not hide each other."""
    rows, folder = clean
    rows[0].update({LABEL: "x"})
    (folder / "d1.png").unlink()
    truncate(folder, "d2.png")
    rows[3].update(clinical="", dermoscopy="")
    rows[4].update(clinical="d4.png")
    rows[7].update(dermoscopy=copy(folder, "d8.png", "again.png"), patient_id="P0")
    report = check(read_csv(table("lesions.csv", rows, COLUMNS), lenient=True))
    assert kinds(report) == {
        "unknown-label": 1,
        "missing-file": 1,
        "unreadable-image": 1,
        "no-image": 1,
        "same-image-twice": 1,
        "duplicate-image": 1,
        "leaking-patient": 1,
    }


def test_workers_do_not_change_the_report(clean, table):
    rows, folder = clean
    rows[1].update(clinical=copy(folder, "c3.png", "again.png"))
    lesions = read_csv(table("lesions.csv", rows, COLUMNS), lenient=True)
    one, four = (check(lesions, workers=workers).to_dict() for workers in (1, 4))
    assert {**one, "seconds": 0} == {**four, "seconds": 0}


def test_copies_can_be_kept_together(clean, table):
    rows, folder = clean
    rows[1].update(clinical=recompress(folder, "c8.png", "again.jpg"))
    lesions = read_csv(table("lesions.csv", rows, COLUMNS), lenient=True)
    copies = check(lesions).copies
    assert [set(ids) for ids in copies] == [{"L1", "L8"}]
    for seed in range(20):
        found = {lesion.id: lesion.split for lesion in make_split(lesions, 0.4, seed=seed, together=copies)}
        assert found["L1"] == found["L8"]


def test_a_set_without_lesions():
    report = check(LesionSet("nothing", (), {"diagnosis": ("a", "b")}))
    assert [fault.kind for fault in report.faults] == ["no-lesions"] and report.images == 0


def test_a_class_called_unknown_keeps_its_count(clean, table):
    rows, _ = clean
    rows[1].update({LABEL: "unknown"})
    columns = [*COLUMNS]
    counts = check(
        read_csv(table("lesions.csv", rows, columns), labels={"d": (LABEL, ["nv", "mel", "unknown", "(none)"])})
    ).counts
    assert sum(split["unknown"] for split in counts["d"].values()) == 1


def test_paths_that_cannot_be_looked_at_are_faults_of_their_rows(clean):
    rows, folder = clean
    nul = "\0" if sys.version_info >= (3, 11) else ""
    rows[3] = {**rows[3], "clinical": "x" * 300 + ".png"}
    rows[4] = {**rows[4], "clinical": f"../x{nul}y/z.png"}
    with open(folder / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    report = check(read_csv(folder / "t.csv"))
    assert [(fault.kind, fault.lesions) for fault in report.faults] == [
        ("missing-file", ("L3",)),
        ("missing-file", ("L4",)),
    ]
