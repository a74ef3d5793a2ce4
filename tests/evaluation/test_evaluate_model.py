"""`evaluate_model` gives what the network itself answers, for the images of each mode; test-time augmentation."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from cli_case import pictures, tiny_model

from amfzoo import create_model
from amfzoo.data.records import Lesion, LesionSet
from amfzoo.errors import ConfigError, ImageError
from amfzoo.evaluation import evaluate_model
from amfzoo.inference import predict_stream
from amfzoo.inference.augmented import Augmented

TASKS = {"diagnosis": ("NV", "MEL"), "streaks": ("absent", "present")}


@pytest.fixture(scope="module")
def model():
    return tiny_model(tasks=TASKS)


@pytest.fixture
def lesions(tmp_path) -> LesionSet:
    pictures(tmp_path)
    clinical, dermoscopy = [tmp_path / f"c{i}.jpg" for i in (0, 1)], [tmp_path / f"d{i}.jpg" for i in (0, 1)]
    records = (
        Lesion("a", clinical[0], dermoscopy[0], {"diagnosis": "NV", "streaks": "present"}, patient="p", split="valid"),
        Lesion("b", None, dermoscopy[1], {"diagnosis": "MEL"}, metadata={"sex": "f"}),
        Lesion("c", clinical[1], None, {"diagnosis": ("NV", "MEL")}, patient="p"),
        Lesion("no image", labels={"diagnosis": "MEL"}),
    )
    return LesionSet("test", records, TASKS)


def test_modes_hold_the_answers_for_their_images(model, lesions):
    found = evaluate_model(model, lesions, batch_size=2)
    assert {mode: cases.ids for mode, cases in found.items()} == {
        "both": ("a", "b", "c"),
        "clinical": ("a", "c"),
        "dermoscopy": ("a", "b"),
    }
    for mode, cases in found.items():
        assert cases.mode == mode
        for i, name in enumerate(cases.ids):
            lesion = next(lesion for lesion in lesions if lesion.id == name)
            answer = model.predict(
                lesion.clinical if mode != "dermoscopy" else None, lesion.dermoscopy if mode != "clinical" else None
            )
            for task, classes in TASKS.items():
                expected = [answer.probabilities[task][label] for label in classes]
                np.testing.assert_allclose(cases.probabilities[task][i], expected, atol=1e-5)
    both = found["both"]
    assert both.labels["diagnosis"].tolist() == [0, 1, -1] and both.labels["streaks"].tolist() == [1, -1, -1]
    assert both.groups == ("patient:p", "lesion:b", "patient:p") and both.splits == ("valid", "", "")
    assert both.metadata == {"sex": ("", "f", "")}


def test_unreadable_images_are_an_error_or_left_out(model, lesions, caplog):
    lesions.lesions[0].clinical.write_bytes(b"no picture")
    with pytest.raises(ImageError, match="c0.jpg"):
        evaluate_model(model, lesions)
    found = evaluate_model(model, lesions, on_bad_image="skip")
    assert {mode: cases.ids for mode, cases in found.items()} == {
        "both": ("b", "c"),
        "clinical": ("c",),
        "dermoscopy": ("a", "b"),
    }
    assert "lesion 'a' is left out" in caplog.text and "1 of 3 lesions are left out of the mode 'both'" in caplog.text


def test_a_network_of_one_image_has_its_own_mode_only(lesions):
    model = create_model("amf_test", pretrained=False, tasks=TASKS, clinical=None).eval()
    found = evaluate_model(model, lesions)
    assert {mode: cases.ids for mode, cases in found.items()} == {"dermoscopy": ("a", "b")}
    for mode in ("clinical", "both"):  # not for want of images
        with pytest.raises(ConfigError, match=f"mode '{mode}' cannot be evaluated: .* alone; its mode is 'dermoscopy'"):
            evaluate_model(model, lesions, modes=[mode])


def test_progress_sees_every_answer(model, lesions):
    seen = []

    def progress(answers, mode, count):
        for answer in answers:
            seen.append((mode, count))
            yield answer

    evaluate_model(model, lesions, modes=["both"], progress=progress)
    assert seen == [("both", 3)] * 3


def test_labels_that_the_network_cannot_answer(lesions, caplog):
    model = tiny_model(tasks={"diagnosis": ("NV", "VASC")})
    with pytest.raises(ConfigError, match=r"2 lesions of test are of classes that the network does not have \(MEL 2\)"):
        evaluate_model(model, lesions)
    found = evaluate_model(model, lesions, modes=["both"], ignore_other_classes=True)["both"]
    assert found.labels["diagnosis"].tolist() == [0, -1, -1]
    assert (
        "2 lesions of classes that the network does not have are left out of the figures, which flatter: MEL 2"
        in caplog.text
    )
    with pytest.raises(ConfigError, match="nothing to score.* write the labels as the network's classes are called"):
        evaluate_model(tiny_model(tasks={"diagnosis": ("x", "y")}), lesions, ignore_other_classes=True)
    with pytest.raises(
        ConfigError, match="nothing to score.* name the column of the labels, e.g. --label 'size=COLUMN'"
    ):
        evaluate_model(tiny_model(tasks={"size": ("x", "y")}), lesions)
    with pytest.raises(ConfigError, match="unknown mode 'all'"):
        evaluate_model(tiny_model(tasks=TASKS), lesions, modes=["all"])
    with pytest.raises(ConfigError, match="must be a list of modes, not the string 'both'"):
        evaluate_model(tiny_model(tasks=TASKS), lesions, modes="both")


@pytest.mark.parametrize(
    ("label", "why"),
    [({"diagnosis": ("NV", "MEL")}, ", since the labels of 4 leave several classes open; "), ({}, "; label some")],
)
def test_labels_of_which_none_says_the_class(model, lesions, label, why):
    unsure = replace(lesions, lesions=tuple(replace(lesion, labels=label) for lesion in lesions))
    with pytest.raises(ConfigError, match=f"of 4 lesions of test none is of known class in diagnosis, streaks{why}"):
        evaluate_model(model, unsure)


def test_labels_in_another_case(lesions):
    model = tiny_model(tasks={"diagnosis": ("mel", "Nv", "vasc")})
    found = evaluate_model(model, lesions, modes=["both"])["both"]
    assert found.labels["diagnosis"].tolist() == [1, 0, -1]


def test_augmented_is_the_mean_over_turned_images(model, lesions):
    model.config = model.config.replace(temperatures={"diagnosis": 2.5})
    try:
        pixels = {
            name: np.asarray(p.resized(getattr(lesions.lesions[0], name))) for name, p in model.preprocess.items()
        }
        answers = []
        for turn in range(4):
            for mirror in (False, True):
                views = [np.rot90(pixels[name], turn, (0, 1)) for name in ("clinical", "dermoscopy")]
                answers.append(model.predict(*(np.ascontiguousarray(v[:, ::-1] if mirror else v) for v in views)))
        found = evaluate_model(model, lesions, modes=["both"], tta=True)["both"]
        for task, classes in TASKS.items():
            values = np.array([[answer.probabilities[task][name] for name in classes] for answer in answers])
            np.testing.assert_allclose(found.probabilities[task][0], values.mean(0), atol=1e-5)
            assert np.ptp(values[:, 0]) > 1e-5  # else the mean would show nothing
        assert (
            found.model == f"{answers[0].model}, mirrored and turned"
        )  # not mixed with, or taken for, the network's own
    finally:
        model.config = model.config.replace(temperatures={})


def test_augmented_answer_does_not_change_when_the_images_are_turned(model, lesions):
    size = model.preprocess["clinical"].size
    rng = np.random.default_rng(0)
    pair = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2)]
    turned = [np.ascontiguousarray(np.rot90(image)) for image in pair]
    one, other = predict_stream(Augmented(model), [pair, turned])
    for task in TASKS:
        assert one.probabilities[task] == pytest.approx(other.probabilities[task], abs=1e-5)


def test_augmented_keeps_the_network_in_its_mode_and_turns_wide_images_half_way(model):
    wide = tiny_model(tasks=TASKS)
    config = {**wide.config.clinical_preprocess.to_dict(), "size": (64, 96)}
    wide.config = wide.config.replace(clinical_preprocess=config, dermoscopy_preprocess=config)
    wide.train()
    with torch.no_grad():
        list(predict_stream(Augmented(wide), [(np.zeros((64, 96, 3), np.uint8), None)]))
    assert wide.training and all(module.training for module in wide.modules())
    assert len(Augmented(wide).views) == 4 and len(Augmented(model).views) == 8


@pytest.mark.parametrize(
    "told, name, split, warned",
    [
        ("3522 lesions of MILK10k and others", "milk10k", None, True),
        ("mine.csv: 80 training lesions", "theirs.csv+mine.csv", None, True),
        ("mine.csv: 80 training lesions", "mine.csv", "valid", False),  # told apart by the split
        ("not-mine.csv: 80 training lesions", "mine.csv", None, False),
        (None, "mine.csv", None, False),
    ],
)
def test_a_network_on_the_data_that_it_was_trained_on_is_told_of(lesions, caplog, told, name, split, warned):
    network = tiny_model(tasks=TASKS)
    network.config = network.config.replace(info={"training_data": told} if told else {})
    some = replace(lesions, name=name, lesions=tuple(replace(lesion, split=split) for lesion in lesions.lesions[:1]))
    evaluate_model(network, some, modes=["both"])
    assert ("says that it was trained on lesions of m" in caplog.text) == warned


def test_other_weights_are_not_evaluated_under_the_name_they_were_loaded_by(model, lesions, tmp_path):
    named = copy.deepcopy(model)
    named.config = named.config.replace(info={"name": "ours.one"})
    loaded = create_model(named.save_pretrained(tmp_path / "model"))
    assert evaluate_model(loaded, lesions, modes=["both"])["both"].model == "ours.one"
    for tta in (False, True):
        rounded = create_model(tmp_path / "model").bfloat16()
        assert "ours.one" not in evaluate_model(rounded, lesions, modes=["both"], tta=tta)["both"].model
