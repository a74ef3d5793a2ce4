"""Weights with other temperatures or operating points answer otherwise: they are not taken for those that they were."""

from __future__ import annotations

import pytest
import torch
from cli_case import tiny_model

from amfzoo import ConfigError, create_model
from amfzoo.evaluation import ConformalSets

POINT = {"streaks": {"present": 0.2}, "diagnosis": {"MEL": 0.4}}
TASKS = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}
NAMES = ("macro_f1", "log_loss", "ece", "called_macro_f1", "called_precision:present")


@pytest.fixture
def folder(tmp_path):
    model = tiny_model(tasks=TASKS)
    metrics = [{"task": task, "name": name, "value": 0.5} for task in TASKS for name in NAMES]
    info = {"name": "amf_test.mine", "load_as": "amf_test.mine", "metrics": metrics, "calibration_plot": "plot.svg"}
    model.config = model.config.replace(operating_points=POINT, temperatures={"diagnosis": 1.5}, info=info)
    return model.save_pretrained(tmp_path / "mine")


def name_of(model) -> str:
    model.settle_info()
    return model.config.info["name"]


def figures(model) -> list[tuple[str, str]]:
    model.settle_info()
    return [(row["task"], row["name"]) for row in model.config.info["metrics"]]


def test_the_name_says_so_and_tells_one_from_another(folder, tmp_path):
    assert name_of(create_model(folder)) == "amf_test.mine"
    low, high = (create_model(folder, operating_points={"streaks": {"present": p}}) for p in (0.1, 0.3))
    assert low.config.info["name"].startswith("amf_test.mine, refitted ") and name_of(low) != name_of(high)
    warm = create_model(folder)
    warm.config = warm.config.replace(temperatures={"diagnosis": 2.0})
    assert len({name_of(model) for model in (low, high, warm)}) == 3
    saved = low.save_pretrained(tmp_path / "low")
    again = create_model(saved)
    assert name_of(again) == name_of(low) and again.config.info["refitted_from"] == "amf_test.mine"
    again.config = again.config.replace(operating_points=high.config.operating_points)
    assert name_of(again) == name_of(high)  # not "refitted ..., refitted ..."


def test_changed_back_it_is_what_it_was(folder):
    model = create_model(folder)
    before = model.config.info
    for name in (None, "ward 7"):
        model.config = model.config.replace(operating_points={})
        assert name_of(model) != "amf_test.mine"
        if name:
            model.config = model.config.replace(info={**model.config.info, "name": name})
        model.config = model.config.replace(operating_points=POINT, temperatures={"diagnosis": 1.5, "streaks": 1})
        assert name_of(model) == (name or "amf_test.mine")
        assert model.config.info == {**before, **({"name": name} if name else {})}


def test_figures_of_what_was_fitted_before_go(folder):
    both = {(task, name) for task in TASKS for name in NAMES}
    called = {("streaks", "called_macro_f1"), ("streaks", "called_precision:present")}
    model = create_model(folder, operating_points={"streaks": {"present": 0.3}})
    assert set(figures(model)) == both - called and len(figures(model)) == len(both) - 2
    model = create_model(folder, temperatures={"diagnosis": 1.0})
    assert set(figures(model)) == both - {("diagnosis", name) for name in NAMES[1:]}


def test_a_temperature_changes_the_auroc_of_more_than_two_classes_alone(tmp_path):
    """One against the others: over the lesions a class' probabilities change places; of two classes they do not."""
    model = tiny_model(tasks={"diagnosis": ("NV", "MEL", "BCC"), "streaks": ("absent", "present")})
    both = ("diagnosis", "streaks")
    subgroup = {"by": "sex", "subgroup": "f", "cases": 40, "uncertain": ["auroc", "accuracy"]}
    scores = {"accuracy": [0.5, 0.4, 0.6], "auroc": [0.8, 0.7, 0.9]}
    info = {
        "name": "amf_test.mine",
        "metrics": [{"task": task, "name": name, "value": 0.5} for task in both for name in ("accuracy", "auroc")],
        "subgroups": [{"task": task, "scores": scores, **subgroup} for task in both],
    }
    model.config = model.config.replace(info=info)
    model = create_model(model.save_pretrained(tmp_path / "mine"))
    model.config = model.config.replace(temperatures={"diagnosis": 2.0, "streaks": 2.0})
    assert figures(model) == [("diagnosis", "accuracy"), ("streaks", "accuracy"), ("streaks", "auroc")]
    first, second = model.config.info["subgroups"]
    assert (first["scores"], first["uncertain"]) == ({"accuracy": scores["accuracy"]}, ["accuracy"])
    assert (second["scores"], second["uncertain"]) == (scores, subgroup["uncertain"])
    model.config = model.config.replace(temperatures={})
    model.settle_info()
    assert model.config.info == info


