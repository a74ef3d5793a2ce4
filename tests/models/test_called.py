from __future__ import annotations

import pytest

from amfzoo import create_model
from amfzoo.models.called import called


@pytest.mark.parametrize(
    "changes, said",
    [
        ({}, ""),
        ({"dropout": 0.3, "auxiliary_heads": True, "tasks": {"kind": ("a", "b")}}, ""),
        ({"fusion": "none"}, " with fusion=none"),
        ({"clinical": None}, " with clinical=none"),
        ({"dermoscopy_strides": (8, 16), "clinical_strides": (8, 16)}, " with clinical_strides=8/16, dermoscopy_strides=8/16"),
        ({"dermoscopy": "test_convnext", "pool_clinical": False}, " with dermoscopy=test_convnext, pool_clinical=false"),
        ({"clinical_args": {"drop_path_rate": 0.1}}, " with clinical_args={'drop_path_rate': 0.1}"),
    ],
)  # fmt: skip
def test_what_differs_from_the_named_model_is_named(changes, said):
    assert called(create_model("amf_test", **changes).config) == "amf_test" + said
