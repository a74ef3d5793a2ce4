"""What a diagnosis and a raw label change in a drawn pair."""

from __future__ import annotations

import numpy as np
import pytest

from amfzoo.data.synthetic import draw_pair
from amfzoo.data.synthetic.habit import draw_habit
from amfzoo.errors import ConfigError
from amfzoo.labels import CHECKLIST, DERM7PT, DIAGNOSIS

SIZE = (128, 96)
RAW = [(name, raw) for name, task in CHECKLIST.items() for raw in task.raw if raw not in task.classes]


def pixels(image) -> np.ndarray:
    return np.asarray(image, dtype=np.int16)


@pytest.mark.parametrize("diagnosis", DERM7PT.tasks[DIAGNOSIS].raw)
def test_every_raw_diagnosis_can_be_drawn_and_changes_both_pictures(diagnosis):
    plain, pair = draw_pair(seed=1, size=SIZE), draw_pair(seed=1, size=SIZE, diagnosis=diagnosis)
    assert pair.diagnosis == diagnosis
    for name in ("clinical", "dermoscopy"):
        assert (pixels(getattr(plain, name)) != pixels(getattr(pair, name))).any()


@pytest.mark.parametrize(("criterion", "raw"), RAW)
def test_a_raw_label_is_drawn_as_a_kind_of_its_class(criterion, raw):
    group = CHECKLIST[criterion].group(raw)
    pair = draw_pair({criterion: raw}, seed=1, size=SIZE)
    assert pair.findings[criterion] == group and pair.subtypes == {criterion: raw}
    assert 0.001 < pair.masks[criterion].mean() < 0.6
    if raw not in ("diffuse regular", "combinations"):  # these two are how the class itself is drawn
        assert (pixels(pair.dermoscopy) != pixels(draw_pair({criterion: group}, seed=1, size=SIZE).dermoscopy)).any()


def test_signs_of_a_diagnosis_leave_the_masks_of_findings_alone():
    findings = {"dots_and_globules": "regular"}
    plain = draw_pair(findings, seed=2, size=SIZE, diagnosis="melanosis")
    assert plain.masks["dots_and_globules"].any()
    keratosis = draw_pair(findings, seed=2, size=SIZE, diagnosis="SK")
    assert not any(keratosis.masks[name].any() for name in CHECKLIST if name != "dots_and_globules")


def test_habits_are_those_of_textbooks():
    habits = {
        name: [draw_habit(name, seed) for seed in range(50)] for name in ("NEV", "MEL", "BCC", "SK", "vascular lesion")
    }

    def mean(name: str, key: str) -> float:
        return float(np.mean([getattr(habit, key) for habit in habits[name]]))

    assert mean("MEL", "lobes") > 1.5 * mean("NEV", "lobes")
    assert mean("BCC", "darkness") < 0.6 * mean("NEV", "darkness")
    assert mean("SK", "elevation") > mean("NEV", "elevation")
    vascular = draw_pair(seed=3, size=SIZE, skin_tone=4, diagnosis="vascular lesion")
    red = pixels(vascular.dermoscopy)[vascular.lesion].mean(axis=0)
    brown = pixels(draw_pair(seed=3, size=SIZE, skin_tone=4).dermoscopy)
    assert red[0] - red[1] > 1.5 * (brown[..., 0] - brown[..., 1])[vascular.lesion].mean()


def test_the_photo_knows_where_large_findings_lie():
    pair = draw_pair({"blue_whitish_veil": "present"}, seed=4, size=SIZE)
    mask = pair.clinical_masks["blue_whitish_veil"]
    assert mask.any() and not (mask & ~pair.clinical_lesion).any()


def test_an_unknown_diagnosis_is_named():
    with pytest.raises(ConfigError, match="blue nevus"):
        draw_pair(diagnosis="blue naevus")
