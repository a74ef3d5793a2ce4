"""A table of five pairs, and predictions without a network."""

from __future__ import annotations

import pytest
from cli_case import write_table

from amfzoo import ImageError, Prediction
from amfzoo.inference import table

ROWS = [
    ("a", "c0.jpg", "d0.jpg"),
    ("b", "", "d1.jpg"),
    ("c", "gone.jpg", "d0.jpg"),
    ('d "quoted"\nsecond line, with a comma', "c1.jpg", " d1.jpg "),
    ("=e", "c1.jpg", ""),
]


@pytest.fixture
def source(folder):
    return write_table(folder / "pairs.csv", ROWS)


@pytest.fixture
def asked(monkeypatch, model):
    """Predictions without a network; the pairs that were asked for, in order."""
    pairs = []
    row = {task: {label: float(label == classes[-1]) for label in classes} for task, classes in model.tasks.items()}

    def stream(network, todo, *, batch_size, errors, guards):
        assert errors == "return"
        for pair in todo:
            pairs.append(pair)
            bad = any("gone" in str(image) for image in pair) or pair == (None, None)
            missing = tuple(name for name, image in zip(("clinical", "dermoscopy"), pair) if image is None)
            yield ImageError("no such\nfile") if bad else Prediction(row, "tiny", missing)

    monkeypatch.setattr(table, "predict_stream", stream)
    return pairs


def names(pairs):
    return [tuple(image and image.name for image in pair) for pair in pairs]
