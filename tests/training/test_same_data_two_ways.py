"""MILK10k's own layout and the CSV that `amfzoo data export` makes of it are the same data to a run."""

from __future__ import annotations

import csv

import pytest
import torch
from lesions import TINY, squares

from amfzoo.cli.main import main
from amfzoo.data.sources import load_source
from amfzoo.images import Preprocess
from amfzoo.labels import MILK10K
from amfzoo.training import finetune
from amfzoo.training.dataset import PairDataset

CLASSES = MILK10K.classes()["diagnosis"]


@pytest.fixture(scope="module")
def milk10k(tmp_path_factory):
    """36 drawn lesions of three classes in the official layout; some lack an image."""
    root = tmp_path_factory.mktemp("milk10k")
    drawn = squares(root / "drawn", 36)
    images, truths = [], []
    for number, lesion in enumerate(drawn):
        name = f"IL_{number:07}"
        for branch, kind in (("clinical", "clinical: close-up"), ("dermoscopy", "dermoscopic")):
            path = lesion.images.get(branch)
            if path is not None:
                isic = f"ISIC_{len(images):07}"
                target = root / "MILK10k_Training_Input" / name / f"{isic}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())  # a PNG by content: the name does not matter to the decoder
                images.append({"lesion_id": name, "isic_id": isic, "image_type": kind, "age_approx": "60", "sex": "male",
                               "site": "trunk", "skin_tone_class": "3"})  # fmt: skip
        truths.append({"lesion_id": name, **{c: float(c == CLASSES[number % 3]) for c in CLASSES}})
    for file, rows in (("Metadata", images), ("GroundTruth", truths)):
        with open(root / f"MILK10k_Training_{file}.csv", "w", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return root


@pytest.fixture(scope="module")
def exported(milk10k, tmp_path_factory):
    file = tmp_path_factory.mktemp("export") / "lesions.csv"
    assert main(["data", "export", f"milk10k:{milk10k}", "--out", str(file)]) == 0
    return file


def test_batches_are_the_same(milk10k, exported):
    size = dict.fromkeys(("clinical", "dermoscopy"), Preprocess(size=(32, 32)))
    one, other = (PairDataset(load_source(source), size) for source in (f"milk10k:{milk10k}", exported))
    assert len(one) == len(other) == 36
    for a, b in zip(one, other):
        torch.testing.assert_close(a["targets"], b["targets"], rtol=0, atol=0)
        assert a["present"].tolist() == b["present"].tolist()
        assert all((a["pixels"][branch] == b["pixels"][branch]).all() for branch in size)


@pytest.mark.slow
def test_a_run_ends_with_the_same_weights_and_figures(milk10k, exported, tmp_path):
    settings = {**TINY, "epochs": 2, "modality_dropout": 0.2}
    one, other = (
        finetune("amf_test", load_source(source), out=tmp_path / str(i), device="cpu", progress=False, **settings)
        for i, source in enumerate((f"milk10k:{milk10k}", exported))
    )
    torch.testing.assert_close(dict(one.model.state_dict()), dict(other.model.state_dict()), rtol=0, atol=0)
    timeless = [[{k: v for k, v in row.items() if k != "seconds"} for row in run.history] for run in (one, other)]
    assert timeless[0] == timeless[1] and len(timeless[0]) == 2
    assert one.metrics == other.metrics and one.model.config.temperatures == other.model.config.temperatures
