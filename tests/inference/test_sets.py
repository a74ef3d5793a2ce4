"""Prediction sets travel in config.json and appear in answers, tables and text."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from networks import TASKS, build, settle

from amfzoo import ConfigError, create_model
from amfzoo.evaluation import Cases, ConformalSets, fit_conformal
from amfzoo.inference.table import predict_table

CLASSES = TASKS["diagnosis"]


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 200)
    labels = np.array([rng.choice(3, p=row) for row in p])
    sets = fit_conformal(
        Cases(range(200), {"diagnosis": CLASSES}, {"diagnosis": labels}, {"diagnosis": p}), "diagnosis"
    )
    network = settle(build(tasks=TASKS))
    network.config = network.config.replace(conformal={"diagnosis": sets})
    return network


def images(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(1).integers(0, 256, (count, 40, 40, 3), dtype=np.uint8))


def test_sets_are_those_of_the_thresholds_after_a_round_trip(network, tmp_path):
    loaded = create_model(f"local-dir:{network.save_pretrained(tmp_path / 'm')}")
    threshold = network.config.conformal["diagnosis"].thresholds["NV"]
    answers = loaded.predict(images(6), images(6)[::-1])
    for answer in answers:
        best = answer.top()[0]
        expected = {name for name, p in answer.diagnosis.items() if 1 - p <= threshold or name == best}
        assert set(answer.sets) == {"diagnosis"}  # no thresholds, no set
        assert set(answer.sets["diagnosis"].classes) == expected and answer.sets["diagnosis"].classes[0] == best
        assert answer.sets["diagnosis"].coverage == 0.9
        assert answer.to_dict()["sets"]["diagnosis"]["classes"] == list(answer.sets["diagnosis"].classes)
        assert json.dumps(answer.to_dict()) and "90% coverage" in str(answer)


def test_a_missing_image_gives_no_set(network):
    answer = network.predict(dermoscopy=images(1)[0])
    assert answer.sets == {} and "coverage" not in str(answer)


def test_tables_hold_the_set(network, tmp_path):
    from PIL import Image

    for i, pixels in enumerate(images(2)):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "in.csv").write_text("clinical,dermoscopy\n0.png,1.png\n,1.png\n")
    predict_table(network, tmp_path / "in.csv", tmp_path / "out.csv")
    whole, single = csv.DictReader((tmp_path / "out.csv").open())
    expected = network.predict(tmp_path / "0.png", tmp_path / "1.png").sets["diagnosis"].classes
    assert whole["diagnosis set"].split(";") == list(expected) and single["diagnosis set"] == ""


def test_class_names_with_spaces_stay_whole_in_the_overview(tmp_path):
    from PIL import Image

    from amfzoo.report.answers import Answers

    classes = ("basal cell carcinoma", "melanoma in situ", "nevus")
    network = build("amf_test", tasks={"diagnosis": classes})
    cases = Cases(
        range(60), {"diagnosis": classes}, {"diagnosis": np.arange(60) % 3}, {"diagnosis": np.full((60, 3), 1 / 3)}
    )
    network.config = network.config.replace(conformal={"diagnosis": fit_conformal(cases, "diagnosis")})
    for i, pixels in enumerate(images(2)):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    (tmp_path / "in.csv").write_text("clinical,dermoscopy\n0.png,1.png\n")
    predict_table(network, tmp_path / "in.csv", tmp_path / "out.csv")
    (answer,) = Answers(network, tmp_path / "in.csv", tmp_path / "out.csv")
    expected = network.predict(tmp_path / "0.png", tmp_path / "1.png").sets["diagnosis"].classes
    assert answer.classes == expected and " " in "".join(expected)


def test_other_heads_drop_the_sets(network, tmp_path):
    folder = network.save_pretrained(tmp_path / "m")
    assert create_model(f"local-dir:{folder}", tasks={"diagnosis": ("A", "B")}).config.conformal == {}
    kept = create_model(f"local-dir:{folder}", tasks={"diagnosis": CLASSES, "new": ("A", "B")})
    assert set(kept.config.conformal) == {"diagnosis"}


@pytest.mark.parametrize(
    "sets",
    [
        {"other": ConformalSets("lac", 0.9, dict.fromkeys(CLASSES, 0.5), dict.fromkeys(CLASSES, 9))},
        {"diagnosis": ConformalSets("lac", 0.9, {"NV": 0.5}, {"NV": 9})},
        {"diagnosis": ConformalSets("lac", 0.9, dict.fromkeys(CLASSES[::-1], 0.5), dict.fromkeys(CLASSES, 9))},
        {"diagnosis": {"method": "lac"}},
        {"diagnosis": {"method": "no", "coverage": 0.9, "thresholds": {}, "cases": {}}},
    ],
)
def test_sets_of_other_classes_or_without_meaning_are_refused(network, sets):
    with pytest.raises(ConfigError):
        network.config.replace(conformal=sets)


def test_changed_weights_lose_the_sets_and_new_ones_stay(network, tmp_path, caplog):
    folder = network.save_pretrained(tmp_path / "with sets")
    loaded = create_model(folder)
    assert loaded.config.conformal
    with torch.no_grad():
        loaded.heads["diagnosis"].bias += 0.1
    assert create_model(loaded.save_pretrained(tmp_path / "changed")).config.conformal == {}
    assert "prediction sets and operating points are left out" in caplog.text
