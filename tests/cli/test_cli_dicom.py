"""amfzoo predict on a table of DICOM files."""

from __future__ import annotations

import numpy as np
import pytest
from cli_case import read_table, write_table
from dicom_case import DERMOSCOPY, PATIENT, VL_PHOTO, dataset, encoded
from pydicom import uid

from amfzoo.data.synthetic import draw_pair

HEADER = ("lesion", "clinical", "dermoscopy")


@pytest.fixture
def folder(tmp_path):
    """One drawn pair as PNG and as DICOM of several transfer syntaxes, one DICOM file that was cut off."""
    pair = draw_pair({"streaks": "irregular"}, seed=3, size=(96, 72))
    pair.clinical.save(tmp_path / "c.png")
    pair.dermoscopy.save(tmp_path / "d.png")
    clinical, dermoscopy = np.asarray(pair.clinical), np.asarray(pair.dermoscopy)
    plain = encoded(dataset(dermoscopy, "RGB", SOPClassUID=DERMOSCOPY))
    packed = dataset(dermoscopy, "RGB", SOPClassUID=DERMOSCOPY)
    packed.compress(uid.RLELossless)
    (tmp_path / "c.dcm").write_bytes(encoded(dataset(clinical, "RGB", SOPClassUID=VL_PHOTO)))
    (tmp_path / "d.dcm").write_bytes(plain)
    (tmp_path / "IM0001").write_bytes(encoded(packed))  # as archives name them
    (tmp_path / "cut.dcm").write_bytes(plain[: len(plain) // 2])
    return tmp_path


def test_a_table_of_dicom_files_is_answered_like_the_same_pictures(run, tiny, folder):
    rows = [
        ("png", "c.png", "d.png"),
        ("dicom", "c.dcm", "d.dcm"),
        ("packed", "c.dcm", "IM0001"),
        ("cut", "c.dcm", "cut.dcm"),
        ("one", "", "IM0001"),
    ]
    source, out = write_table(folder / "pairs.csv", rows, HEADER), folder / "answers.csv"
    assert run("predict", source, "--out", out, "--model", tiny).code != 0  # one row has an error
    png, *others = read_table(out)
    assert [row["error"] == "" for row in others] == [True, True, False, True]
    for row in others[:2]:
        assert {name: row[name] for name in row if name not in HEADER} == {
            name: png[name] for name in png if name not in HEADER
        }
    assert "cut.dcm: the DICOM pixels" in others[2]["error"]
    assert others[3]["missing"] == "clinical"


def test_nothing_of_the_patient_is_in_the_answers(run, tiny, folder):
    source = write_table(folder / "pairs.csv", [("a", "c.dcm", "d.dcm"), ("b", "c.dcm", "cut.dcm")], HEADER)
    ended = run("predict", source, "--out", folder / "answers.csv", "--model", tiny)
    written = ended.out + ended.err + (folder / "answers.csv").read_text(encoding="utf-8")
    assert "cut.dcm" in written and not any(secret in written for secret in PATIENT)
