"""Classes by the names that a network has for them."""

from __future__ import annotations

import pytest

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.spelling import as_spoken, spelled_as


def lesion_set(classes, *labels, task="diagnosis"):
    lesions = tuple(Lesion(str(number), labels={task: label}) for number, label in enumerate(labels))
    return LesionSet("test", lesions, {task: classes, "streaks": ("absent", "present")})


def test_classes_take_the_case_of_the_other_side():
    found = spelled_as(
        lesion_set(("mel", "NV", "bcc"), "mel", "NV", ("mel", "bcc")), {"diagnosis": ("NV", "MEL", "BCC")}
    )
    assert found.tasks == {"diagnosis": ("MEL", "NV", "BCC"), "streaks": ("absent", "present")}
    assert [lesion.labels["diagnosis"] for lesion in found] == ["MEL", "NV", ("MEL", "BCC")]


def test_what_is_not_certain_or_another_task_stays():
    lesions = lesion_set(("mel", "nv", "Nv", "scc"), "mel", "Nv", "scc")
    for tasks in (
        {"diagnosis": ("MEL_", "NV", "SCCKA")},  # two of ours may be NV
        {"diagnosis": ("MEL", "Mel")},  # ours may be either
        {"streaks": ("absent", "present"), "lesion": ("MEL",)},
        {},
    ):
        assert spelled_as(lesions, tasks) is lesions


@pytest.mark.parametrize(
    "names",
    [("12", "0012", "12.0"), ("Müller", "Mu\u0308ller ", "MÜLLER"), ("Straße", "STRASSE"), ("P７", "P 7", "p07")],
)
def test_names_that_are_one_but_for_their_spelling(names):
    assert len({as_spoken(name) for name in (*names, f"\u200b{names[0]}")}) == 1


@pytest.mark.parametrize("names", [("1001", "11"), ("1.05", "1.5"), ("12.5", "12"), ("10", "1"), ("Müller", "Muller")])
def test_other_names_stay_apart(names):
    assert as_spoken(names[0]) != as_spoken(names[1])
