"""Weights judged on another data set: which lesions count, and the figures of the answers."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import accuracy_score, roc_auc_score

from amfzoo import create_model
from amfzoo.data.sources import load_source
from amfzoo.evaluation import Cases, task_scores
from benchmarks.external import answers_of, ece_refitted, figures_of, main, without_copies
from benchmarks.recompression import stored_again


def pictures(folder, names):
    random = np.random.default_rng(len(names))
    for name in names:
        rough = Image.fromarray(random.integers(0, 255, (15, 17, 3), np.uint8))
        rough.resize((170, 150), Image.Resampling.BICUBIC).save(folder / name)


@pytest.fixture
def data(tmp_path):
    """Ten lesions of dermoscopy alone, of two of the network's three classes in lower case; and training lesions with a copy."""
    folders = [tmp_path / name for name in ("ours", "theirs")]
    for folder in folders:
        folder.mkdir()
    names = [f"{number}.png" for number in range(10)]
    pictures(folders[0], names)
    with open(folders[0] / "d.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lesion_id", "dermoscopy", "diagnosis [a|b]"])
        table.writerows([f"L{number}", name, "ab"[number % 2]] for number, name in enumerate(names))
        table.writerow(["unlabelled", names[0], ""])
    pictures(folders[1], ["x.png"])
    Image.open(folders[0] / "3.png").resize((160, 140)).save(folders[1] / "y.jpg")
    (folders[1] / "d.csv").write_text("lesion_id,dermoscopy,split\nT0,x.png,train\nT1,y.jpg,train\n")
    return [str(folder / "d.csv") for folder in folders]


def test_copies_of_training_lesions_are_left_out(data):
    ours, theirs = map(load_source, data)
    kept = without_copies(ours, [theirs])
    assert [lesion.id for lesion in ours if lesion not in tuple(kept)] == ["L3"]
    assert without_copies(ours, []).lesions == ours.lesions


@pytest.mark.slow
def test_figures_are_those_of_the_answers(data, tmp_path, capsys):
    folder = tmp_path / "model"
    create_model("amf_test", False, tasks={"diagnosis": ("A", "B", "C")}).save_pretrained(folder)
    name = f"local-dir:{folder}"
    main(
        [
            name,
            "--data",
            data[0],
            "--trained-on",
            data[1],
            "--runtime",
            "torch",
            "--refitted",
            "4",
            "--json",
            str(tmp_path / "f.json"),
        ]
    )
    text = capsys.readouterr().out
    written = json.loads((tmp_path / "f.json").read_text())
    (found,), guards = written["weights"].values(), written["guards"]
    lesions = [lesion for lesion in load_source(data[0]) if lesion.id not in ("L3", "unlabelled")]
    answers = create_model(name).predict(None, [lesion.dermoscopy for lesion in lesions])
    p = np.array([list(answer.probabilities["diagnosis"].values()) for answer in answers])
    truth = np.array(["ab".index(lesion.labels["diagnosis"]) for lesion in lesions])
    assert found["lesions"] == 9 and found["counts"] == {"A": 5, "B": 4}
    assert found["scores"]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, p.argmax(1)))
    assert found["scores"]["auroc:A"]["value"] == pytest.approx(roc_auc_score(truth == 0, p[:, 0]))
    assert found["answers_beyond"] == np.mean(p.argmax(1) == 2)
    assert guards["any"] == np.mean([bool(answer.warnings) for answer in answers])
    misplaced = create_model(name).predict([lesion.dermoscopy for lesion in lesions], None)
    assert guards["found in the other's place"] == np.mean(
        ["wrong_kind" in {w.code for w in answer.warnings} for answer in misplaced]
    )
    assert text.startswith("9 lesions of d.csv; 1 left out") and "| AUROC of | A (5) | B (4) |" in text


@pytest.mark.slow
def test_images_may_be_stored_once_more_first(data, tmp_path, capsys):
    create_model("amf_test", False, tasks={"diagnosis": ("a", "b")}).save_pretrained(tmp_path / "model")
    name, file = f"local-dir:{tmp_path / 'model'}", tmp_path / "f.json"
    main([name, "--data", data[0], "--runtime", "torch", "--refitted", "4", "--stored", "JPEG 5", "--json", str(file)])
    capsys.readouterr()
    lesions = load_source(data[0]).select(lambda lesion: "diagnosis" in lesion.labels)
    losses = [
        task_scores(answers_of(name, known, "diagnosis", "torch"), "diagnosis")["log_loss"].value
        for known in (lesions, stored_again(lesions, "JPEG 5", tmp_path))
    ]
    (found,) = json.loads(file.read_text())["weights"].values()
    assert found["scores"]["log_loss"]["value"] == pytest.approx(losses[1], rel=1e-5)
    assert losses[1] != pytest.approx(losses[0], rel=1e-4)


def test_lesions_of_classes_that_the_network_lacks_are_left_out(data, tmp_path, capsys):
    create_model("amf_test", False, tasks={"diagnosis": ("A", "C")}).save_pretrained(tmp_path / "model")
    found = figures_of(
        f"local-dir:{tmp_path / 'model'}", load_source(data[0]), "diagnosis", "torch", 2
    )  # five b, and the one without a label
    assert found["lesions"] == 5 and found["counts"] == {"A": 5}
    assert "6 lesions are of classes that it does not have" in capsys.readouterr().out


def test_a_new_temperature_mends_what_a_temperature_can():
    """Probabilities that are right but for a temperature of 3: nearly no error is left, of .2."""
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (4000, 3))
    right = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    flat = np.exp(logits / 3) / np.exp(logits / 3).sum(1, keepdims=True)
    labels = np.array([random.choice(3, p=row) for row in right])
    cases = Cases([*map(str, range(4000))], {"diagnosis": ("a", "b", "c")}, {"diagnosis": labels}, {"diagnosis": flat})
    assert abs((flat.argmax(1) == labels).mean() - flat.max(1).mean()) > 0.2
    assert ece_refitted(cases, "diagnosis", 500) < 0.03