def test_what_is_set_of_one_task_leaves_that_of_others(folder, caplog):
    before = create_model(folder).config
    model = create_model(folder, temperatures={"streaks": 2.0})
    assert model.config.temperatures == {**before.temperatures, "streaks": 2.0}
    assert model.config.operating_points == {
        "diagnosis": POINT["diagnosis"]
    }  # the other held for the temperature before
    assert "operating points of streaks held for another temperature" in caplog.text
    caplog.clear()
    same = create_model(folder, temperatures={"streaks": 1.0})  # what no temperature means
    assert same.config.operating_points == before.operating_points and name_of(same) == "amf_test.mine"
    model = create_model(folder, temperatures={"streaks": 2.0}, operating_points={"streaks": {"present": 0.4}})
    assert model.config.operating_points == {**POINT, "streaks": {"present": 0.4}}
    assert not caplog.text
    assert create_model(folder, temperatures={}).config.temperatures == {}
    assert "operating points of diagnosis" in caplog.text
    for given in ({"diagnosis": {"MEL": 0.3}}, {"diagnosis": {}}):  # of another task: the stale one goes all the same
        caplog.clear()
        model = create_model(folder, temperatures={"streaks": 2.0}, operating_points=given)
        assert "streaks" not in model.config.operating_points and "of streaks held for another" in caplog.text
    with pytest.raises(ConfigError, match="operating_points"):
        create_model(folder, temperatures={"streaks": 2.0}, operating_points=5)
    own = before.operating_points["streaks"]
    model = create_model(folder, dermoscopy_preprocess={"size": (96, 96)}, operating_points={"streaks": own})
    assert model.config.operating_points == {"streaks": own}  # was asked for, and so stays


def sets(task: str, coverage: float = 0.9) -> ConformalSets:
    return ConformalSets("lac", coverage, dict.fromkeys(TASKS[task], 0.5), dict.fromkeys(TASKS[task], 20))


def test_sets_of_another_temperature_go_but_those_that_are_given_stay(folder, caplog):
    own = {task: sets(task) for task in TASKS}
    model = create_model(folder)
    model.config = model.config.replace(conformal=own)
    folder = model.save_pretrained(folder.parent / "sets")
    warmer, wider = {"streaks": 2.0, "diagnosis": 2.0}, sets("diagnosis", 0.95)
    assert create_model(folder, temperatures={"streaks": 2.0}).config.conformal == {"diagnosis": own["diagnosis"]}
    assert "the conformal of streaks held for another temperature" in caplog.text
    for given in (wider, own["diagnosis"]):  # also where it is what the weights had
        caplog.clear()
        model = create_model(folder, temperatures=warmer, conformal={"diagnosis": given})
        assert model.config.conformal == {"diagnosis": given}
        assert "the conformal of streaks held for another temperature" in caplog.text
    caplog.clear()
    both = {"streaks": sets("streaks", 0.95), "diagnosis": wider}
    assert create_model(folder, temperatures=warmer, conformal=both).config.conformal == both
    assert create_model(folder, temperatures=warmer, conformal={}).config.conformal == {}
    assert "the conformal of" not in caplog.text
    resized = create_model(folder, dermoscopy_preprocess={"size": (96, 96)}, conformal={"streaks": own["streaks"]})
    assert resized.config.conformal == {"streaks": own["streaks"]}


