"""Small drawn images and tables, and the shared data where there is some."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from amfzoo.data.synthetic import draw_pair

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared():
    """`shared(name)`: a folder of real data; the test is skipped where there is none."""

    def folder(name: str) -> Path:
        if not (SHARED / name).is_dir():
            pytest.skip(f"needs the data folder {name}, which is not part of the project")
        return SHARED / name

    return folder


@pytest.fixture(scope="session")
def drawn():
    """`drawn(seed)`: a clinical and a dermoscopy picture, 64 x 48."""
    made = {}

    def pair(seed: int):
        if seed not in made:
            made[seed] = draw_pair({"pigment_network": "typical"}, seed=seed, size=(64, 48))
        return made[seed].clinical, made[seed].dermoscopy

    return pair


@pytest.fixture
def table(tmp_path):
    """`table(name, rows)`: write dictionaries as a CSV in the test's folder; returns its path."""

    def write(name: str, rows: list[dict[str, str]], columns: list[str] | None = None) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with open(file, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns or list(rows[0]), restval="")
            writer.writeheader()
            writer.writerows(rows)
        return file

    return write


@pytest.fixture
def touch(tmp_path):
    """`touch(names)`: empty files in the test's folder. Readers must not open them."""

    def make(*names: str):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return make
