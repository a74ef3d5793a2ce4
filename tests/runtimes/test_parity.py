"""What the comparison with torch notices, of runtimes that are wrong in one way each."""

from __future__ import annotations

import math
import os
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch
from networks import TASKS, build

from amfzoo import WeightsError
from amfzoo.fingerprint import fingerprint
from amfzoo.inference.torch_logits import torch_logits
from amfzoo.runtimes import cache, create
from amfzoo.runtimes.parity import agreement, check, difference, picture_batch


class Wrong:
    """A runtime that answers as torch does, but for `change`."""

    name = "wrong"

    def __init__(self, network, change):
        self.network, self.change, self.calls = network, change, 0

    def logits(self, batch):
        self.calls += 1
        return self.change(self, batch)


def blind(column):
    """Takes an image that is missing for a black one."""

    def change(runtime, batch):
        present = batch.present.copy()
        present[:, column] = True
        return torch_logits(runtime.network, batch._replace(present=present))

    return change


def tired(runtime, batch):
    """Right the first time alone."""
    return {task: values * (runtime.calls == 1) for task, values in torch_logits(runtime.network, batch).items()}


def swapped(runtime, batch):
    return dict(reversed(torch_logits(runtime.network, batch).items()))


@pytest.mark.parametrize("change", [blind(0), blind(1), tired, swapped])
def test_a_runtime_that_is_wrong_is_refused(tiny, change):
    assert max(check(tiny, Wrong(tiny, lambda self, batch: torch_logits(tiny, batch)), create._CHECKED).values()) == 0
    with pytest.raises(WeightsError, match="wrong does not answer as torch does"):
        check(tiny, Wrong(tiny, change), create._CHECKED)


def test_no_number_is_never_allowed(tiny):
    nothing = Wrong(tiny, lambda _, batch: {t: v * np.nan for t, v in torch_logits(tiny, batch).items()})
    with pytest.raises(WeightsError, match="differs by nan, allowed is any number"):
        check(tiny, nothing, (1,), tolerance=None)
    batch = picture_batch(tiny, 2)
    for change in (swapped, lambda _, batch: {t: v[:1] for t, v in torch_logits(tiny, batch).items()}):
        assert math.isnan(difference(tiny, Wrong(tiny, change), batch))
    last = Wrong(
        tiny, lambda _, batch: {t: v * (np.nan if t == "streaks" else 1) for t, v in torch_logits(tiny, batch).items()}
    )
    assert math.isnan(difference(tiny, last, batch))


def test_a_probability_that_is_too_low_counts_as_one_that_is_too_high(tiny):
    batch, temperatures = picture_batch(tiny, 3), tiny.config.temperatures
    p = [torch.softmax(torch.from_numpy(v) / temperatures[t], 1) for t, v in torch_logits(tiny, batch).items()]
    never = Wrong(tiny, lambda _, batch: {t: -1e3 * np.eye(3)[[0] * 3] for t in TASKS})  # the others share it
    lost = max(float(rows[:, 0].max()) for rows in p)
    assert difference(tiny, never, batch) == pytest.approx(lost, abs=1e-5)


def test_each_image_is_missing_in_one_pair_of_three_and_elsewhere_the_next_time(tiny):
    both, no_clinical, no_dermoscopy = [True, True], [False, True], [True, False]
    assert picture_batch(tiny, 4).present.tolist() == [both, no_clinical, no_dermoscopy, both]
    assert picture_batch(tiny, 2, seed=1).present.tolist() == [no_clinical, no_dermoscopy]


def test_agreement_is_of_the_class_that_differs_most(tiny):
    certain = Wrong(tiny, lambda _, batch: {t: 1e3 * np.eye(3)[[0] * 3] for t in TASKS})
    found, batch = agreement(tiny, certain, [picture_batch(tiny, 3)]), picture_batch(tiny, 3)
    temperatures = tiny.config.temperatures
    p = [torch.softmax(torch.from_numpy(v) / temperatures[t], 1)[:, 0] for t, v in torch_logits(tiny, batch).items()]
    apart = 1 - torch.cat(p).numpy()  # of the first class, by more than of any other
    assert (found.pairs, found.largest, found.mean) == pytest.approx((3, apart.max(), apart.mean()), abs=1e-5)
    logits = torch_logits(tiny, batch).values()
    assert found.same_class == pytest.approx(np.mean([(values.argmax(1) == 0).mean() for values in logits]))
    twice = agreement(tiny, certain, [picture_batch(tiny, 3)] * 2)
    assert (twice.pairs, twice.same_class) == (6, found.same_class)


def test_the_graph_that_was_used_last_is_kept_and_a_version_makes_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "require", lambda *packages: None)
    monkeypatch.setattr(cache, "onnx_graph", lambda network: b"graph")
    monkeypatch.setattr(cache, "_KEPT", 2)
    monkeypatch.setenv("AMFZOO_CACHE", str(tmp_path))
    networks = [build("amf_test", seed=seed) for seed in range(3)]
    for age, network in enumerate(networks[:2]):
        cache.cached_onnx_graph(network)
        (file,) = cache._files(cache._key(network))
        os.utime(file, (age, age))
    for network in (networks[0], networks[2]):  # the first is used again before the third needs its room
        cache.cached_onnx_graph(network)
    assert [len(cache._files(cache._key(network))) for network in networks] == [1, 0, 1]
    key = cache._key(networks[0])
    monkeypatch.setattr(cache, "__version__", "0.0.0")
    assert cache._key(networks[0]) != key
    monkeypatch.delenv("AMFZOO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "amfzoo" / "graphs"


def test_a_fingerprint_is_of_what_answers():
    network = build(auxiliary_heads=True).half()
    found = fingerprint(network)
    assert fingerprint(network.float()) == found
    network.remove_auxiliary_heads()
    assert fingerprint(network) == found
    network.config = network.config.replace(clinical_preprocess={"size": (96, 96)})
    assert fingerprint(network) != found


def test_without_onnx_there_is_nothing_to_forget(tiny, monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(cache, "version", missing)
    cache.forget(tiny)
