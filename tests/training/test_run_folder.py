"""The folder of a run: going on, stopping, refusing another run, full disks, damage."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import amfzoo
from amfzoo.data.records import LesionSet
from amfzoo.errors import ConfigError
from amfzoo.files import alone
from amfzoo.training import TrainConfig, TrainingError, TrainingStopped, finetune, loop
from amfzoo.training.checkpoint import load_checkpoint, save_checkpoint
from amfzoo.training.identity import differences, fingerprint
from amfzoo.training.run_folder import refuse_others


def test_the_same_call_again_finds_the_run_finished(data, tiny, tmp_path, monkeypatch):
    go = {"out": tmp_path, "device": "cpu", "progress": False, **tiny, "epochs": 1}
    first = finetune("amf_test", data, **go)
    monkeypatch.setattr(loop.Trainer, "run_epoch", lambda _: pytest.fail("trained again"))
    again = finetune("amf_test", data, **go)
    assert again.metrics == first.metrics and again.history == first.history


def test_a_folder_of_another_run_is_refused_and_overwritten_only_on_demand(data, tiny, tmp_path):
    settings = {**tiny, "epochs": 1}
    go = {"out": tmp_path / "run", "device": "cpu", "progress": False}
    finetune("amf_test", data, **go, **settings)
    with pytest.raises(TrainingError, match="label_smoothing was 0.05, is 0.2"):
        finetune("amf_test", data, **go, **{**settings, "label_smoothing": 0.2})
    with pytest.raises(TrainingError, match="lesions, labels"):
        finetune("amf_test", data.select(lambda lesion: lesion.id != "L1"), **go, **settings)
    with pytest.raises(TrainingError, match="overwrite"):
        finetune("symmetric_test", data, **go, **settings)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    found = finetune("symmetric_test", data, overwrite=True, **go, **settings)
    assert found.model.config.architecture == "symmetric_test" and (tmp_path / "run" / "notes.txt").exists()


def test_stopping_writes_a_checkpoint_and_the_same_call_goes_on(data, tiny, tmp_path):
    asked = iter([False, False, True])
    settings = {**tiny, "epochs": 2}
    with pytest.raises(TrainingStopped, match="after step 3 of 8"):
        finetune(
            "amf_test", data, out=tmp_path, device="cpu", progress=False, should_stop=lambda: next(asked), **settings
        )
    assert load_checkpoint(tmp_path)["progress"]["step"] == 3
    assert len(finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **settings).history) == 2


@pytest.mark.slow
def test_a_run_of_an_earlier_version_goes_on(data, tiny, tmp_path):
    """One whose version did not know a setting yet, which now has its default."""
    go = {"out": tmp_path, "device": "cpu", "progress": False}
    with pytest.raises(TrainingStopped):
        finetune("amf_test", data, should_stop=lambda: True, **go, **tiny)
    state = load_checkpoint(tmp_path)
    identity = json.loads(state["fingerprint"])
    del identity["settings"]["drop_fusion"]
    save_checkpoint(tmp_path, {**state, "fingerprint": json.dumps(identity)})
    with pytest.raises(TrainingError, match="drop_fusion was 0.0, is 0.5"):
        finetune("amf_test", data, **go, **tiny, drop_fusion=0.5)
    assert len(finetune("amf_test", data, **go, **tiny).history) == tiny["epochs"]


@pytest.mark.slow
def test_where_the_weights_lie_is_not_in_the_model_and_may_change_between_two_sittings(data, tiny, tmp_path):
    go = {"out": tmp_path / "run", "device": "cpu", "progress": False, **tiny, "epochs": 1}
    torch.manual_seed(0)
    before = amfzoo.create_model("amf_test", tasks=data.tasks).save_pretrained(tmp_path / "ward 7" / "mueller")
    with pytest.raises(TrainingStopped):
        finetune(before, data, should_stop=lambda: True, **go)
    shutil.move(tmp_path / "ward 7" / "mueller", tmp_path / "moved")
    found = finetune(f"local-dir:{tmp_path / 'moved'}", data, **go)
    written = "".join((found.folder / "model" / name).read_text() for name in ("config.json", "README.md"))
    assert "started from the weights in moved" in written
    assert "ward 7" not in written and str(tmp_path) not in written
    again = finetune(found.folder / "model", data, **{**go, "out": tmp_path / "second"}).model.config.info
    assert f"started from {found.model.config.info['name']}" in again["training_data"]


def test_what_the_caller_draws_does_not_depend_on_the_run(data, tiny, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **tiny | {"epochs": 1})
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.slow
def test_a_full_disk_is_said_and_leaves_the_checkpoint_before(data, tiny, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    save, count = loop.save_checkpoint, {"calls": 0}

    def limited(folder, state):
        count["calls"] += 1
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if count["calls"] == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            save(folder, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    monkeypatch.setattr(loop, "save_checkpoint", limited)
    settings = {**tiny, "epochs": 2, "checkpoint_steps": 1}
    with pytest.raises(TrainingError, match="disk is full.*intact"):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **settings)
    assert load_checkpoint(tmp_path)["progress"]["step"] == 1 and not list(tmp_path.glob(".*partial"))
    assert len(finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **settings).history) == 2


def test_a_damaged_checkpoint_is_a_clear_error(data, tiny, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK nothing")
    with pytest.raises(TrainingError, match="cannot be read"):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **tiny)


class _Code:
    """Would make a file, were it unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return (open, (str(self.file), "w"))


