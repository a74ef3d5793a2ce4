"""Notes on names that are none: cells left open, ids that a spreadsheet has rounded, one patient for all."""

from __future__ import annotations

import pytest

from amfzoo.data.notes import notes, patient_note
from amfzoo.data.records import Lesion, LesionSet, concat

CLASSES = ("MEL", "NV")


def lesions(count=12, *, classes=CLASSES, label=None, patient=None, id=None, name="table.csv") -> LesionSet:
    """Every lesion is another patient's; `label`, `patient` and `id` give those of a lesion's number another, None for the usual."""
    found = []
    for n in range(count):
        given = {
            what: None if one is None else one(n) for what, one in (("label", label), ("patient", patient), ("id", id))
        }
        labels = {"diagnosis": given["label"] or classes[n % 2]}
        found.append(Lesion(given["id"] or f"L{n}", labels=labels, patient=given["patient"] or f"P{n}"))
    return LesionSet(name, tuple(found), {"diagnosis": classes})


def told(data: LesionSet) -> dict[str, str]:
    return dict(notes(data))


@pytest.mark.parametrize("name", ["unknown", "Unbekannt", "inconnu", "Not  known", "k. A.", "n.k.", "?", "-", "."])
def test_a_class_that_stands_for_not_known_is_told_of(name):
    found = told(lesions(classes=("MEL", "NV", name), label=lambda n: name if n < 5 else None))
    assert list(found) == ["open-class"]
    assert found["open-class"] == (
        f"the class {name!r} (5 lesions) of 'diagnosis' reads like a cell that was left open: empty such cells, "
        "else it is learned as a class of its own"
    )


@pytest.mark.parametrize("name", ["none", "absent", "other", "NK", "unknown primary", "ka"])
def test_a_class_that_may_be_a_finding_is_not(name):
    assert not told(lesions(classes=("MEL", name)))


def test_a_class_that_no_lesion_has_is_not_told_of():
    assert not told(lesions(classes=("MEL", "NV", "unknown")))


@pytest.mark.parametrize("name", ["unbekannt", "UNKNOWN", "none", "keine Angabe", "?"])
@pytest.mark.parametrize("count", [1, 12])
def test_a_patient_that_stands_for_not_known_is_told_of_once(name, count):
    """Also where it has all lesions, and where sources are put together, whose names stand in front."""
    data = lesions(patient=lambda n: name if n < count else None)
    many = f"{count} lesion" + "s" * (count > 1)
    for found, shown in ((data, name), (concat([data]), f"table.csv/{name}")):
        assert list(told(found)) == ["open-patient"]
        text = told(found)["open-patient"]
        assert text.startswith(f"the patient {shown!r} ({many}) reads like a cell that was left open: empty such cells")
        assert text.endswith("else these lesions count as one patient's")


def test_several_such_patients_are_told_of_together():
    found = told(lesions(patient=lambda n: ("?", "-", "?", None)[n % 4]))
    assert found["open-patient"].startswith(
        "the patients '?' (6 lesions), '-' (3 lesions) read like cells that were left open"
    )


@pytest.mark.parametrize("patient, said", [("7", True), ("1E+14", False)])
def test_one_patient_for_all_lesions_is_told_of(patient, said):
    """Rounded numbers are, as such."""
    found = told(lesions(40, patient=lambda n: patient))
    assert list(found) == (["crowded-patient"] if said else ["rounded-id"])
    assert not said or "all 40 lesions have the patient '7'" in found["crowded-patient"]
    assert "crowded-patient" not in told(lesions(5, patient=lambda n: "7"))


@pytest.mark.parametrize("number", ["1E+14", "1.23457E+11", "1,2E+05", "2e+10"])
def test_ids_that_a_spreadsheet_has_rounded_are_told_of(number):
    for where, data in (
        ("lesion", lesions(id=lambda n: number if n == 3 else None)),
        ("patient", lesions(patient=lambda n: number if n < 3 else None)),
    ):
        text = told(data)["rounded-id"]
        assert f"({where} {number!r})" in text and "format the column as text and export the table again" in text


@pytest.mark.parametrize("name", ["1E14", "E+14", "12E+3", "1E+", "A1E+14", "100000000000000"])
def test_other_ids_are_not(name):
    assert not told(lesions(id=lambda n: name if n == 3 else None))


def test_what_is_advised_can_be_given_to_a_shell_as_it_stands():
    rows = [
        Lesion(
            f"L{n}",
            dermoscopy=f"{n}.jpg",
            metadata={"Clinical photo": f"c{n}.jpg", "Patient no.": "1", "Lesion ID": "7"},
        )
        for n in range(2)
    ]
    data = LesionSet("table.csv", tuple(rows), {})
    assert (patient_note(data) or "").endswith("Then say --patient 'Patient no.'")
    assert told(data)["no-such-image"].endswith("Then say --clinical 'Clinical photo'")
    assert told(data)["repeated-lesion"].endswith("(--patient 'Lesion ID')")
