"""What own lesions are worth: who is tested, what each row is, and that finished runs stay."""

import csv
import json

import numpy as np
import pytest
from networks import build
from PIL import Image
from sklearn.metrics import accuracy_score, f1_score, log_loss

from amfzoo import create_model
from amfzoo.data.sources import load_source
from benchmarks.fine_tuning import AS_IT_IS, FOLDS, IMAGENET, first, main, narrowed, of_task, set_aside

CLASSES = ("A", "B", "C")
SMALL = "epochs: 1\nbatch_size: 4\nworkers: 1\nmetric: loss\n"


@pytest.fixture
def folder(tmp_path):
    """30 lesions of 15 patients, of dermoscopy alone: light ones are a, dark ones b; and weights that know three classes."""
    random = np.random.default_rng(0)
    with open(tmp_path / "d.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lesion_id", "patient_id", "dermoscopy", "diagnosis [a|b|never]", "streaks [absent|present]"])
        for number in range(30):
            light = 90 if number % 2 else 160
            rough = Image.fromarray(random.integers(light - 60, light + 60, (14, 14, 3), np.uint8))
            rough.resize((80, 80)).save(tmp_path / f"{number}.png")
            table.writerow([f"L{number}", f"P{number // 2}", f"{number}.png", "ba"[number % 2], "absent"])
    for name in ("weights", "imagenet"):
        build(tasks={"diagnosis": CLASSES}).save_pretrained(tmp_path / name)
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def command(folder, *more):
    start = f"local-dir:{folder / 'imagenet'}"
    main(
        [
            "--model",
            f"local-dir:{folder / 'weights'}",
            "--data",
            str(folder / "d.csv"),
            "--test",
            "9",
            "--sizes",
            "16",
            "--runtime",
            "torch",
        ]
        + ["--seeds", "0", "--weights", f"clinical={start}", f"dermoscopy={start}", "--out", str(folder / "runs")]
        + ["--config", str(folder / "small.yaml"), "--json", str(folder / "f.json"), *more]
    )
    return json.loads((folder / "f.json").read_text())


def test_the_parts_share_no_patient_and_more_lesions_hold_the_fewer(folder):
    lesions = of_task(load_source(folder / "d.csv"), "diagnosis")
    assert lesions.tasks == {"diagnosis": ("a", "b")}  # "never" has no lesion, streaks are not asked for
    test, others = set_aside(lesions, 9)
    assert len(test) == 10 and len(test) + len(others) == 30  # whole patients
    assert not {lesion.patient for lesion in test} & {lesion.patient for lesion in others}
    few, many = ([lesion.id for lesion in first(others, count, 3)] for count in (4, 9))
    assert many[:4] == few and len(set(many)) == 9
    assert [lesion.id for lesion in first(others, 4, 4)] != few


