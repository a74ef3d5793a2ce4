"""What a run refuses, warns of or stops at."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest
import torch
from lesions import squares

from amfzoo import PairNetwork, create_model, register_model, registry
from amfzoo.data.records import LesionSet
from amfzoo.errors import ConfigError, ImageError
from amfzoo.images import Preprocess
from amfzoo.training import TrainingError, TrainingStopped, finetune, loop
from amfzoo.training.dataset import PairDataset
from amfzoo.training.validate import scores_of


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"task_weights": {"tint": 2.0}}, "task_weights.*'tint'"), ({"freeze": ["clinical", "dermoscopy", "fusion", "heads"]}, "freeze"),
     ({"freeze": ["heads"]}, "the heads of colour are new and would stay random"),
     ({"optimizer": "adamx"}, "optimizer"), ({"accumulate": 7}, "accumulate"), ({"class_weights": {"colour": {"pink": 1}}}, "class_weights")],
)  # fmt: skip
def test_settings_that_do_not_fit_the_data_are_config_errors(data, tiny, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **{**tiny, **changes})


def test_validation_lesions_of_one_class_are_told_of_and_calibrate_nothing(data, tiny, tmp_path, caplog):
    red = [lesion.id for lesion in data if lesion.labels.get("colour") == "red"]
    marked = tuple(replace(x, patient=None, split="valid" if x.id in red else "train") for x in data)
    several = replace(data, lesions=(*marked, *(replace(x, id=f"{x.id}b") for x in marked if x.id in red)))
    settings = {**tiny, "epochs": 1}
    found = finetune("amf_test", several, out=tmp_path, device="cpu", progress=False, **settings)
    assert "validation lesions of known class are all 'red' in the task 'colour'" in caplog.text
    assert "not calibrated: colour" in caplog.text and not found.model.config.temperatures


def test_a_metric_that_validation_cannot_give_is_said_before_training(data, tiny, tmp_path, monkeypatch):
    one_class = tuple(
        replace(lesion, patient=None, split="valid" if lesion.labels.get("colour") == "red" else "train")
        for lesion in data
    )
    monkeypatch.setattr(loop.Trainer, "run_epoch", lambda _: pytest.fail("trained"))
    with pytest.raises(ConfigError, match="metric: auroc"):
        finetune(
            "amf_test",
            LesionSet("x", one_class, data.tasks),
            out=tmp_path,
            device="cpu",
            progress=False,
            **{**tiny, "metric": "auroc"},
        )


def test_values_that_are_not_finite_are_said_at_validation(data):
    with pytest.raises(TrainingError, match="lower lr"):
        scores_of(
            {"colour": torch.full((48, 3), math.nan)},
            PairDataset(data, {"clinical": Preprocess(), "dermoscopy": Preprocess()}, cache_gb=0).targets,
        )


def test_a_patient_on_both_sides_and_a_task_without_labels_are_warned_of(data, tiny, tmp_path, caplog):
    sides = tuple(replace(lesion, split="valid" if i % 4 == 1 else "train") for i, lesion in enumerate(data))
    with caplog.at_level(logging.WARNING):
        finetune(
            "amf_test",
            LesionSet("x", sides, {**data.tasks, "other": ("a", "b")}),
            out=tmp_path,
            device="cpu",
            progress=False,
            **{**tiny, "epochs": 1},
        )
    assert "patients are in both training and validation" in caplog.text and "task 'other'" in caplog.text


def test_bad_images_stop_a_run_or_are_skipped(tmp_path, tiny, caplog):
    data = squares(tmp_path / "images", 24, gaps=False)
    data.lesions[2].clinical.write_bytes(b"no image")
    with pytest.raises(ImageError, match="lesion 'L2', clinical image"):
        finetune("amf_test", data, out=tmp_path / "run", device="cpu", progress=False, **tiny)
    with caplog.at_level(logging.WARNING):
        finetune(
            "amf_test",
            data,
            out=tmp_path / "run",
            device="cpu",
            progress=False,
            **{**tiny, "epochs": 1, "on_bad_image": "skip"},
        )
    assert "'L2'" in caplog.text


@pytest.mark.parametrize("lacking", ["image", "readable"])
def test_held_out_lesions_that_cannot_be_used_are_told_of_and_training_goes_on_without(
    data, tiny, tmp_path, caplog, lacking
):
    (tmp_path / "bad.png").write_bytes(b"no image")
    given = {"clinical": tmp_path / "bad.png" if lacking == "readable" else None, "dermoscopy": None, "split": "valid"}
    held_out = tuple(
        replace(lesion, patient=None, **(given if number < 6 else {"split": "train"}))
        for number, lesion in enumerate(data)
    )
    settings = {**tiny, "epochs": 1, "on_bad_image": "skip", "should_stop": lambda: True}
    with pytest.raises(TrainingStopped):  # it trains
        finetune(
            "amf_test", replace(data, lesions=held_out), out=tmp_path / "run", device="cpu", progress=False, **settings
        )
    assert "valid: no lesion is left to use: none of 6 has a clinical or dermoscopy image" in caplog.text
    assert "so no epoch is chosen and the probabilities are not calibrated" in caplog.text


def test_a_loss_that_is_not_finite_stops_the_run(data, tiny, tmp_path):
    with pytest.raises(TrainingError, match="lower lr"):
        finetune(
            "amf_test",
            data,
            out=tmp_path,
            device="cpu",
            progress=False,
            **{**tiny, "lr": 1e30, "warmup": 0.0, "clip_grad": 0.0},
        )


@pytest.mark.parametrize("given", ["network", "name"])
def test_a_network_that_no_config_tells_all_of_is_not_trained(data, tiny, tmp_path, monkeypatch, given):
    """What is kept of it would be another one."""

    class Flipped(PairNetwork):
        def _forward_features(self, *args, **more):
            return -super()._forward_features(*args, **more)

    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))

    @register_model
    def flipped(**config):
        return Flipped(create_model("amf_test", **config).config)

    model = "flipped" if given == "name" else flipped(tasks={"colour": ("red", "green", "blue")})
    with pytest.raises(ConfigError, match="Flipped._forward_features"):
        finetune(model, data, out=tmp_path, device="cpu", progress=False, **tiny)
