"""Which runtime is taken, what is refused, and the graphs that are kept."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch
from networks import TASKS, build
from runtime_case import PAIRS, needs

from amfzoo import ConfigError, WeightsError, create_predictor
from amfzoo.runtimes import RUNTIMES, cache, create
from amfzoo.runtimes.onnx_runtime import OnnxRuntime

# ----------------------------------------------------------------------- choice


@pytest.mark.slow
def test_auto_takes_the_fastest_that_is_installed(tiny, monkeypatch):
    for name in ("openvino", "onnx"):
        if RUNTIMES[name].available():
            predictor = create_predictor(tiny)
            assert (predictor.runtime.name, predictor.precision) == (name, "fp32")
        monkeypatch.setattr(RUNTIMES[name], "requires", ("no_such_package",))
    fallback = create_predictor(tiny)
    assert fallback.runtime.name == "torch" and fallback.runtime.memory_format is torch.channels_last


def test_auto_goes_on_where_a_runtime_fails(tiny, monkeypatch, caplog):
    def refuse(network):
        raise ConfigError("an operation has no ONNX form")

    for name in ("openvino", "onnx"):
        monkeypatch.setattr(RUNTIMES[name], "requires", ())
    monkeypatch.setattr(create, "cached_onnx_graph", refuse)
    with caplog.at_level(logging.WARNING, "amfzoo"):
        assert create_predictor(tiny).runtime.name == "torch"
    assert caplog.text.count("no ONNX form") == 2
    with pytest.raises(ConfigError, match="no ONNX form"):
        create_predictor(tiny, "onnx")


def test_a_runtime_that_answers_otherwise_is_never_returned(tiny, monkeypatch, graphs):
    needs("onnx")
    real = OnnxRuntime.logits

    def wrong(self, batch):
        return {task: values[:, ::-1] for task, values in real(self, batch).items()}

    create_predictor(tiny, "onnx")
    assert list(graphs.glob(f"{cache._key(tiny)}-*.onnx"))
    monkeypatch.setattr(OnnxRuntime, "logits", wrong)
    with monkeypatch.context() as patch:
        forgotten = []
        patch.setattr(create, "forget", forgotten.append)  # only noted: the other tests want the graph
        with pytest.raises(WeightsError, match="does not answer as torch does"):
            create_predictor(tiny, "onnx")
        assert [cache._key(network) for network in forgotten] == [cache._key(tiny)]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"runtime": "tensorrt"}, "unknown runtime 'tensorrt'; known: auto, openvino, onnx, torch"),
        ({"precision": "int4"}, "unknown precision 'int4'; known: auto, fp32, bf16, int8"),
        ({"runtime": "auto", "compile": True}, "belong to runtime='torch'"),
        ({"runtime": "onnx", "precision": "bf16"}, "computes in fp32, int8, not in bf16|needs"),
        ({"runtime": "onnx", "precision": "bf16"}, "; (openvino or )?torch can$"),
        ({"runtime": "onnx", "device": "meta"}, "runs on cpu, not on meta|needs"),
    ],
)
def test_bad_options(tiny, options, message):
    with pytest.raises(ConfigError, match=message):
        create_predictor(tiny, **options)


def test_released_weights_on_a_device_without_numbers_are_refused():
    with pytest.raises(ConfigError, match="shapes without numbers"):
        create_predictor("amf_small.open", device="meta")


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_what_is_not_installed_is_named(name, tiny, monkeypatch):
    monkeypatch.setattr(RUNTIMES[name], "requires", ("no_such_package",))
    with pytest.raises(ConfigError, match=rf"no_such_package: pip install 'amfzoo\[{name}\]'"):
        create_predictor(tiny, name)


def test_a_name_without_weights_is_refused():
    with pytest.raises(Exception, match="amf_swin"):
        create_predictor("amf_swin")


# ------------------------------------------------------------------------ cache


def test_damaged_cached_graphs_are_noticed_and_made_anew(tiny, monkeypatch, tmp_path, graphs):
    needs("onnx")
    create_predictor(tiny, "onnx")
    (file,) = graphs.glob(f"{cache._key(tiny)}-*.onnx")
    monkeypatch.setenv("AMFZOO_CACHE", str(tmp_path))
    damaged = tmp_path / "graphs" / file.name
    damaged.parent.mkdir()
    made = []
    monkeypatch.setattr(cache, "onnx_graph", lambda network: made.append(network) or file.read_bytes())
    for count, content in enumerate((b"", file.read_bytes()[:-1000], b"x" + file.read_bytes()[1:]), 1):
        damaged.write_bytes(content)
        assert create_predictor(tiny, "onnx").runtime.name == "onnx"
        assert len(made) == count and damaged.read_bytes() == file.read_bytes()


def test_the_cache_knows_weights_and_settings(tiny):
    other = build("amf_test", seed=1, tasks=TASKS)
    settings = build("amf_test", seed=1, tasks=TASKS, attention_heads=4)
    assert len({cache._key(network) for network in (tiny, other, settings)}) == 3
    assert cache._key(other) == cache._key(build("amf_test", seed=1, tasks=TASKS))


def test_few_graphs_are_kept_and_an_unusable_cache_is_no_error(tiny, monkeypatch, tmp_path):
    monkeypatch.setattr(cache, "require", lambda *packages: None)
    monkeypatch.setattr(cache, "onnx_graph", lambda network: b"graph")
    monkeypatch.setattr(cache, "_KEPT", 2)
    monkeypatch.setenv("AMFZOO_CACHE", str(tmp_path))
    for seed in range(4):
        assert cache.cached_onnx_graph(build("amf_test", seed=seed)) == b"graph"
    assert len(list((tmp_path / "graphs").iterdir())) == 2
    (tmp_path / "file").touch()
    monkeypatch.setenv("AMFZOO_CACHE", str(tmp_path / "file"))
    assert cache.cached_onnx_graph(tiny) == b"graph"


@pytest.mark.skipif(os.name != "posix", reason="hides the home directory as POSIX has it")
def test_a_graph_of_a_cache_that_can_only_be_read_is_taken(tiny, monkeypatch, tmp_path):
    """As in the layers of an image that another user made: its use cannot be noted."""
    made = []
    monkeypatch.setattr(cache, "require", lambda *packages: None)
    monkeypatch.setattr(cache, "onnx_graph", lambda network: made.append(network) or b"graph")
    monkeypatch.setenv("AMFZOO_CACHE", str(tmp_path / "theirs"))
    assert cache.cached_onnx_graph(tiny) == b"graph" and len(made) == 1
    monkeypatch.setattr(cache.os, "utime", lambda file: (_ for _ in ()).throw(PermissionError(1, "not permitted")))
    assert cache.cached_onnx_graph(tiny) == b"graph" and len(made) == 1


def test_that_graphs_cannot_be_kept_is_said_once(tiny, monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(cache, "require", lambda *packages: None)
    monkeypatch.setattr(cache, "onnx_graph", lambda network: b"graph")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("AMFZOO_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert cache.cached_onnx_graph(tiny) == b"graph"
    (told,) = (record.getMessage() for record in caplog.records)
    assert str(tmp_path / "file") in told and "set AMFZOO_CACHE" in told


@pytest.mark.parametrize("named", [None, "~no_such_user_here/cache"])
def test_without_a_home_directory_graphs_are_made_and_not_kept(tiny, monkeypatch, tmp_path, named):
    def nobody(user):
        raise KeyError(user)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "AMFZOO_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if named:
        monkeypatch.setenv("AMFZOO_CACHE", named)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "require", lambda *packages: None)
    monkeypatch.setattr(cache, "onnx_graph", lambda network: b"graph")
    with pytest.raises(RuntimeError, match="home directory"):
        Path(named or "~").expanduser()
    assert cache.cached_onnx_graph(tiny) == b"graph"
    cache.forget(tiny)
    assert list(tmp_path.iterdir()) == []


def test_predictors_are_made_in_the_callers_inference_mode_too(tiny):
    """Channels last is what "auto" takes of torch on a CPU: there normalisation is folded, which makes new weights."""
    outside = create_predictor(tiny, "torch", channels_last=True)
    with torch.inference_mode():
        inside = create_predictor(tiny, "torch", channels_last=True)
    assert inside.predict(*PAIRS[0]).probabilities == outside.predict(*PAIRS[0]).probabilities
    assert not any(weight.is_inference() for weight in inside.runtime.network.parameters())
