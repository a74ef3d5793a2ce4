"""What the command-line tests share: a saved tiny model, pictures, and `run`."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from cli_case import listed, pictures, record_of, tiny_model

from amfzoo.cli import main
from amfzoo.inference.golden import write_golden


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def run(capsys):
    """Run `amfzoo ARGUMENTS` in this process."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ended(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """A model folder with pictures beside it and an example in it."""
    root = tmp_path_factory.mktemp("saved")
    pictures(root)
    model = tiny_model()
    return model.save_pretrained(
        root / "weights" / "tiny", examples=write_golden(model, root / "c0.jpg", root / "d0.jpg")
    )


@pytest.fixture
def tiny(saved):
    """How the model folder is named on the command line."""
    return f"local-dir:{saved}"


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path


@pytest.fixture
def released(saved, monkeypatch):
    """A manifest that lists the model as amf_test.tiny; returns its path."""
    record = record_of("amf_test.tiny", saved, tiny_model().tasks)
    path = listed(saved.parents[1], record, "amf_test.tiny")
    monkeypatch.setenv("AMFZOO_MANIFEST", str(path))
    return path
