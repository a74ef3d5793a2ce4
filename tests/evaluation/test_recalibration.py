"""Calibrating a network on other lesions changes its temperatures, sets and operating points, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from cli_case import pictures, tiny_model

from amfzoo import create_model
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.errors import ConfigError
from amfzoo.evaluation import (
    Cases,
    ConformalSets,
    apply_temperatures,
    evaluate_model,
    fit_conformal,
    recalibrate,
)
from amfzoo.evaluation.recalibration import calibration, cases_as_trained
from amfzoo.models.network import PairNetwork

TASKS = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}
OLD = {"diagnosis": 3.0, "streaks": 0.5}


@pytest.fixture
def model() -> PairNetwork:
    network = tiny_model(tasks=TASKS)
    sets = ConformalSets("lac", 0.8, {"absent": 0.5, "present": 0.5}, {"absent": 30, "present": 30}, False)
    network.config = network.config.replace(temperatures=OLD, conformal={"streaks": sets})
    return network


def lesions(folder, count: int) -> LesionSet:
    """Random labels; every fourth lesion has one image, this or that, and streaks are known of a few."""
    pictures(folder)
    labels = np.random.default_rng(0).integers(2, size=count)
    pairs = [("c0.jpg", "d0.jpg"), ("c1.jpg", "d1.jpg"), ("c0.jpg", "d1.jpg")]
    files = itertools.cycle([*pairs, (None, "d0.jpg"), *pairs, ("c1.jpg", None)])
    return LesionSet(
        "ours",
        tuple(
            Lesion(
                f"L{i}",
                *(name and folder / name for name in next(files)),
                {"diagnosis": TASKS["diagnosis"][label], **({"streaks": "present"} if i < 5 else {})},
            )
            for i, label in enumerate(labels)
        ),
        TASKS,
    )


def agreeing(model: PairNetwork, lesions: LesionSet) -> LesionSet:
    """Of three quarters the class that the network finds most probable, so that a temperature fits best."""
    answers = model.predict([x.clinical for x in lesions], [x.dermoscopy for x in lesions])
    found = [TASKS["diagnosis"].index(answer.top()[0]) for answer in answers]
    labels = [TASKS["diagnosis"][1 - best if i % 4 == 1 else best] for i, best in enumerate(found)]
    return replace(
        lesions,
        lesions=tuple(
            replace(lesion, labels={**lesion.labels, "diagnosis": label}) for lesion, label in zip(lesions, labels)
        ),
    )


def test_what_was_fitted_is_what_predict_then_answers(model, tmp_path):
    ours = agreeing(model, lesions(tmp_path, 40))
    weights = {name: values.clone() for name, values in model.state_dict().items()}
    as_trained = cases_as_trained(model, ours)
    found = recalibrate(model, ours, coverage=0.75)
    assert all(torch.equal(values, weights[name]) for name, values in model.state_dict().items())
    assert list(found) == ["diagnosis"]  # streaks are known of too few
    assert model.config.temperatures == {**OLD, **found} and model.config.conformal["streaks"].coverage == 0.8
    after = evaluate_model(model, ours, modes=["both"])["both"]
    wanted = apply_temperatures(as_trained, found).probabilities["diagnosis"]
    assert found["diagnosis"] != pytest.approx(1, abs=0.1) and np.allclose(
        after.probabilities["diagnosis"], wanted, atol=1e-6
    )
    complete = np.array([len(lesion.images) == 2 for lesion in ours])
    expected = fit_conformal(after.select(complete), "diagnosis", coverage=0.75)
    assert model.config.conformal["diagnosis"].thresholds == pytest.approx(expected.thresholds, abs=1e-6)
    assert model.config.conformal["diagnosis"].cases == expected.cases
    # what was there before has no influence
    assert recalibrate(model, ours, coverage=0.75)["diagnosis"] == pytest.approx(found["diagnosis"])
    copy = PairNetwork.from_pretrained(model.save_pretrained(tmp_path / "model"))
    assert copy.config.temperatures == model.config.temperatures


def test_too_few_lesions_leave_the_network_as_it_is(model, tmp_path):
    before = model.config
    with pytest.raises(ConfigError, match="10 lesions of known class, of two classes or more, in ours"):
        recalibrate(model, lesions(tmp_path, 9))
    assert model.config == before


def test_sets_go_with_the_temperatures_that_they_were_fitted_with(model, tmp_path):
    sets = ConformalSets("lac", 0.8, {"NV": 0.5, "MEL": 0.5}, {"NV": 30, "MEL": 30}, False)
    model.config = model.config.replace(conformal={**model.config.conformal, "diagnosis": sets})
    ours = lesions(tmp_path, 40)
    few = ours.select(lambda lesion: int(lesion.id[1:]) < 8)
    alone = tuple(replace(lesion, id=f"{lesion.id}b", clinical=None) for lesion in ours)
    recalibrate(model, replace(ours, lesions=(*few, *alone)))
    assert model.config.temperatures["diagnosis"] != OLD["diagnosis"]
    assert list(model.config.conformal) == ["streaks"]  # neither its temperature nor its sets were fitted


def test_a_coverage_that_a_task_has_too_few_lesions_for_costs_its_sets_alone():
    rng = np.random.default_rng(0)
    labels = {"much": rng.integers(0, 2, 200), "few": np.where(np.arange(200) < 50, rng.integers(0, 2, 200), -1)}
    p = rng.dirichlet([1, 1], 200)
    cases = Cases(list(map(str, range(200))), {"much": ("a", "b"), "few": ("a", "b")}, labels, {"much": p, "few": p})
    found = calibration(cases, {"dermoscopy": np.ones(200, bool)}, coverage=0.99)
    assert set(found["temperatures"]) == {"much", "few"} and set(found["conformal"]) == {"much"}


@pytest.mark.slow
def test_operating_points_are_fitted_anew_with_the_temperatures(model, tmp_path, caplog):
    """They come with the temperatures that they hold for, and go with them; in place of prediction sets."""
    model.config = model.config.replace(operating_points={"streaks": {"present": 0.9}, "diagnosis": {"MEL": 0.1}})
    ours = lesions(tmp_path, 60)
    recalibrate(model, ours)  # five lesions of known streaks: neither temperature nor operating point
    assert model.config.operating_points == {"streaks": {"present": 0.9}}
    known = replace(
        ours,
        lesions=tuple(
            replace(lesion, labels={"streaks": TASKS["streaks"][i % 3 == 0]}) for i, lesion in enumerate(ours)
        ),
    )
    recalibrate(model, known)
    (threshold,) = model.config.operating_points["streaks"].values()
    after = evaluate_model(model, known, modes=["both"])["both"].probabilities["streaks"][:, 1]
    called = after >= threshold  # those with the probability of the twentieth as well
    assert 20 <= called.sum() < 60 and called.sum() - (after < after[called].min() + 1e-6)[called].sum() < 20
    assert "streaks" not in model.config.conformal  # what is called could lie outside of its set
    copy = PairNetwork.from_pretrained(model.save_pretrained(tmp_path / "model"))
    assert copy.config.operating_points == model.config.operating_points
    rare = replace(
        ours,
        lesions=tuple(replace(lesion, labels={"streaks": TASKS["streaks"][i == 0]}) for i, lesion in enumerate(ours)),
    )
    assert "operating points of diagnosis held for other temperatures" in caplog.text and "streaks" not in caplog.text
    recalibrate(model, rare)
    assert model.config.operating_points == {} and "operating points of streaks held" in caplog.text


def test_lesions_without_dermoscopy_choose_no_operating_point(tmp_path):
    rng = np.random.default_rng(0)
    labels, p = rng.integers(0, 2, 100), rng.uniform(0, 0.5, 100)
    cases = Cases(
        list(map(str, range(100))),
        {"streaks": TASKS["streaks"]},
        {"streaks": labels},
        {"streaks": np.stack([1 - p, p], 1)},
    )
    seen = {"clinical": np.ones(100, bool), "dermoscopy": np.arange(100) < 60}
    found = calibration(cases, seen)
    first = calibration(cases.select(seen["dermoscopy"]), {"dermoscopy": np.ones(60, bool)})
    # the order of the cases decides: temperatures, which are of all, change none
    called = [
        (
            apply_temperatures(cases, of["temperatures"]).probabilities["streaks"][:60, 1]
            >= of["operating_points"]["streaks"]["present"]
        )
        for of in (found, first)
    ]
    assert (called[0] == called[1]).all() and called[0].sum() == labels[:60].sum()
    assert calibration(cases, {"clinical": np.ones(100, bool)})["operating_points"] == {}


def test_changed_weights_give_up_their_name_here_too(model, tmp_path):
    model.config = model.config.replace(
        info={"name": "mine", "metrics": [{"task": "diagnosis", "name": "auroc", "value": 1}]}
    )
    model = create_model(model.save_pretrained(tmp_path / "saved"))
    with torch.no_grad():
        model.heads["diagnosis"].weight += 0.5
    found = recalibrate(model, lesions(tmp_path, 40))
    assert (
        not {"name", "metrics", "refitted_from"} & set(model.config.info)
        and model.config.temperatures["diagnosis"] == found["diagnosis"]
    )


@pytest.mark.slow
def test_what_comes_out_as_other_weights_had_it_is_kept(model, tmp_path):
    """A new head leaves the other tasks' answers, and so what is fitted to them, as they were."""
    ours = agreeing(model, lesions(tmp_path, 60))
    recalibrate(model, ours)
    sets = model.config.conformal["diagnosis"]
    changed = PairNetwork.from_pretrained(model.save_pretrained(tmp_path / "before"))
    with torch.no_grad():
        changed.heads["streaks"].weight.mul_(2)
    recalibrate(changed, ours)
    assert changed.config.conformal["diagnosis"] == sets
    again = PairNetwork.from_pretrained(changed.save_pretrained(tmp_path / "after"))
    assert again.config.conformal["diagnosis"] == sets


def test_evaluation_leaves_the_network_as_it_is(model, tmp_path):
    model.config = model.config.replace(info={"name": "mine"})
    model = create_model(model.save_pretrained(tmp_path / "saved")).double()
    config, origin = model.config, model.origin
    (cases,) = evaluate_model(model, lesions(tmp_path, 40), modes=["both"]).values()
    assert model.config is config and model.origin is origin and cases.model == "mine"


def test_figures_of_the_old_calibration_go(model, tmp_path):
    names = ("macro_f1", "ece", "log_loss", "called_sensitivity:present")
    metrics = [{"task": task, "name": name, "value": 0.5} for task in TASKS for name in names]
    model.config = model.config.replace(info={"metrics": metrics, "license": "CC0-1.0"})
    model = create_model(model.save_pretrained(tmp_path / "saved"))
    recalibrate(model, lesions(tmp_path, 40))  # of the diagnosis alone
    kept = [(row["task"], row["name"]) for row in model.config.info["metrics"]]
    assert kept == [("diagnosis", "macro_f1"), *(("streaks", name) for name in names)]
    assert model.config.info["license"] == "CC0-1.0"
