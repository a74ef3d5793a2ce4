"""examples/refit_heads.py: heads that are the logistic regression of the features, and nothing else changed."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_case import pictures
from networks import build, settle

from amfzoo.data.records import Lesion
from amfzoo.errors import ConfigError
from amfzoo.inference.augmented import Augmented

pytest.importorskip("sklearn", reason="needs amfzoo[train]")
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

FILE = Path(__file__).parents[1] / "examples" / "refit_heads.py"
sys.path.insert(0, str(FILE.parent))  # as for a script
SCRIPT = runpy.run_path(str(FILE))
TASKS = {"diagnosis": ("NV", "MEL", "BCC"), "streaks": ("absent", "present"), "veil": ("absent", "present")}


@pytest.fixture
def lesions(tmp_path):
    pictures(tmp_path)
    files = {"clinical": [None, tmp_path / "c0.jpg"], "dermoscopy": [tmp_path / "d0.jpg", tmp_path / "d1.jpg"]}
    found = []
    for i in range(12):
        labels = {"diagnosis": TASKS["diagnosis"][min(i % 4, 2)], "streaks": TASKS["streaks"][i // 2 % 2]}
        if i == 5:  # known to be one of two: nothing to fit on
            labels = {"diagnosis": ("NV", "MEL")}
        found.append(Lesion(str(i), files["clinical"][i % 2], files["dermoscopy"][i // 2 % 2], labels))
    return found


@pytest.mark.slow
def test_the_heads_are_those_of_scikit_learn_and_all_else_stays(lesions):
    model = settle(build(tasks=TASKS))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    views = SCRIPT["features"](model, lesions)
    SCRIPT["refit"](model, lesions, {"streaks": 0.01, "diagnosis": 0.01})
    for task in ("streaks", "diagnosis"):
        rows = [i for i in range(12) if i != 5]
        truth = np.array([TASKS[task].index(lesions[i].labels[task]) for i in rows])
        reference = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        reference.fit(views[:, rows].reshape(-1, views.shape[2]), np.tile(truth, len(views)))
        answers = model.heads[task](torch.from_numpy(views[0])).softmax(1).detach().numpy()
        np.testing.assert_allclose(answers, reference.predict_proba(views[0]), atol=2e-3)
    changed = {name for name, values in model.state_dict().items() if not torch.equal(values, before[name])}
    assert changed == {f"heads.{task}.{part}" for task in ("streaks", "diagnosis") for part in ("weight", "bias")}


def test_features_are_what_the_heads_read_of_a_pair_and_of_a_single_image(lesions):
    model = settle(build(tasks=TASKS))
    views = SCRIPT["features"](model, lesions[:2])
    assert views.shape == (4, 2, model.num_features)
    for i, lesion in enumerate(lesions[:2]):
        logits = model.heads["diagnosis"](torch.from_numpy(views[0, i])).double().softmax(0)
        answer = model.predict(*(lesion.images.get(name) for name in ("clinical", "dermoscopy")), guards=False)
        assert list(answer.probabilities["diagnosis"].values()) == pytest.approx(logits.tolist(), abs=1e-4)
    image = model.preprocess["dermoscopy"](lesions[0].dermoscopy)
    seen = Augmented(model).views[6](torch.from_numpy(image[None]))
    own = model.forward_features(torch.zeros_like(seen), seen, torch.tensor([[False, True]]))
    torch.testing.assert_close(own, torch.from_numpy(views[3, :1]), atol=1e-4, rtol=1e-3)


def test_an_image_that_no_lesion_has_gets_no_weight(lesions):
    """Rounding makes its features vary a little; scaled by that, they would decide everything where it is there."""
    model = settle(build(tasks=TASKS))
    SCRIPT["refit"](model, [replace(lesion, clinical=None) for lesion in lesions], {"streaks": 0.01})
    width = sum(model.branches["clinical"].channels)
    weight = model.heads["streaks"].weight
    assert not weight[:, :width].any() and weight[:, width:].any()


def test_a_class_without_a_training_lesion_is_named(lesions):
    with pytest.raises(ConfigError, match="no training lesion is BCC, so the head of diagnosis cannot be fitted"):
        SCRIPT["refit"](settle(build(tasks=TASKS)), lesions[:2], {"diagnosis": 0.01})


def test_a_task_that_the_network_has_not_is_wrong_usage(tmp_path, monkeypatch, capsys):
    build(tasks=TASKS).save_pretrained(tmp_path / "model")
    monkeypatch.setattr(sys, "argv", [str(FILE), *f"--run {tmp_path} --data x --out y --heads nothing=1".split()])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FILE), run_name="__main__")
    assert ended.value.code == 2 and "no such task: nothing" in capsys.readouterr().err
