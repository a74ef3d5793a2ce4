"""A model folder and a Hub on the loopback interface that the real client takes for the only one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hub_server import HubServer
from huggingface_hub import constants

from amfzoo import hub_fetch
from amfzoo.folder import sha256_of, write_folder

REPO = "clinic/amf"
STATE = {"w": torch.arange(12.0).reshape(3, 4), "b": torch.ones(3)}
CONFIG = {"schema_version": 1, "architecture": "amf_small", "tasks": {"diagnosis": ["NV", "MEL"]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(
        tmp_path / "model", config=CONFIG, state=STATE, card="# card\n", examples={"expected.json": b"{}"}
    )


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A running Hub which the client, in this process, takes for the only one."""
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
    ):
        monkeypatch.delenv(name, raising=False)
    with HubServer() as running:
        settings = {
            "ENDPOINT": running.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": running.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_ETAG_TIMEOUT": 1,
            "HF_HUB_DOWNLOAD_TIMEOUT": 1,
        }
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        huggingface_hub.close_session()
        monkeypatch.setattr(hub_fetch, "_PATIENCE", 3.0)
        monkeypatch.setattr(time, "sleep", lambda seconds: SLEPT.append(seconds))
        SLEPT.clear()
        yield running
    huggingface_hub.close_session()


SLEPT: list[float] = []  # every pause taken, by this package or the client; none is really waited for


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def published(server: HubServer, folder: Path) -> str:
    return server.commit(REPO, files_of(folder))


def pinned(commit: str) -> str:
    return f"hf-hub:{REPO}@{commit}"


def blobs(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").glob("models--*/blobs/*"))


def manifest_for(path: Path, folder: Path, source: dict) -> Path:
    files = {
        name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size}
        for name in ("config.json", "model.safetensors")
    }
    entry = {
        "architecture": "amf_small",
        "tag": "test",
        "source": source,
        "files": files,
        "parameters": 15,
        "license": "CC0-1.0",
        "attribution": "nobody",
        "training_data": "none",
        "tasks": CONFIG["tasks"],
        "metrics": [],
        "not_validated_for": "anything",
    }
    path.write_text(
        json.dumps({"schema_version": 1, "default_tags": {"amf_small": "test"}, "weights": {"amf_small.test": entry}})
    )
    return path
