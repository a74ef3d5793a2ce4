"""Settings of the whole suite, and a manifest that lists what a test wrote."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from amfzoo.folder import sha256_of

# one thread, in programs that tests start too: small tensors gain nothing from more, which wait for each other
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def shared() -> Path:
    """The project's shared data, beside the checkout; users do not have it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the project's shared data folder beside the checkout")
    return folder


@pytest.fixture
def list_weights(tmp_path, monkeypatch):
    """`list_weights({"amf_test.tag": network}, default={...})` releases networks in a manifest of the test's own."""

    def release(networks: dict, default: dict[str, str] | None = None) -> Path:
        entries = {name: _entry(name, network, tmp_path / "weights") for name, network in networks.items()}
        path = tmp_path / "weights_manifest.json"
        path.write_text(json.dumps({"schema_version": 1, "default_tags": default or {}, "weights": entries}))
        monkeypatch.setenv("AMFZOO_MANIFEST", str(path))
        return path

    return release


def _entry(name: str, network, weights: Path) -> dict:
    folder = network.save_pretrained(weights / name)
    architecture, _, tag = name.partition(".")
    files = ("config.json", "model.safetensors")
    return {
        "architecture": architecture,
        "tag": tag,
        "source": {"type": "repository", "folder": folder.name},
        "files": {f: {"sha256": sha256_of(folder / f), "bytes": (folder / f).stat().st_size} for f in files},
        "parameters": sum(p.numel() for p in network.parameters()),
        "license": "CC0-1.0",
        "attribution": "nobody",
        "training_data": "none: random numbers",
        "tasks": {task: list(classes) for task, classes in network.tasks.items()},
        "metrics": [],
        "not_validated_for": "anything",
    }


@pytest.fixture(autouse=True)
def _offline_as_before():
    """`--offline` sets this for its process, which here is the one of all tests."""
    before = os.environ.get("HF_HUB_OFFLINE")
    yield
    os.environ.pop("HF_HUB_OFFLINE", None) if before is None else os.environ.update(HF_HUB_OFFLINE=before)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, and a Chromium that it can start")
    with playwright.sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.getuid() == 0 else [])
        except playwright.Error as error:
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield browser
        browser.close()