def test_a_checkpoint_runs_no_code(tmp_path):
    torch.save({"network": _Code(tmp_path / "ran")}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_checkpoint(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_what_a_run_was_begun_with(data, tmp_path):
    network, config = amfzoo.create_model("amf_test", tasks=data.tasks), TrainConfig()
    lesions = replace(data, lesions=data.lesions[:3])

    def changes(found=lesions, net=network, **settings) -> list[str]:
        return differences(before, fingerprint(net, "amf_test", found, replace(config, **settings)))

    def with_first(**change) -> LesionSet:
        return replace(lesions, lesions=(replace(lesions.lesions[0], **change), *lesions.lesions[1:]))

    before = fingerprint(network, "amf_test", lesions, config)
    assert changes(workers=3, cache_gb=1.0, eval_batch_size=7) == []  # how it is run may change
    assert changes(lr=0.5) == [f"lr was {config.lr!r}, is 0.5"]
    copied = Path(shutil.copy(lesions.lesions[0].clinical, tmp_path))
    assert changes(with_first(clinical=copied)) == []  # and so may the folder of the images
    copied.write_bytes(copied.read_bytes() + b"0")
    for change in ({"clinical": copied}, {"split": "valid"}, {"labels": {"colour": "blue"}}, {"labels": {}}):
        assert changes(with_first(**change)) == ["the lesions, labels, splits or image files differ"]
    tested = LesionSet(lesions.name, (*lesions, replace(lesions.lesions[0], id="x", split="test")), lesions.tasks)
    assert changes(tested) == []  # of lesions that no training sees
    teacher = amfzoo.create_model("amf_test", tasks=data.tasks)
    for folder in ("teacher", "moved"):
        teacher.save_pretrained(tmp_path / folder)
    taught = {"teachers": (f"local-dir:{tmp_path / 'teacher'}",)}
    begun = fingerprint(network, "amf_test", lesions, replace(config, **taught))
    assert differences(begun, fingerprint(network, "amf_test", lesions, replace(config, **taught))) == []
    moved = replace(config, teachers=(f"local-dir:{tmp_path / 'moved'}",))
    assert differences(begun, fingerprint(network, "amf_test", lesions, moved)) == []
    amfzoo.create_model("amf_test", tasks=data.tasks).save_pretrained(tmp_path / "teacher", overwrite=True)
    now = fingerprint(network, "amf_test", lesions, replace(config, **taught))
    assert differences(begun, now) == [f"teachers were {taught['teachers'][0]}, are others than they were"]
    assert changes(teachers=taught["teachers"]) == [f"teachers were none, are now {taught['teachers'][0]}"]
    assert differences({k: v for k, v in begun.items() if k != "teachers"}, now) == []  # an earlier version's
    other = amfzoo.create_model("amf_test", tasks=data.tasks, dropout=0.5)
    assert changes(net=other) == ["the network has other settings"]


def test_names_that_no_table_of_predictions_can_hold(data, tiny, tmp_path):
    for name in ("a:b", "split", "metadata"):
        (task,) = list(data.tasks)[:1]
        renamed = replace(
            data,
            tasks={name: data.tasks[task]},
            lesions=tuple(replace(one, labels={name: one.labels[task]} if task in one.labels else {}) for one in data),
        )
        with pytest.raises(ConfigError, match="cannot be the name of a task"):
            finetune("amf_test", renamed, out=tmp_path, device="cpu", progress=False, **tiny)


def test_nothing_held_out_is_said(data, tiny, tmp_path, caplog):
    of_one = replace(data, lesions=tuple(replace(one, patient="P", split=None) for one in data))
    finetune("amf_test", of_one, out=tmp_path, device="cpu", progress=False, **{**tiny, "epochs": 1})
    assert "no lesion with a label is held out" in caplog.text


def test_the_card_says_what_was_never_learned(data, tiny, tmp_path):
    tasks = {**data.tasks, "streaks": ("absent", "present")}
    found = finetune(
        "amf_test", replace(data, tasks=tasks), out=tmp_path, device="cpu", progress=False, **{**tiny, "epochs": 1}
    )
    assert "Nothing was learned for streaks: do not use those answers" in found.model.config.info["training_data"]
    assert found.model.untrained == amfzoo.create_model(tmp_path / "model").untrained == ("streaks",)
    assert "for streaks: do not use" in (tmp_path / "model" / "README.md").read_text().replace("\n", " ")


def test_one_run_at_a_time(data, tiny, tmp_path):
    with alone(tmp_path / ".lock"), pytest.raises(TrainingError, match="another run is training in"):
        finetune("amf_test", data, out=tmp_path, device="cpu", progress=False, **tiny)


@pytest.mark.slow
def test_a_run_does_not_go_on_from_other_weights_or_with_images_in_the_other_slot(data, tiny, tmp_path):
    go = {"out": tmp_path / "run", "device": "cpu", "progress": False, **tiny, "epochs": 1}
    first, second = (finetune("amf_test", data, **{**go, "out": tmp_path / str(i), "seed": i}).model for i in range(2))
    assert first.config.info["name"] != second.config.info["name"]  # "(weights ...)"
    finetune(first, data, **go)
    with pytest.raises(TrainingError, match="has other weights than it had"):
        finetune(second, data, **go)
    swapped = replace(data, lesions=tuple(replace(o, clinical=o.dermoscopy, dermoscopy=o.clinical) for o in data))
    with pytest.raises(TrainingError, match="image files differ"):
        finetune(first, swapped, **go)


def test_a_model_folder_between_its_two_names_is_put_back(data, tiny, tmp_path):
    go = {"out": tmp_path, "device": "cpu", "progress": False, **tiny, "epochs": 1}
    first = finetune("amf_test", data, **go)
    (tmp_path / "model").rename(tmp_path / ".model.previous")
    (tmp_path / ".model.0123.tmp").mkdir()
    assert finetune("amf_test", data, **go).metrics == first.metrics
    assert not (tmp_path / ".model.0123.tmp").exists() and not (tmp_path / ".model.previous").exists()


def test_a_cross_validation_is_called_so(tmp_path):
    for name in ("validation.csv", "fold-0/checkpoint.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(TrainingError, match="holds a cross-validation, which a run without folds would overwrite"):
        refuse_others(tmp_path)
    (tmp_path / "fold-0/checkpoint.pt").unlink()
    with pytest.raises(TrainingError, match="has validation.csv, but no run that wrote them"):
        refuse_others(tmp_path)
