"""Heads that were never trained say so wherever their answers go."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from amfzoo import create_model, create_predictor
from amfzoo.card import render_card

TASKS = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("amf_test", tasks=TASKS).eval()


def said(model) -> list[str]:
    image = np.full((64, 64, 3), 128, np.uint8)
    answer = model.predict(image, image, guards=False)
    return [found.message for found in answer.warnings if found.code == "untrained"]


def test_a_network_of_random_values(network, tmp_path):
    (message,) = said(network)
    assert message.startswith("never trained: diagnosis, streaks; these answers mean nothing")
    folder = network.save_pretrained(tmp_path / "m")
    assert said(create_model(folder)) == said(create_predictor(network, "torch")) == [message]
    assert create_model(folder).config.info["untrained"] == ["diagnosis", "streaks"]
    assert "**Never trained**" in (folder / "README.md").read_text()


def test_a_head_that_learned_is_left_out_and_then_all_is_well(network, tmp_path):
    folder = network.save_pretrained(tmp_path / "m")
    loaded = create_model(folder)
    with torch.no_grad():
        loaded.heads["diagnosis"].weight[0, 0] += 0.1
    assert loaded.untrained == ("streaks",) and "this answer means nothing" in said(loaded)[0]
    again = create_model(loaded.save_pretrained(tmp_path / "again"))
    assert again.untrained == ("streaks",)
    with torch.no_grad():
        again.heads["streaks"].bias += 0.1
    last = create_model(again.save_pretrained(tmp_path / "last"))
    assert said(again) == said(last) == [] and "untrained" not in last.config.info


def test_new_heads_of_trained_weights(network, tmp_path):
    network.mark_untrained(())
    folder = network.save_pretrained(tmp_path / "m")
    assert said(create_model(folder)) == []
    changed = create_model(folder, tasks={"streaks": TASKS["streaks"], "grade": ("low", "high")})
    assert changed.untrained == ("grade",)
    changed.reset_heads(TASKS)
    assert changed.untrained == ("diagnosis", "streaks")


def test_a_changed_network_still_says_which_head_never_learned(network, tmp_path):
    network.mark_untrained(["streaks"])
    folder = network.save_pretrained(tmp_path / "m")
    for number in range(2):
        loaded = create_model(folder)
        with torch.no_grad():
            loaded.heads["diagnosis"].bias += 0.1
        folder = loaded.save_pretrained(tmp_path / str(number))
    assert create_model(folder).untrained == ("streaks",)
    assert said(create_predictor(loaded, "torch")) == said(loaded) != []


@pytest.mark.parametrize("cast", ["half", "double", "bfloat16"])
def test_another_precision_teaches_nothing(network, cast):
    assert getattr(network, cast)().untrained == ("diagnosis", "streaks")
    with torch.no_grad():
        network.heads["streaks"].bias += 0.5
    assert network.float().untrained == ("diagnosis",)


@pytest.mark.parametrize("foreign", [5, "diagnosis", {"diagnosis": 1}, [["diagnosis"]], ["no such task"]])
def test_what_others_wrote_there_is_passed_over(network, tmp_path, foreign):
    network.mark_untrained(())
    folder = network.save_pretrained(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "info": {"untrained": foreign}}))
    assert create_model(folder).untrained == ()
    render_card({**config, "info": {"untrained": foreign}})
