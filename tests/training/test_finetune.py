"""Whole runs of a second or so: does it learn, and does it survive what users bring."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import pytest
import torch
from lesions import TINY, squares

import amfzoo
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.data.split_file import read_split
from amfzoo.errors import ConfigError, WeightsError
from amfzoo.evaluation import Cases
from amfzoo.images import Preprocess
from amfzoo.training import TrainConfig, finetune, load_config, run
from amfzoo.training.checkpoint import load_checkpoint
from amfzoo.training.dataset import PairDataset
from amfzoo.training.device import make_accelerator
from amfzoo.training.validate import logits_of, scores_of


@pytest.fixture(scope="module")
def learned(data, tmp_path_factory):
    """One run that the tests below only look at; with every kind of gap in the data."""
    settings = {**TINY, "epochs": 8, "modality_dropout": 0.2, "class_weights": "inverse_sqrt"}
    return finetune(
        "amf_test", data, out=tmp_path_factory.mktemp("runs") / "learned", device="cpu", progress=False, **settings
    )


def test_a_plain_task_is_learned(learned):
    losses = [row["train_loss"] for row in learned.history]
    assert len(losses) == 8 and losses[-1] < 0.5 * losses[0]
    assert learned.metrics["accuracy"] >= 0.8  # chance is a third
    rates = [row["lr"] for row in learned.history]
    assert rates[0] > 0 and rates[1:] == sorted(rates[1:], reverse=True) and rates[-1] < 0.1 * max(rates)
    assert learned.metrics["macro_f1"] == max(row["valid/macro_f1"] for row in learned.history)


def test_nothing_is_ever_undefined_though_images_and_labels_are_missing(learned):
    state = load_checkpoint(learned.folder)
    assert all(
        torch.isfinite(v).all() for part in ("network", "ema") for v in state[part].values() if v.is_floating_point()
    )
    assert all(math.isfinite(value) for row in learned.history for value in row.values())


def test_the_model_folder_loads_and_predicts(learned, data):
    model = amfzoo.create_model(f"local-dir:{learned.folder / 'model'}")
    assert model.tasks == data.tasks and not model.auxiliary and set(model.config.temperatures) <= {"colour"}
    known = [lesion for lesion in data if isinstance(lesion.labels.get("colour"), str) and len(lesion.images) == 2]
    answers = model.predict([lesion.clinical for lesion in known], [lesion.dermoscopy for lesion in known])
    right = [answer.top("colour")[0] == lesion.labels["colour"] for answer, lesion in zip(answers, known)]
    assert sum(right) >= 0.8 * len(right)
    torch.testing.assert_close(dict(model.state_dict()), dict(learned.model.state_dict()))


def test_the_folder_holds_what_is_needed_to_read_and_to_repeat(learned, data):
    folder = learned.folder
    assert {p.name for p in folder.iterdir()} >= {
        "config.yaml",
        "split.csv",
        "checkpoint.pt",
        "history.csv",
        "model",
        "validation.csv",
        "summary.md",
    }
    split = read_split(data, folder / "split.csv")
    assert {lesion.split for lesion in split} == {"train", "valid"}
    assert not {x.group for x in split.split("train")} & {x.group for x in split.split("valid")}
    assert load_config(file=folder / "config.yaml").epochs == 8
    with open(folder / "history.csv", newline="") as file:
        assert [float(row["train_loss"]) for row in csv.DictReader(file)] == [
            row["train_loss"] for row in learned.history
        ]
    text = (folder / "summary.md").read_text()
    assert "| colour | red |" in text and f"{learned.metrics['colour/accuracy']:.3f}" in text
    card = (folder / "model" / "README.md").read_text()
    assert "squares-colour" in card and f"{learned.metrics['colour/auroc']:.3f}" in card


def test_the_validation_file_holds_the_models_own_calibrated_answers(learned, data):
    from amfzoo.evaluation.cases_file import read_cases

    cases = read_cases(learned.folder / "validation.csv")
    lesion = next(lesion for lesion in data if lesion.id == cases.ids[0])
    answer = learned.model.predict(lesion.clinical, lesion.dermoscopy).probabilities["colour"]
    assert cases.probabilities["colour"][0] == pytest.approx(list(answer.values()), abs=1e-5)
    assert (cases.probabilities["colour"].argmax(1) == cases.labels["colour"])[
        cases.known("colour")
    ].mean() == pytest.approx(learned.metrics["accuracy"])


def test_two_sources_with_different_tasks_train_both_heads(tmp_path, tiny):
    one = squares(tmp_path / "one", 16, "colour", gaps=False)
    two = squares(tmp_path / "two", 17, "tint", gaps=False)
    found = finetune(
        "amf_test",
        [one, two],
        out=tmp_path / "run",
        device="cpu",
        progress=False,
        **{**tiny, "epochs": 1, "mixup": 0.2},
    )
    assert set(found.model.tasks) == {"colour", "tint"}
    for task in found.model.tasks:
        assert math.isfinite(found.metrics[f"{task}/auroc"])
        assert found.model.heads[task].bias.all()  # biases start at zero


def test_a_given_network_is_copied_and_keeps_the_heads_that_fit(data, tiny, tmp_path, learned):
    before = {key: value.clone() for key, value in learned.model.state_dict().items()}
    tasks = {**data.tasks, "other": ("a", "b")}
    more = LesionSet(
        "more",
        (
            *data.lesions,
            *(Lesion(f"X{i}", labels={"other": "ab"[i % 2]}, dermoscopy=data.lesions[i].dermoscopy) for i in range(4)),
        ),
        tasks,
    )
    found = finetune(
        learned.model,
        more,
        out=tmp_path,
        device="cpu",
        progress=False,
        **{**tiny, "epochs": 1, "lr": 1e-5, "ema": 0.0, "freeze": "clinical"},
    )
    torch.testing.assert_close(dict(learned.model.state_dict()), before)
    assert found.metrics["colour/accuracy"] >= 0.8  # the trained head was kept
    key = "branches.clinical.body.conv_stem.weight"
    assert torch.equal(found.model.state_dict()[key], before[key])
    assert not torch.equal(found.model.heads["colour"].weight, learned.model.heads["colour"].weight)


def test_training_of_one_branch_without_validation(data, tiny, tmp_path):
    network = amfzoo.create_model("amf_test", clinical=None, tasks=data.tasks)
    everything = LesionSet(data.name, tuple(replace(lesion, split="train") for lesion in data), data.tasks)
    found = finetune(
        network,
        everything,
        out=tmp_path,
        device="cpu",
        progress=False,
        **{**tiny, "epochs": 1, "valid": 0.0, "accumulate": 2},
    )
    assert found.metrics == {} and "valid/loss" not in found.history[0]
    assert list(found.model.preprocess) == ["dermoscopy"]


def test_answers_of_a_network_of_one_branch_are_said_to_be_of_that_image(data, tiny, tmp_path):
    settings = {**tiny, "epochs": 1}
    found = finetune(
        "amf_test", data, out=tmp_path, device="cpu", progress=False, network={"clinical": None}, **settings
    )
    assert Cases.read(tmp_path / "validation.csv").mode == "dermoscopy"  # as `amfzoo evaluate --model` says
    assert "| dermoscopy | colour | " in (tmp_path / "summary.md").read_text()
    assert found.metrics["colour/accuracy"] == next(
        row["value"] for row in found.model.config.info["metrics"] if row["name"] == "accuracy"
    )


@pytest.mark.slow
def test_training_ends_when_patience_runs_out(data, tiny, tmp_path, monkeypatch):
    values = iter([0.5, 0.7, 0.7, 0.6, 0.9])
    real = run.scores_of
    monkeypatch.setattr(run, "scores_of", lambda *a: {**real(*a), "auroc": next(values, 0.0)})
    found = finetune(
        "amf_test",
        data,
        out=tmp_path,
        device="cpu",
        progress=False,
        **{**tiny, "epochs": 5, "patience": 2, "metric": "auroc", "keep": "last"},
    )
    assert [row["valid/auroc"] for row in found.history] == [0.5, 0.7, 0.7, 0.6]
    assert "chosen by auroc" in (tmp_path / "summary.md").read_text()  # when to end was
    assert "(chose the epoch)" in found.model.config.info["metrics"][0]["data"]


def test_of_epochs_with_the_same_metric_the_one_of_the_lowest_loss_is_kept(data, tiny, tmp_path, monkeypatch):
    losses = iter([0.9, 0.7, 0.8, *[0.0] * 9])  # what is measured at the end does not choose
    real = run.scores_of
    monkeypatch.setattr(run, "scores_of", lambda *a: {**real(*a), "accuracy": 0.5, "loss": next(losses)})
    settings = {**tiny, "ema": 0.0, "epochs": 3, "metric": "accuracy", "checkpoint_steps": 0}
    found = finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **settings)
    assert "best epoch: 2, accuracy 0.5000" in (tmp_path / "summary.md").read_text()
    last = load_checkpoint(tmp_path)["network"]
    assert any(not torch.equal(value, last[name]) for name, value in found.model.state_dict().items())


def test_the_last_epoch_is_kept_where_that_is_asked(data, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "best_epoch", lambda history, metric: 0)  # the first stays the best
    settings = {**tiny, "ema": 0.0, "epochs": 2}
    found = {
        keep: finetune("amf_test", data, out=tmp_path / keep, device="cpu", progress=False, keep=keep, **settings)
        for keep in ("best", "last")
    }
    last = load_checkpoint(found["last"].folder)["network"]
    weights = {keep: result.model.state_dict() for keep, result in found.items()}
    assert all(torch.equal(value, last[name]) for name, value in weights["last"].items())
    assert any(not torch.equal(value, last[name]) for name, value in weights["best"].items())
    assert "flatter" in (tmp_path / "best" / "summary.md").read_text()
    text = (tmp_path / "last" / "summary.md").read_text()
    assert "flatter" not in text and "of the last epoch" in text


@pytest.mark.slow
def test_backbones_start_from_files(data, tiny, tmp_path):
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(5)
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    save_file(state, tmp_path / "resnet.safetensors")
    go = {"device": "cpu", "progress": False, **tiny, "epochs": 1, "freeze": ["dermoscopy"]}
    found = finetune(
        "amf_test", data, out=tmp_path / "run", backbone_weights={"dermoscopy": tmp_path / "resnet.safetensors"}, **go
    )
    assert torch.equal(found.model.branches["dermoscopy"].body.conv1[0].weight, state["conv1.0.weight"])
    donor = f"local-dir:{found.folder / 'model'}"
    again = finetune("amf_test", data, out=tmp_path / "again", backbone_weights={"dermoscopy": donor}, **go)
    assert torch.equal(again.model.branches["dermoscopy"].body.conv1[0].weight, state["conv1.0.weight"])
    twice = finetune(
        "symmetric_test", data, out=tmp_path / "twice", backbone_weights={"clinical": f"{donor}#dermoscopy"},
        **{**go, "freeze": ["clinical"]},
    )  # fmt: skip
    assert torch.equal(twice.model.branches["clinical"].body.conv1[0].weight, state["conv1.0.weight"])
    (tmp_path / "run#1").mkdir()
    (found.folder / "model").rename(tmp_path / "run#1" / "model#2")
    marked = f"local-dir:{tmp_path / 'run#1' / 'model#2'}"
    for number, name in enumerate([marked, f"{marked}#dermoscopy"]):
        third = finetune("amf_test", data, out=tmp_path / f"third{number}", backbone_weights={"dermoscopy": name}, **go)
        assert torch.equal(third.model.branches["dermoscopy"].body.conv1[0].weight, state["conv1.0.weight"])
    donor = marked
    with pytest.raises(ConfigError, match="no back branch to start from; it has clinical, dermoscopy"):
        finetune("amf_test", data, out=tmp_path / "no", backbone_weights={"clinical": f"{donor}#back"}, **go)
    with pytest.raises(WeightsError, match="safetensors"):
        finetune("amf_test", data, out=tmp_path / "no", backbone_weights={"dermoscopy": tmp_path / "none"}, **go)
    with pytest.raises(ConfigError, match="clinical backbone"):
        finetune(
            "amf_test", data, out=tmp_path / "no", backbone_weights={"clinical": tmp_path / "resnet.safetensors"}, **go
        )
    with pytest.raises(ConfigError, match="no 'derm' branch"):
        finetune("amf_test", data, out=tmp_path / "no", backbone_weights={"derm": "timm"}, **go)


@pytest.mark.parametrize("only", [None, "clinical", "dermoscopy"])
def test_validation_sees_what_prediction_sees(learned, data, only):
    whole = data.select(lambda lesion: len(lesion.images) == 2)
    accelerator = make_accelerator(TrainConfig(), None, "cpu")
    logits = logits_of(
        learned.model, PairDataset(whole, learned.model.preprocess), accelerator, batch_size=7, only=only
    )
    found = (logits["colour"].double() / learned.model.config.temperatures.get("colour", 1.0)).softmax(1)
    images = {
        branch: [lesion.images[branch] for lesion in whole]
        for branch in learned.model.preprocess
        if only in (None, branch)
    }
    expected = [list(answer.probabilities["colour"].values()) for answer in learned.model.predict(**images)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-5, rtol=1e-4)


def test_means_are_over_the_tasks_that_have_a_score_and_the_lesions_that_count(data):
    more = replace(data, tasks={**data.tasks, "other": ("a", "b")})
    dataset = PairDataset(more, {"clinical": Preprocess(), "dermoscopy": Preprocess()}, cache_gb=0)
    logits = {"colour": torch.randn(48, 3, generator=torch.Generator().manual_seed(0)), "other": torch.zeros(48, 2)}
    found = scores_of(logits, dataset.targets)
    assert math.isnan(found["other/loss"])
    assert all(found[name] == found[f"colour/{name}"] for name in ("loss", "accuracy", "macro_f1"))
    first = PairDataset(replace(data, lesions=data.lesions[:9]), dataset.preprocess, cache_gb=0)
    expected = scores_of({"colour": logits["colour"][:9]}, first.targets)
    part = scores_of({"colour": logits["colour"]}, dataset.targets, torch.arange(48) < 9)
    assert {name: part[name] for name in expected} == pytest.approx(expected)


def test_determinism_is_as_it_was_before(data, tiny, tmp_path):
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **{**tiny, "epochs": 1})
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
