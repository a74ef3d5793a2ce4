"""What `Cases` takes and refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from evaluation_cases import CLASSES, make

from amfzoo.errors import ConfigError
from amfzoo.evaluation import Cases, subgroup_scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": ["L0", "L1", "L0"]}, "'L0' comes twice"),
        ({"groups": ["a"]}, "1 entries in groups"),
        ({"metadata": {"sex": ["f"]}}, "1 entries in metadata 'sex'"),
        ({"mode": "all"}, "mode 'all'"),
        ({"labels": {"diagnosis": np.array([0, 1, 3])}}, "'L2': no class has the index 3"),
        ({"labels": {"diagnosis": np.array([0, 1, -2])}}, "'L2': no class has the index -2"),
        ({"labels": {"diagnosis": np.array([0.0, 1.0, 2.0])}}, "must be 3 integers"),
        ({"labels": {}}, "labels are given for"),
        ({"probabilities": {"diagnosis": np.full((3, 2), 0.5)}}, "expected \\(3, 3\\)"),
        ({"probabilities": {"diagnosis": np.full((3, 3), 0.5)}}, "sum to 1.5"),
        ({"tasks": {"a:b": CLASSES}}, "cannot be the name"),
    ],
)
def test_bad_arrays(change, message):
    with pytest.raises(ConfigError, match=message):
        Cases(**{**vars(make(3)), **change})


def test_cases_take_what_data_frames_hold(tmp_path):
    """None and NaN are what is not recorded, numbers what a table would say; subgroups and files read them."""
    columns = {"sex": ["f", None, math.nan] * 20, "age": [40.0, 50, math.nan] * 20}
    cases = make(60, splits=["test", None, math.nan] * 20, metadata=columns)
    assert cases.splits[:3] == ("test", "", "")
    assert {name: column[:3] for name, column in cases.metadata.items()} == {
        "sex": ("f", "", ""),
        "age": ("40", "50", ""),
    }
    bands = [row["subgroup"] for row in subgroup_scores(cases, "diagnosis", "age", resamples=0)]
    assert bands == ["30-44", "45-59", "not recorded"]
    cases.write(tmp_path / "cases.csv")
    assert Cases.read(tmp_path / "cases.csv").metadata == cases.metadata


@pytest.mark.parametrize("groups", (["patient:a", "P7", "lesion:c"], ["patient:a", 7, "lesion:c"]))
def test_a_group_that_says_neither_patient_nor_lesion_is_refused(groups):
    """Its patient would be lost when the cases are written, and reports would say that no patient is known."""
    with pytest.raises(ConfigError, match="'L1': the group '?P?7'? must be 'patient:NAME'"):
        make(3, groups=groups)


@pytest.mark.parametrize("rows", ([["a", "b", "c"]] * 3, [[0.5, 0.5], [1.0], [1.0]]))
def test_probabilities_that_are_no_numbers_are_refused(rows):
    with pytest.raises(ConfigError, match=r"task 'diagnosis': probabilities must be \(3, 3\) numbers"):
        Cases("abc", {"diagnosis": CLASSES}, {"diagnosis": [0, 1, 2]}, {"diagnosis": rows})
