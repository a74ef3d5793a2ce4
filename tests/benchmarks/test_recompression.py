"""Lesions whose pictures are stored once more, and the figures of the answers to them."""

import csv
import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from amfzoo import create_model
from amfzoo.data.sources import load_source
from benchmarks.recompression import main, stored_again


@pytest.fixture
def data(tmp_path):
    random = np.random.default_rng(0)
    with open(tmp_path / "pairs.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["lesion_id", "clinical", "dermoscopy", "split", "diagnosis [a|b]"])
        for number in range(12):
            names = [f"{number}_{branch}.png" for branch in ("clinical", "dermoscopy")]
            for name in names:
                Image.fromarray(random.integers(0, 255, (40, 50, 3), np.uint8)).save(tmp_path / name)
            table.writerow([f"L{number}", *names, "valid" if number < 10 else "train", "ab"[number % 2]])
    return tmp_path / "pairs.csv"


def test_pictures_are_the_encoders(data, tmp_path):
    lesions = load_source(str(data))
    stored = stored_again(lesions, "WEBP 60", tmp_path)
    for before, after in zip(lesions, stored):
        assert (before.id, before.labels) == (after.id, after.labels) and set(before.images) == set(after.images)
        for branch, path in after.images.items():
            file = io.BytesIO()
            Image.open(before.images[branch]).save(file, "WEBP", quality=60)
            assert path.read_bytes() == file.getvalue()


@pytest.mark.slow
def test_figures_are_those_of_the_answers(data, tmp_path, capsys):
    folder = tmp_path / "model"
    create_model("amf_test", False, tasks={"diagnosis": ("a", "b")}).save_pretrained(folder)
    main([f"local-dir:{folder}", "--data", str(data), "--ways", "JPEG 30"])
    text = capsys.readouterr().out
    lesions = load_source(str(data)).split("valid")
    network, labels = create_model(f"local-dir:{folder}"), [lesion.labels["diagnosis"] for lesion in lesions]

    def answers(lesions) -> list[str]:
        found = network.predict([x.clinical for x in lesions], [x.dermoscopy for x in lesions])
        return [answer.top("diagnosis")[0] for answer in found]

    assert "10 validation lesions" in text
    before = answers(lesions)
    for way, called in (("as it is", before), ("JPEG 30", answers(stored_again(lesions, "JPEG 30", tmp_path)))):
        expected = f1_score(labels, called, average="macro", labels=["a", "b"], zero_division=0)
        (row,) = [line for line in text.splitlines() if f"| {way} | {expected:.3f} |" in line]
        changed = f"{np.mean([a != b for a, b in zip(called, before)]):.3f}" if way != "as it is" else ""
        assert row.split("|")[-2].strip() == changed