@pytest.mark.slow
def test_rows_and_their_figures(folder, capsys):
    found = command(folder)
    rows = {(one["row"], one["lesions"]): one for one in found["rows"]}
    assert set(rows) == {
        (AS_IT_IS, 0),
        *((row, 16) for row in ("recalibrated", "heads only", "fine-tuned", "trained alone", FOLDS, IMAGENET)),
    }
    # as it is: what `predict` answers, with the probabilities of C shared out
    lesions = of_task(load_source(folder / "d.csv"), "diagnosis")
    test, _ = set_aside(lesions, 9)
    answers = create_model(f"local-dir:{folder / 'weights'}").predict(None, [lesion.dermoscopy for lesion in test])
    p = np.array([[answer.probabilities["diagnosis"][name] for name in "AB"] for answer in answers])
    p /= p.sum(1, keepdims=True)
    truth = np.array(["ab".index(lesion.labels["diagnosis"]) for lesion in test])
    own = rows[AS_IT_IS, 0]
    assert own["accuracy"] == pytest.approx(accuracy_score(truth, p.argmax(1)))
    assert own["log_loss"] == pytest.approx(log_loss(truth, p), abs=1e-4)
    assert own["macro_f1"]["value"] == pytest.approx(f1_score(truth, p.argmax(1), average="macro"))
    # a temperature changes no ranking
    assert rows["recalibrated", 16]["accuracy"] == own["accuracy"] and "minus_imagenet" in rows["recalibrated", 16]
    apart = rows["fine-tuned", 16]["minus_imagenet"]["auroc"]["value"]
    assert apart == pytest.approx(rows["fine-tuned", 16]["auroc"]["value"] - rows[IMAGENET, 16]["auroc"]["value"])
    apart = rows["fine-tuned", 16]["minus_alone"]["auroc"]["value"]
    assert apart == pytest.approx(
        rows["fine-tuned", 16]["auroc"]["value"] - rows["trained alone", 16]["auroc"]["value"]
    )
    assert [name for name, one in rows.items() if "minus_alone" in one] == [("fine-tuned", 16)]
    apart = rows[FOLDS, 16]["minus_tuned"]["macro_f1"]["value"]
    assert apart == pytest.approx(rows[FOLDS, 16]["macro_f1"]["value"] - rows["fine-tuned", 16]["macro_f1"]["value"])
    assert [name for name, one in rows.items() if "minus_tuned" in one] == [(FOLDS, 16)]
    text = capsys.readouterr().out
    assert "10 test lesions, seeds 0" in text and "| 16 | ImageNet |" in text
    assert "fine-tuned minus trained alone, 16 lesions: macro-f1 " in text
    assert "five folds minus fine-tuned, 16 lesions: macro-f1 " in text
    folds = folder / "runs" / "five_folds-16-0"
    assert sorted(path.name for path in folds.glob("fold-*")) == [f"fold-{number}" for number in range(5)]
    assert not list(folds.rglob("checkpoint.pt"))
    # heads alone: the body stays what it was
    start, heads = (create_model(f"local-dir:{folder / name}") for name in ("weights", "runs/heads_only-16-0/model"))
    body = [name for name, _ in start.named_parameters() if name.startswith(("branches", "fusion"))]
    same = [bool((start.state_dict()[name] == heads.state_dict()[name]).all()) for name in body]
    assert body and all(same)
    shares = [
        "start_share: 0.5" in (folder / f"runs/{row}-16-0/config.yaml").read_text()
        for row in ("fine-tuned", "trained_alone")
    ]
    assert shares == [True, False]

    # finished runs stay, and give the same
    answers = folder / "runs" / "fine-tuned-16-0" / "test.csv"
    before = answers.stat().st_mtime_ns
    assert command(folder)["rows"] == found["rows"] and answers.stat().st_mtime_ns == before
    answers.unlink()
    assert command(folder)["rows"] == found["rows"] and answers.is_file()  # trained once more


def test_too_few_lesions_are_refused(folder, capsys):
    with pytest.raises(SystemExit):
        command(folder, "--sizes", "21")
    assert "20 lesions are left beside the test part, fewer than 21" in capsys.readouterr().err


def test_narrowing_keeps_labels_and_shares_out_the_rest():
    from amfzoo.evaluation import Cases

    cases = Cases(
        ["x", "y", "z"],
        {"diagnosis": CLASSES},
        {"diagnosis": np.array([2, 0, -1])},
        {"diagnosis": np.array([[0.2, 0.5, 0.3], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])},
    )
    less = narrowed(cases, "diagnosis", ("c", "a"))
    assert less.tasks == {"diagnosis": ("c", "a")} and less.labels["diagnosis"].tolist() == [0, 1, -1]
    np.testing.assert_allclose(less.probabilities["diagnosis"], [[0.6, 0.4], [0.25, 0.75], [0.5, 0.5]])
    with pytest.raises(SystemExit, match="no class 'd'"):
        narrowed(cases, "diagnosis", ("a", "d"))
