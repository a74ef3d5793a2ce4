"""Everything that defines a network, as plain data."""

from __future__ import annotations

import json

import pytest
import torch
from networks import ALL, TASKS, build, pair

from amfzoo import ConfigError, NetworkConfig, Preprocess
from amfzoo.models.network import PairNetwork
from amfzoo.models.zoo import settings


def config(**changes) -> NetworkConfig:
    return NetworkConfig.create(**settings("amf_test", changes))


def through_json(data: dict) -> dict:
    return json.loads(json.dumps(data))


@pytest.mark.parametrize("name", ALL)
def test_round_trip_of_every_model(name):
    before = NetworkConfig.create(**settings(name, {}))
    assert NetworkConfig.from_dict(through_json(before.to_dict())) == before


def test_round_trip_of_every_field():
    changes = {
        "clinical_args": {"drop_path_rate": 0.1},
        "dermoscopy_args": {"layers": [1, 1, 1, 2]},
        "clinical_strides": (8, 16),
        "dermoscopy_strides": (16, 32),
        "fusion": "mutual",
        "attention_dim": 24,
        "attention_heads": 3,
        "auxiliary_heads": True,
        "dropout": 0.25,
        "tasks": {**TASKS, "veil": ("absent", "present")},
        "temperatures": {"streaks": 1.5},
        "operating_points": {"veil": {"present": 0.125}},
        "clinical_preprocess": Preprocess(size=(96, 128), fit="pad"),
        "dermoscopy_preprocess": Preprocess(border=0.1),
        "info": {"license": "CC0-1.0", "metrics": [{"value": 0.5}]},
    }
    before = config(**changes)
    assert before != config()
    after = NetworkConfig.from_dict(through_json(before.to_dict()))
    assert after == before
    assert {key: getattr(after, key) for key in changes} == changes
    assert after.tasks["diagnosis"] == ("NV", "MEL", "BCC") and list(after.tasks) == [*TASKS, "veil"]


def test_a_network_from_json_computes_the_same():
    network = build(dermoscopy_args={"layers": (1, 1, 1, 2)}, tasks=TASKS).eval()
    again = PairNetwork(NetworkConfig.from_dict(through_json(network.config.to_dict())))
    again.load_state_dict(network.state_dict())
    with torch.no_grad():
        logits, expected = again.eval()(*pair(1)), network(*pair(1))
    assert all(torch.equal(logits[task], expected[task]) for task in TASKS)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"clinical": None, "dermoscopy": None}, "at least one branch"),
        ({"clinical": 5}, "clinical must be the name"),
        ({"dermoscopy": ""}, "dermoscopy must be the name"),
        ({"fusion": "early"}, "asymmetric, mutual, none"),
        ({"fusion": "none", "pool_clinical": False}, "without use"),
        ({"fusion": "mutual", "pool_clinical": False}, "without use"),
        ({"clinical_strides": (16,)}, "differ in length"),
        ({"clinical_strides": (16.9, 32.2)}, "clinical_strides must be whole numbers"),
        ({"clinical_strides": 16}, r"clinical_strides must be whole numbers, such as \(16, 32\), got 16"),
        ({"pool_clinical": "false"}, "pool_clinical must be true or false, got 'false'"),
        ({"attention_dim": 2_000_000_000}, "more than 8192"),
        ({"clinical_strides": ("deep", "deeper")}, "deep"),
        ({"attention_dim": 30, "attention_heads": 4}, "multiple"),
        ({"attention_dim": 0}, "positive multiple"),
        ({"attention_heads": 0}, "positive multiple"),
        ({"attention_dim": 32.0}, "whole numbers"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": "high"}, "^dropout must be a number in .*, got 'high'"),
        ({"temperatures": 1.5}, "^temperatures must hold values by task, got 1.5"),
        ({"conformal": [0.9]}, "^conformal must hold values by task, got"),
        ({"temperatures": {"colour": 1.0}}, "colour"),
        ({"temperatures": {"diagnosis": 0.0}}, "positive"),
        ({"temperatures": {"diagnosis": float("nan")}}, "positive"),
        ({"temperatures": {"diagnosis": "warm"}}, "positive"),
        ({"operating_points": {"colour": {"red": 0.5}}}, "no such task"),
        ({"operating_points": {"diagnosis": {"MEL": 0.5}}}, "must be two"),  # which of the other two would it be?
        ({"tasks": {"v": ("a", "b")}, "operating_points": {"v": {"c": 0.5}}}, "one of its classes"),
        ({"tasks": {"v": ("a", "b")}, "operating_points": {"v": {"a": 0.5, "b": 0.5}}}, "one of its classes"),
        ({"tasks": {"v": ("a", "b")}, "operating_points": {"v": {"a": 1.0}}}, "between 0 and 1"),
        ({"tasks": {"v": ("a", "b")}, "operating_points": {"v": {"a": float("nan")}}}, "between 0 and 1"),
        ({"tasks": {"v": ("a", "b")}, "operating_points": {"v": {"a": "half"}}}, "between 0 and 1"),
        ({"tasks": {"v": ("a", "b")}, "operating_points": {"v": 0.5}}, "0.5"),
        ({"tasks": {}}, "non-empty"),
        ({"tasks": "derm8pt"}, "derm7pt"),
        ({"clinical_args": [1]}, r"^clinical_args must hold values by name, got \[1\]"),
        ({"clinical_preprocess": {"sise": (8, 8)}}, "sise"),
        ({"dermoscopi": "test_resnet"}, "unknown setting dermoscopi; known: architecture, clinical, dermoscopy"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        config(**changes)


@pytest.mark.parametrize("branch, pooled", [("clinical", True), ("dermoscopy", False)])
def test_a_single_branch_has_nothing_to_fuse(branch, pooled):
    other = {"clinical": "dermoscopy", "dermoscopy": "clinical"}[branch]
    single = config(**{other: None})
    assert (single.branches, single.fusion, single.pool_clinical) == ((branch,), "none", pooled)


def test_replace_checks_and_keeps_the_rest():
    before = config(dropout=0.5)
    after = before.replace(tasks=TASKS)
    assert after.tasks == TASKS and after.dropout == 0.5 and before.tasks != TASKS
    with pytest.raises(ConfigError, match="colour"):
        before.replace(colour="red")


@pytest.mark.parametrize("key", ["architecture", "network", "preprocessing", "tasks", "temperatures"])
def test_a_missing_key_is_named(key):
    data = config().to_dict()
    del data[key]
    with pytest.raises(ConfigError, match=key):
        NetworkConfig.from_dict(data)


@pytest.mark.parametrize("part", [None, "network"])
def test_an_unknown_key_is_named(part):
    data = config().to_dict()
    (data[part] if part else data)["temprature"] = 1
    with pytest.raises(ConfigError, match="temprature"):
        NetworkConfig.from_dict(data)


def test_missing_preprocessing_of_a_branch_is_named():
    data = config().to_dict()
    del data["preprocessing"]["dermoscopy"]
    with pytest.raises(ConfigError, match="dermoscopy"):
        NetworkConfig.from_dict(data)


@pytest.mark.parametrize("key", ["network", "preprocessing", "tasks", "temperatures"])
def test_a_part_of_the_wrong_type_is_refused(key):
    with pytest.raises(ConfigError):
        NetworkConfig.from_dict({**config().to_dict(), key: 5})
