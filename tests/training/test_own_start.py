"""A run does not replace the weights that it starts from, or that teach it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from lesions import TINY
from networks import build

from amfzoo.cli import exit_codes, main
from amfzoo.errors import ConfigError
from amfzoo.training import TrainingStopped, finetune, train_folds
from amfzoo.training.protocol import train_seeds

STOP = {**TINY, "device": "cpu", "progress": False, "should_stop": lambda: True}


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def run(data, tmp_path_factory) -> Path:
    """A run that was stopped, with a model already; the tests below copy it or leave it as it is."""
    folder = tmp_path_factory.mktemp("own") / "run"
    with pytest.raises(TrainingStopped):
        finetune("amf_test", data, out=folder, **STOP)
    build(tasks=data.tasks).save_pretrained(folder / "model")
    return folder


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize(
    ("model", "more", "what"),
    [
        ("local-dir:{}", {}, "model local-dir:.*"),
        ("local-dir:{}/../../run/model", {}, "model .*"),
        (Path("{}"), {}, "model .*"),
        ("amf_test", {"backbone_weights": {"clinical": "local-dir:{}#dermoscopy"}}, "clinical backbone .*"),
        ("amf_test", {"backbone_weights": {"dermoscopy": "{}/model.safetensors"}}, "dermoscopy backbone .*"),
        ("amf_test", {"teachers": ["local-dir:{}"]}, "teacher .*"),
    ],
)
def test_weights_that_a_run_would_replace_are_refused_as_its_start(data, run, model, more, what, overwrite):
    def put(value):
        if isinstance(value, dict):
            return {name: put(one) for name, one in value.items()}
        if isinstance(value, list):
            return [put(one) for one in value]
        return type(value)(str(value).format(run / "model"))

    before = files(run)
    with pytest.raises(ConfigError, match=f"{what}: the run would replace {run / 'model'}, .* name another folder"):
        finetune(put(model), data, out=run, overwrite=overwrite, **STOP, **put(more))
    assert files(run) == before


def test_weights_beside_what_a_run_replaces_may_start_it(data, run, tmp_path):
    out = shutil.copytree(run, tmp_path / "out")
    start = (out / "model").rename(out / "start")
    with pytest.raises(TrainingStopped):
        finetune(start, data, out=out, overwrite=True, **STOP)
    assert (start / "model.safetensors").exists()


def test_a_link_to_them_is_seen_through(data, run, tmp_path):
    (tmp_path / "link").symlink_to(run, target_is_directory=True)
    with pytest.raises(ConfigError, match="would replace"):
        finetune(f"local-dir:{tmp_path / 'link' / 'model'}", data, out=run, overwrite=True, **STOP)


@pytest.mark.parametrize("fold", [1, 3])  # one that is trained anew, and one of more folds that is thrown away
def test_the_model_of_a_fold_does_not_start_the_folds_that_replace_it(data, run, tmp_path, fold):
    own = shutil.copytree(run, tmp_path / f"fold-{fold}") / "model"
    with pytest.raises(ConfigError, match=f"would replace {own}"):
        train_folds(f"local-dir:{own}", data, out=tmp_path, folds=2, overwrite=True, **STOP)
    assert (own / "model.safetensors").exists()


def test_the_model_of_a_seed_does_not_teach_the_seeds_that_replace_it(data, run, tmp_path):
    own = shutil.copytree(run, tmp_path / "seed-1") / "model"
    splits = ("train", "valid", "test")
    lesions = replace(data, lesions=tuple(replace(one, split=splits[i % 3]) for i, one in enumerate(data)))
    how = {"out": tmp_path, "teachers": [f"local-dir:{own}"], "overwrite": True, **STOP}
    with pytest.raises(ConfigError, match=f"teacher .* would replace {own}"):
        train_seeds("amf_test", lesions, seeds=[0, 1], **how)
    with pytest.raises(TrainingStopped):  # of a seed that stays
        train_seeds("amf_test", lesions, seeds=[0, 2], **how)
    assert (own / "model.safetensors").exists()


@pytest.mark.parametrize("several", [[], ["--folds", "2"]])
def test_the_command_says_so_as_wrong_usage(run, tmp_path, capsys, several):
    out = tmp_path / "out"
    own = shutil.copytree(run, out / "fold-0" if several else out) / "model"
    (tmp_path / "x.csv").write_text("lesion_id,dermoscopy,diagnosis\n1,1.jpg,nv\n2,2.jpg,mel\n")
    command = ["train", "--model", f"local-dir:{own}", "--data", str(tmp_path / "x.csv"), "--device", "cpu", "-q"]
    assert main([*command, "--out", str(out), "--overwrite", *several]) == exit_codes.USAGE
    assert "name another folder for the run (--out)" in capsys.readouterr().err
    assert (own / "model.safetensors").exists()
