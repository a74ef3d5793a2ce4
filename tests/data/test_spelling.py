"""Classes by the names that a network has for them."""

from __future__ import annotations

from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.spelling import spelled_as


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
