"""The model card."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml
from huggingface_hub import ModelCard

from amfzoo.card import render_card
from amfzoo.manifest import Metric

CONFIG = {
    "schema_version": 1,
    "architecture": "amf_small",
    "network": {},
    "preprocessing": {"clinical": {"size": 224}, "dermoscopy": {"size": 384}},
    "tasks": {"diagnosis": ["NV", "MEL"], "streaks": ["absent", "regular", "irregular"]},
    "temperatures": {"diagnosis": 1.25},
    "info": {"license": "CC-BY-NC-4.0", "training_data": "MILK10k"},
}
METRICS = [
    {
        "task": "diagnosis",
        "name": "macro_f1",
        "value": 0.5,
        "low": 0.45,
        "high": 0.56,
        "data": "held-out | part",
        "cases": 880,
    },
    {"task": "diagnosis", "name": "auc", "value": 0.9, "data": "held-out"},
    {"task": "streaks", "name": "auc", "value": None, "data": "held-out"},
]


def sections(card: str) -> dict[str, str]:
    parts = re.split(r"(?m)^## (.+)\n", card)
    return {title: text.strip() for title, text in zip(parts[1::2], parts[2::2])}


def test_front_matter_is_what_the_hub_expects():
    card = ModelCard(render_card(CONFIG))
    assert card.data.license == "cc-by-nc-4.0"
    assert card.data.library_name == "amfzoo"
    assert card.data.pipeline_tag == "image-classification"
    assert "dermoscopy" in card.data.tags


def test_unknown_licence_is_other():
    for licence, name in (("In-house: Clinic #3\nuse", "in-house-clinic-3-use"), (None, "not-stated")):
        front = yaml.safe_load(render_card(CONFIG, {"license": licence}).split("---")[1])
        assert (front["license"], front["license_name"]) == ("other", name)


def test_sections():
    fields = {"name": "amf_small.milk10k", "parameters": 3_300_000, "load_as": "hf-hub:org/name", "metrics": METRICS}
    card = render_card(CONFIG, {**fields, "attribution": "ISIC", "not_validated_for": "children"})
    assert "\n# amf_small.milk10k\n" in card
    found = sections(card)
    assert "3.30 million" in found["What it is"]
    code = re.search(r"```python\n(.*?)```", found["How to use it"], re.S)[1]
    assert code.count("\n") == 3 and 'create_model("hf-hub:org/name", pretrained=True)' in code
    compile(code, "card", "exec")
    assert "| diagnosis | NV, MEL | 1.25 | the most probable class |" in found["Tasks and classes"]
    assert found["Training data"] == "MILK10k"
    assert (
        "0.500 [0.450, 0.560]" in found["Metrics"]
        and "held-out \\| part" in found["Metrics"]
        and "880" in found["Metrics"]
    )
    assert "0.900 interval not measured" in found["Metrics"] and "| streaks | auc | not measured |" in found["Metrics"]
    assert '"size": 384' in found["Preprocessing"]
    assert "not a medical device" in found["Intended use and limits"] and "children" in found["Intended use and limits"]
    assert "CC-BY-NC-4.0" in found["Licence and attribution"] and "ISIC" in found["Licence and attribution"]
    assert "2407.09999" in found["Citation"] and "reimplementation of the published idea" in found["Citation"]


def test_the_card_of_a_network_of_one_branch_speaks_of_that_image_alone():
    found = sections(render_card({**CONFIG, "network": {"clinical": None, "dermoscopy": "mobilenetv2_100"}}))
    assert "the dermoscopy image of a skin lesion alone" in found["What it is"] and "pair" not in found["What it is"]
    assert 'predict(dermoscopy="dermoscopy.jpg")' in found["How to use it"]
    assert "384" in found["Preprocessing"] and "224" not in found["Preprocessing"]


def test_operating_points_are_said():
    config = {
        **CONFIG,
        "tasks": {"streaks": ["absent", "present"]},
        "operating_points": {"streaks": {"present": 0.125}},
    }
    assert (
        "| streaks | absent, present | 1 | present from 0.125 on |"
        in sections(render_card(config))["Tasks and classes"]
    )


def test_nothing_known_is_said_to_be_so():
    found = sections(render_card({}))
    assert found["Metrics"].startswith("Not measured")
    assert found["Training data"] == "not stated"
    assert "not stated" in found["Licence and attribution"]


def test_manifest_metrics_are_accepted_and_text_stays_in_its_section():
    metric = Metric(task="diagnosis", name="auc", value=0.75, data="x", low=0.7, high=0.8)
    card = render_card(CONFIG, {"metrics": (metric,), "training_data": "a\n## Metrics\nall perfect"})
    assert "0.750 [0.700, 0.800] |" in sections(card)["Metrics"]
    rough = sections(render_card(CONFIG, {"metrics": (dataclasses.replace(metric, uncertain=True),)}))["Metrics"]
    assert "0.750 [0.700, 0.800] † |" in rough and "fewer than five lesions" in rough
    assert len(sections(card)) == 9


def test_same_input_same_card():
    assert render_card(CONFIG, {"metrics": METRICS}) == render_card(CONFIG, {"metrics": METRICS})


def test_subgroups_and_calibration_plot():
    rows = [
        {"by": "sex", "subgroup": "female", "cases": 300, "scores": {"auroc": [0.9, 0.85, 0.94]}},
        {"by": "sex", "subgroup": "other | unknown", "cases": 3, "scores": {}},
    ]
    found = sections(render_card(CONFIG, {"subgroups": rows, "calibration_plot": "calibration.svg"}))
    table = [line for line in found["Subgroups"].splitlines() if line.startswith("|")]
    assert table[0] == "| By | Subgroup | Cases | auroc |"
    assert table[2:] == ["| sex | female | 300 | 0.900 [0.850, 0.940] |", r"| sex | other \| unknown | 3 | too few |"]
    assert "†" not in found["Subgroups"]
    rows[0]["uncertain"] = ["auroc"]
    marked = sections(render_card(CONFIG, {"subgroups": rows}))["Subgroups"]
    assert "0.900 [0.850, 0.940] † |" in marked and "fewer than five lesions" in marked
    assert "![Calibration](example/calibration.svg)" in found["Calibration"]
    assert "../" not in sections(render_card(CONFIG, {"calibration_plot": "../secret"}))["Calibration"]
    assert not {"Subgroups", "Calibration"} & set(sections(render_card(CONFIG)))


@pytest.mark.parametrize("metrics", ["high", 5, [["a"]], ["a"], [{"task": "d", "name": "auroc", "value": "0.9"}]])
def test_metrics_that_are_none_are_left_out(metrics):
    info = {"metrics": metrics, "subgroups": metrics}
    text = render_card({"architecture": "amf_small", "info": info})
    assert "Nothing is known about how well this model performs" in text and "0.9" not in text
