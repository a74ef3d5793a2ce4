"""The comparison of a branch cut at stride 16 with one whose last stage starts from nothing, and with a whole one."""

from __future__ import annotations

import sys

import pytest
import timm
import torch
from cli_case import write_table
from evaluation_cases import make
from safetensors.torch import save_file
from sklearn.metrics import f1_score

from amfzoo.models.zoo import ZOO
from benchmarks import last_stage

TASKS = {"diagnosis": ("BCC", "MEL", "NV")}


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    torch.manual_seed(7)
    state = timm.create_model("resnetv2_50", num_classes=0, **ZOO["amf_base"].settings["dermoscopy_args"]).state_dict()
    file = tmp_path_factory.mktemp("values") / "cut.safetensors"
    save_file(state, file)
    return file, state


def test_both_start_from_the_values_that_there_are(values):
    file, state = values
    cut, fresh = (last_stage.start(name, TASKS, file, 0) for name in ("cut", "fresh"))
    own, longer = (network.branches["dermoscopy"].body.state_dict() for network in (cut, fresh))
    assert own.keys() == state.keys() and all(torch.equal(own[key], value) for key, value in state.items())
    early = [key for key in state if not key.startswith("norm.")]
    assert all(torch.equal(longer[key], state[key]) for key in early)
    assert {key.split(".")[1] for key in longer.keys() - state.keys()} == {"3"}
    assert cut.branches.keys() == fresh.branches.keys() == {"dermoscopy"}


def test_a_whole_network_starts_from_all_of_its_values(tmp_path):
    torch.manual_seed(8)
    state = timm.create_model("resnet50", num_classes=0).state_dict()
    save_file(state, tmp_path / "whole.safetensors")
    own = last_stage.start("whole", TASKS, tmp_path / "whole.safetensors", 0).branches["dermoscopy"].body.state_dict()
    assert own.keys() == state.keys() and all(torch.equal(own[key], value) for key, value in state.items())


def test_values_of_something_else_are_refused(values, tmp_path):
    _, state = values
    save_file({key: value for key, value in state.items() if "stages.1" not in key}, tmp_path / "less.safetensors")
    for name, foreign in (("cut", "stages.1"), ("fresh", "stages.1"), ("whole", "norm")):
        with pytest.raises(SystemExit, match=f"not the values of this branch; {foreign}"):
            last_stage.start(name, TASKS, tmp_path / "less.safetensors", 0)


def test_the_table_has_the_paired_difference_and_finished_runs_are_not_made_again(
    values, tmp_path, monkeypatch, capsys
):
    rows = [(f"L{i}", "c.jpg", "d.jpg", "BCC MEL NV".split()[i % 3], "valid") for i in range(6)]
    table = write_table(tmp_path / "lesions.csv", rows, ("id", "clinical", "dermoscopy", "diagnosis", "split"))
    found = {"cut": make(60, 1), "fresh": make(60, 2, skill=2.0)}
    made = []

    def finetune(network, lesions, *, out, config):
        name, seed = out.name.split("-")
        assert (config.epochs, config.seed) == (4, int(seed)) and network.branches.keys() == {"dermoscopy"}
        made.append(name)
        out.mkdir(parents=True)
        found[name].write(out / last_stage.CASES_FILE)

    monkeypatch.setattr(last_stage, "finetune", finetune)
    monkeypatch.setattr(last_stage, "read_split", lambda lesions, file: lesions)
    options = [
        "--data",
        str(table),
        "--splits",
        "split.csv",
        "--weights",
        str(values[0]),
        "--out",
        str(tmp_path / "out"),
    ]
    monkeypatch.setattr(sys, "argv", ["last_stage", *options, "--seeds", "0"])
    for _ in range(2):
        last_stage.main()
        printed = capsys.readouterr().out
        scores = {
            name: f1_score(cases.labels["diagnosis"], cases.probabilities["diagnosis"].argmax(1), average="macro")
            for name, cases in found.items()
        }
        assert f"| cut | 8.5 | {scores['cut']:.3f} [" in printed and f"| {scores['fresh']:.3f} [" in printed
        assert f"| fresh - cut |  | {scores['fresh'] - scores['cut']:+.3f} [" in printed
        assert "6 validation lesions, seeds 0" in printed
    assert made == ["cut", "fresh"]
