"""The pieces of a benchmark: rounds, counts, networks to compare, files, tables."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from cli_case import pictures, tiny_model, write_table
from networks import build
from torch import nn

from amfzoo import AmfzooError, ConfigError, ImageError, TableError, create_model
from amfzoo.benchmark import children
from amfzoo.benchmark.cost import gmac, noise_batch
from amfzoo.benchmark.ordinary import PairFiles, ScriptProcess
from amfzoo.benchmark.pictures import cycled, drawn_files, table_files
from amfzoo.benchmark.result import Report, Section, shown
from amfzoo.benchmark.speed import taking
from amfzoo.benchmark.subjects import ConcatenatedBackbones, Subject, named_model, peers_of, unique
from amfzoo.benchmark.timing import Spread, interleaved, left_beside, percentile, times_as_fast
from amfzoo.benchmark.variants import options_of, predictors_of
from amfzoo.models.parts import parameters
from amfzoo.runtimes import RUNTIMES


def test_rounds_are_interleaved_and_warm_ups_not_counted():
    order = []
    times = interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, warm_ups=2)
    assert order == ["a", "b"] * 5
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_ratios_are_of_the_rounds_not_of_the_medians():
    assert times_as_fast([1, 2, 10], [2, 8, 30]) == Spread(3, 2, 4)


def test_what_decoding_leaves_of_a_rate():
    # a core that decodes for 1 s what it computes in 3 s keeps three quarters of the rate
    assert left_beside([1, 1, 4], [3, 1, 1]) == Spread(0.5, 0.2, 0.75)


@pytest.mark.parametrize("percent", [1, 50, 90, 95, 100])
def test_percentiles(percent):
    values = np.random.default_rng(0).normal(size=37)
    assert percentile(list(values), percent) == np.percentile(values, percent, method="inverted_cdf")


class _OneConvolution(nn.Module):
    branches = ("dermoscopy",)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.auxiliary = nn.Linear(5, 5)

    def forward(self, clinical, dermoscopy):
        assert clinical is None
        return {"diagnosis": self.layer(dermoscopy)}


def test_counts_of_a_convolution():
    network = _OneConvolution()
    assert parameters(network) == 8 * 3 * 9  # without what only training needs
    assert gmac(network, 10) == pytest.approx(8 * 3 * 9 * 100 / 1e9)
    assert network.training


def test_noise_is_the_same_each_time():
    network = create_model("amf_test", dermoscopy=None)
    first, again = noise_batch(network, 2, 32), noise_batch(network, 2, 32)
    assert first.dermoscopy is None and first.present.all() and first.clinical.shape == (2, 3, 32, 32)
    assert np.array_equal(first.clinical, again.clinical)


def test_peers_of_a_model():
    model = named_model("amf_test")
    assert not model.pretrained and named_model("amf_small").pretrained and named_model("local-dir:/x").pretrained
    peers = peers_of(model, model.build())
    assert [peer.kind for peer in peers] == ["control", "model", "timm", "timm"]
    control = peers[0].build()
    assert (control.config.clinical, control.config.dermoscopy, control.config.fusion) == (
        "test_resnet", "test_resnet", "mutual",
    )  # fmt: skip
    assert parameters(control) == parameters(create_model("symmetric_test"))
    assert parameters(peers[2].build()) < parameters(model.build())
    assert not peers_of(named_model("amf_test"), create_model("amf_test", clinical=None))
    assert [peer.kind for peer in peers_of(Subject("s", "model", ("symmetric_test",)), create_model("symmetric_test"))] == [
        "model", "timm", "timm",
    ]  # fmt: skip
    assert unique([*peers, *peers]) == peers


def test_concatenated_backbones_read_both_images():
    network = ConcatenatedBackbones("test_efficientnet", "test_resnet", classes=4).eval()
    images = torch.randn(2, 2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    found = network(*images)["diagnosis"]
    assert found.shape == (2, 4)
    for other in ((images[0], images[0]), (images[1], images[1])):
        assert not torch.allclose(network(*other)["diagnosis"], found)


@pytest.mark.slow
def test_variants():
    assert options_of("auto") == {"runtime": "auto"}
    assert options_of("torch:bf16:channels_last") == {"runtime": "torch", "precision": "bf16", "channels_last": True}
    with pytest.raises(ConfigError, match="unknown 'fast'"):
        options_of("torch:fast")
    with pytest.raises(ConfigError, match="unknown runtime 'nonsense'"):
        options_of("nonsense")
    made, left_out = predictors_of(tiny_model(), ["torch:int8", "torch:bf16"], "cpu")
    assert list(made) == ["torch", "torch:bf16"] and made["torch:bf16"].precision == "bf16"
    assert "not in int8" in left_out["torch:int8"]


@pytest.mark.slow  # int8 itself is tested with the runtimes
def test_int8_is_calibrated_on_drawn_pictures():
    if reason := RUNTIMES["onnx"].refusal("cpu", "int8"):
        pytest.skip(reason)
    made, left_out = predictors_of(tiny_model(), ["onnx:int8", "torch:int8"], "cpu")
    assert made["onnx:int8"].precision == "int8" and 0 < made["onnx:int8"].difference < 0.5
    assert list(left_out) == ["torch:int8"]


def test_files_drawn_and_of_a_table(tmp_path):
    (pair,) = drawn_files(tmp_path, 1)
    assert all(path.is_file() for path in pair)
    assert list(cycled([pair, pair[::-1]], 3)) == [pair, pair[::-1], pair]
    pictures(tmp_path)
    rows = [("a", "c0.jpg", ""), ("b", "c0.jpg", "d0.jpg"), ("c", "c1.jpg", "d1.jpg")]
    found = table_files(write_table(tmp_path / "pairs.csv", rows), 9)
    assert found == [(tmp_path / "c0.jpg", tmp_path / "d0.jpg"), (tmp_path / "c1.jpg", tmp_path / "d1.jpg")]
    with pytest.raises(TableError, match="no row with both"):
        table_files(write_table(tmp_path / "pairs.csv", rows[:1]), 9)
    with pytest.raises(ImageError, match="gone.jpg: there is no such file"):
        table_files(write_table(tmp_path / "pairs.csv", [*rows, ("d", "gone.jpg", "d1.jpg")]), 9)


def test_the_ordinary_script_sees_what_predict_sees(tmp_path):
    network, files = tiny_model(), drawn_files(tmp_path, 1)
    item = PairFiles(files, network)[0]
    for (branch, prepared), path in zip(network.preprocess.items(), files[0]):
        assert item[branch].shape == (3, *prepared.size)
        assert np.abs(item[branch].numpy() - prepared(path)).mean() < 0.05  # standard deviations


@pytest.mark.slow
def test_the_ordinary_script_runs_in_a_process_of_its_own(tmp_path):
    files = drawn_files(tmp_path, 1)
    with ScriptProcess(list(cycled(files, 5)), tiny_model(), batch_size=2, device="cpu") as script:
        assert script.workers >= 1 and script() == script() == 5
        files[0][0].unlink()
        with pytest.raises(AmfzooError, match="ended with exit code 1"):
            script()


def test_tables_for_people_markdown_and_json():
    rows = [{"network": "a|b", "pairs/s": Spread(123.4, 100, 200.2), "GMAC": None}]
    about = {
        "processor": "X",
        "cores": 2,
        "threads": 1,
        "device": "cpu",
        "python": "3",
        "torch": "2",
        "timm": "1",
        "rounds": 5,
    }
    report = Report(about, [Section("networks", "Networks", rows, ["A note."])])
    assert "  a|b      123 (100 to 200)  -" in report.text() and "A note." in report.text()
    assert "| a\\|b | 123 (100 to 200) | - |" in report.markdown() and "**Networks**" in report.markdown()
    found = json.loads(json.dumps(report.to_dict()))["sections"][0]["rows"][0]
    assert found["pairs/s"] == {"median": 123.4, "low": 100, "high": 200.2} and found["GMAC"] is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (1.234567, "1.23"), (99.96, "100"), (2e-8, "2.0e-08"), (12, "12")]
)
def test_three_digits(value, text):
    assert shown(value) == text


def test_memory_of_this_process():
    before = children.peak_megabytes()
    if before is None:
        pytest.skip("the system does not say")
    block = np.ones(200_000_000 // 8)
    assert 1 < before < children.peak_megabytes() <= before + 2 * block.nbytes / 1e6


@pytest.mark.slow
def test_a_child_that_fails_is_named():
    with pytest.raises(Exception, match="process of the benchmark failed.*no_such_network"):
        children.run_child(
            "network_memory", subject=Subject("x", "timm", ("no_such_network",) * 2).to_dict(), size=64, batch_size=1, threads=1
        )  # fmt: skip


def test_networks_that_do_not_take_the_size_are_left_out_by_name():
    tiny, fixed = Subject("amf_test", "model", ("amf_test",)), Subject("fixed", "model", ("fixed",))

    def refuse(*images):
        raise AssertionError("Input height (64) doesn't match model (224)")

    network = build()
    network.forward = refuse
    found, refused = taking({tiny: build(), fixed: network}, 64)
    assert list(found) == [tiny] and refused == ["Left out: fixed: Input height (64) doesn't match model (224)."]
