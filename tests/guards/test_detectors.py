"""Detectors against their definitions, written out; the file they come in."""

from __future__ import annotations

import numpy as np
import pytest

from amfzoo.guards.detectors import FILE, NETS, Detectors, Limits, Scores, bundled, load
from amfzoo.guards.features import DARKEST, LIGHT_HIGH, LIGHT_LOW, LIGHTEST

WIDTH, HIDDEN, AXES = 60, 4, 3


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    made = {"mean": random.normal(size=WIDTH), "scale": random.uniform(0.5, 2, WIDTH), "limits": np.arange(10.0)}
    for net in NETS:
        made |= {f"{net}_in": random.normal(size=(WIDTH, HIDDEN)), f"{net}_bias": random.normal(size=HIDDEN)}
        made |= {f"{net}_out": random.normal(size=HIDDEN), f"{net}_start": np.array(0.25)}
    made["axes"] = np.stack([np.linalg.qr(random.normal(size=(WIDTH, AXES)))[0] for _ in range(2)])
    made |= {"variance": random.uniform(1, 4, (2, AXES)), "rest": np.array([0.5, 0.7])}
    return made | {"centre": random.normal(size=(2, WIDTH))}


def test_scores_are_what_they_are_said_to_be(arrays):
    features = np.random.default_rng(1).normal(size=(6, WIDTH)).astype(np.float32)
    found = Detectors(arrays).scores_array(features)
    values = 5 * np.tanh((features - arrays["mean"]) / arrays["scale"] / 5)
    for row, value, feature in zip(found, values, features):
        scores = Scores(*row)
        for name in NETS:
            total = 0.25
            for unit in range(HIDDEN):
                total += (
                    max(0, value @ arrays[f"{name}_in"][:, unit] + arrays[f"{name}_bias"][unit])
                    * (arrays[f"{name}_out"][unit])
                )
            assert getattr(scores, name) == pytest.approx(total, rel=1e-4, abs=1e-4)
        squares = []
        for centre, axes, variance, rest in zip(*(arrays[n] for n in ("centre", "axes", "variance", "rest"))):
            covariance = axes @ np.diag(variance) @ axes.T + rest * (np.eye(WIDTH) - axes @ axes.T)
            squares.append((value - centre) @ np.linalg.inv(covariance) @ (value - centre))
        assert scores.distance == pytest.approx(np.sqrt(min(squares)), rel=1e-4)
        light = feature[[LIGHT_HIGH, LIGHT_LOW, DARKEST, LIGHTEST]]
        assert (scores.dark, scores.bright) == pytest.approx((-light[0], light[1]))
        assert scores.flat == pytest.approx(light[2] - light[3])


def test_one_picture_has_the_scores_that_it_has_among_others(arrays):
    features = np.random.default_rng(2).normal(size=(3, WIDTH)).astype(np.float32)
    detectors = Detectors(arrays)
    assert detectors.scores(features[1:2])[0] == pytest.approx(tuple(detectors.scores_array(features)[1]), rel=1e-4)


def test_saved_and_loaded(arrays, tmp_path):
    detectors = Detectors(arrays)
    detectors.save(tmp_path / "detectors.npz")
    assert [file.name for file in tmp_path.iterdir()] == ["detectors.npz"]
    found = load(tmp_path / "detectors.npz")
    assert found.limits == detectors.limits == Limits(*range(10))
    assert all(np.array_equal(found.arrays[name], values) for name, values in detectors.arrays.items())


def test_the_file_in_the_package_is_small_and_sound():
    assert FILE.stat().st_size < 300_000
    assert all(np.isfinite(values).all() for values in bundled().arrays.values())
