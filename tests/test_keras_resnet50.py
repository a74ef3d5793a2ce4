"""examples/keras_resnet50.py: a TensorFlow.js model's values under timm's names."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F

SCRIPT = Path(__file__).parents[1] / "examples" / "keras_resnet50.py"
WIDTHS = {2: 64, 3: 128, 4: 256, 5: 512}
BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def values():
    """Random values under Keras' names."""
    rng, found = np.random.default_rng(5), {}

    def layer(conv: str, norm: str, size: int, before: int, after: int) -> None:
        found[f"{conv}/kernel"] = rng.normal(0, (2 / size**2 / before) ** 0.5, (size, size, before, after))
        parts = {"gamma": (1, 0.1), "beta": (0, 0.1), "moving_mean": (0, 0.1)}
        found.update({f"{norm}/{part}": rng.normal(*how, after) for part, how in parts.items()})
        found[f"{norm}/moving_variance"] = rng.uniform(0.001, 2, after)
        found[f"{conv}/bias"] = rng.normal(0, 0.1, after)

    layer("conv1", "bn_conv1", 7, 3, 64)
    found["conv1/kernel"] /= 70  # its input has levels of 255
    before = 64
    for stage, width in WIDTHS.items():
        for block in "abcdef"[: BLOCKS[stage]]:
            name = f"{stage}{block}_branch"
            layer(f"res{name}2a", f"bn{name}2a", 1, before, width)
            layer(f"res{name}2b", f"bn{name}2b", 3, width, width)
            layer(f"res{name}2c", f"bn{name}2c", 1, width, 4 * width)
            if block == "a":
                layer(f"res{name}1", f"bn{name}1", 1, before, 4 * width)
            before = 4 * width
    return {name: value.astype(np.float32) for name, value in found.items()}


def keras_features(values, pixels):
    """Keras' network in its own units, but for where the maps are halved."""

    def layer(x, conv, norm, stride=1, padding=0):
        kernel, bias = (torch.from_numpy(values[f"{conv}/{part}"]) for part in ("kernel", "bias"))
        x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, stride, padding)
        mean, variance, gamma, beta = (
            torch.from_numpy(values[f"{norm}/{part}"]) for part in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=1e-3)

    x = F.max_pool2d(layer(pixels, "conv1", "bn_conv1", 2, 3).relu(), 3, 2, 1)
    for stage, count in BLOCKS.items():
        for block in "abcdef"[:count]:
            name, stride = f"{stage}{block}_branch", 2 if block == "a" and stage > 2 else 1
            y = layer(x, f"res{name}2a", f"bn{name}2a").relu()
            y = layer(y, f"res{name}2b", f"bn{name}2b", stride, 1).relu()
            y = layer(y, f"res{name}2c", f"bn{name}2c")
            x = (y + (layer(x, f"res{name}1", f"bn{name}1", stride) if block == "a" else x)).relu()
    return x


def test_timms_network_sees_what_keras_does(script, values):
    network = timm.create_model("resnet50", num_classes=0).eval()
    network.load_state_dict(script["as_timm"](values))
    levels = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255  # red, green, blue
    mean, std = (torch.tensor(of)[:, None, None] for of in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = keras_features(values, (levels - 255 * mean).flip(1))
        found = network.forward_features((levels / 255 - mean) / std)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_values_are_read_across_files(script, tmp_path):
    first, second = np.arange(6, dtype=np.float32), np.arange(4, dtype=np.float32)
    content = first.tobytes() + second.tobytes()
    for name, part in (("1", content[:14]), ("2", content[14:])):
        (tmp_path / name).write_bytes(part)
    weights = [{"name": "a", "shape": [2, 3], "dtype": "float32"}, {"name": "b", "shape": [4], "dtype": "float32"}]
    (tmp_path / "model.json").write_text(json.dumps({"weightsManifest": [{"paths": ["1", "2"], "weights": weights}]}))
    found = script["read"](tmp_path)
    np.testing.assert_array_equal(found["a"], first.reshape(2, 3))
    np.testing.assert_array_equal(found["b"], second)
    (tmp_path / "2").write_bytes(b"")
    with pytest.raises(SystemExit, match="holds no whole TensorFlow.js model.*unpack the package again"):
        script["read"](tmp_path)


def test_another_network_is_refused(script, values):
    with pytest.raises(SystemExit, match="not the values of a ResNet-50: 'bn2a_branch2a/gamma' is missing"):
        script["as_timm"]({name: value for name, value in values.items() if name != "bn2a_branch2a/gamma"})
    wide = {**values, "res5a_branch2b/kernel": np.zeros((3, 3, 512, 1024), np.float32)}
    with pytest.raises(SystemExit, match=r"layer4\.0\.conv2\.weight has the shape \(1024, 512, 3, 3\)"):
        script["as_timm"](wide)