def test_nothing_is_left_where_all_figures_were_of_the_fit(folder):
    model = create_model(folder)
    rows = [
        row for row in model.config.info["metrics"] if row["task"] == "streaks" and row["name"].startswith("called_")
    ]
    model.config = model.config.replace(info={**model.config.info, "metrics": rows})
    again = create_model(model.save_pretrained(folder.parent / "few"), operating_points={})
    assert again.config.info["metrics"] == []


def test_what_was_measured_of_a_precision_at_other_points_goes(folder):
    model = create_model(folder)
    record = {"weights": "x", "changes": {}, "called_changes": {"streaks": {"both": 0.1}}, "same_called": 0.9}
    model.config = model.config.replace(info={**model.config.info, "precisions": {"torch/bf16": record}})
    model = create_model(model.save_pretrained(folder.parent / "measured"), operating_points={})
    assert model.config.info["precisions"] == {"torch/bf16": {"weights": "x", "changes": {}}}


def test_the_card_names_where_they_come_from(folder, tmp_path):
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert 'create_model("amf_test.mine"' in card and "other temperatures" not in card
    assert "plot.svg" not in card  # a picture that is not there
    changed = create_model(folder, operating_points={}).save_pretrained(tmp_path / "changed")
    card = (changed / "README.md").read_text(encoding="utf-8")
    assert "# amf_test.mine, refitted " in card and "weights of `amf_test.mine` with other temperatures" in card
    assert 'create_model("local-dir:' in card and 'create_model("amf_test.mine"' not in card and "called_" not in card


def test_a_name_of_ones_own_is_kept(folder):
    model = create_model(folder, operating_points={})
    model.config = model.config.replace(info={**model.config.info, "name": "ward 7"})
    assert name_of(model) == "ward 7"


def test_other_weights_give_up_that_name_too(folder):
    model = create_model(folder, operating_points={})
    with torch.no_grad():
        model.heads["diagnosis"].weight += 1
    model.settle_info()
    assert not {"name", "refitted_from", "metrics"} & set(model.config.info)


def test_points_of_one_task_leave_those_of_others(folder):
    assert create_model(folder).config.operating_points == POINT
    one = create_model(folder, operating_points={"streaks": {"absent": 0.7}})
    assert one.config.operating_points == {**POINT, "streaks": {"absent": 0.7}}
    assert create_model(folder, operating_points={"streaks": {}}).config.operating_points == {
        "diagnosis": POINT["diagnosis"]
    }
    assert create_model(folder, operating_points={}).config.operating_points == {}


def test_points_are_those_of_the_heads_that_are_asked_for(folder):
    tasks = {"diagnosis": ("nevus", "melanoma"), "streaks": ("absent", "present")}
    model = create_model(folder, tasks=tasks, operating_points={"diagnosis": {"melanoma": 0.3}})
    assert model.config.operating_points == {"streaks": POINT["streaks"], "diagnosis": {"melanoma": 0.3}}
    with pytest.raises(ConfigError, match="'streaks'.*no such task"):
        create_model(folder, tasks={"diagnosis": ("NV", "MEL")}, operating_points={"streaks": {"present": 0.2}})


def test_weights_without_a_name_get_none(tmp_path):
    model = tiny_model(tasks=TASKS)
    model.config = model.config.replace(operating_points=POINT)
    again = create_model(model.save_pretrained(tmp_path / "bare"), operating_points={})
    again.settle_info()
    assert not {"name", "refitted_from"} & set(again.config.info)


def test_a_point_of_a_task_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match="'strikes'.*no such task"):
        create_model(folder, operating_points={"strikes": {}})


@pytest.mark.parametrize("wrong", [None, {"streaks": 0.05}, {"streaks": None}, {"streaks": [0.1]}, ["streaks"], 0.3])
def test_what_is_no_operating_point(folder, wrong):
    with pytest.raises(ConfigError, match="must be {(task: {)?class: probability}") as caught:
        create_model(folder, operating_points=wrong)
    assert len(str(caught.value)) < 400
