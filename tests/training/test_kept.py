"""What a run keeps of the weights that it began with."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file

import amfzoo
from amfzoo.training import TrainingStopped, finetune


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    """A model folder whose heads are those of the data."""
    torch.manual_seed(1)
    network = amfzoo.create_model("amf_test", tasks=data.tasks)
    network.mark_untrained(())
    return network.save_pretrained(tmp_path_factory.mktemp("start") / "model")


def weights(folder) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def without_times(history: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


@pytest.mark.slow
def test_the_kept_weights_are_the_mean_of_the_trained_ones_and_the_start_also_after_a_stop(data, tiny, tmp_path, start):
    go = {"device": "cpu", "progress": False, **tiny, "epochs": 2, "keep": "last"}
    trained = finetune(start, data, out=tmp_path / "trained", start_share=0, **go)
    mixed = finetune(start, data, out=tmp_path / "mixed", start_share=0.25, **go)
    calls = iter(range(100))
    with pytest.raises(TrainingStopped):
        finetune(start, data, out=tmp_path / "stopped", start_share=0.25, should_stop=lambda: next(calls) == 4, **go)
    again = finetune(start, data, out=tmp_path / "stopped", start_share=0.25, **go)
    before, after = weights(start), weights(trained.folder / "model")
    found, gone_on = weights(mixed.folder / "model"), weights(again.folder / "model")
    moved = 0.0
    for name, value in found.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * after[name] + 0.25 * before[name], rtol=1e-5, atol=1e-6)
            moved = max(moved, (after[name] - before[name]).abs().max().item())
        assert torch.equal(value, gone_on[name])
    assert moved > 1e-3  # else agreement would say nothing
    # the trained weights are what epochs are judged by; the figures of the run are those of what it keeps
    assert without_times(mixed.history) == without_times(trained.history)
    assert mixed.metrics["loss"] != trained.metrics["loss"]


@pytest.mark.parametrize("begin", ["weights", "given", "other classes", "never trained", "random", "backbones"])
def test_only_weights_that_know_every_class_have_a_share_unless_asked(begin, data, tiny, tmp_path, start):
    model = {"weights": start, "given": amfzoo.create_model(f"local-dir:{start}")}.get(begin, "amf_test")
    if begin == "other classes":
        data = replace(data, tasks={"colour": (*data.tasks["colour"], "black")})
        model = start
    elif begin == "never trained":
        model = amfzoo.create_model("amf_test", tasks=data.tasks)
    donor = {"backbone_weights": {"clinical": f"local-dir:{start}"}} if begin == "backbones" else {}
    run = {"device": "cpu", "progress": False, **tiny, "epochs": 1}
    folder = finetune(model, data, out=tmp_path / "run", **donor, **run).folder
    settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["settings"]
    assert settings["start_share"] == (0.5 if begin in ("weights", "given") else 0.0)
