"""What the tests of bulk prediction share."""

from __future__ import annotations

import pytest
from cli_case import pictures, tiny_model, write_table
from shards_case import ROWS

from amfzoo.inference import table_shards


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path


@pytest.fixture
def source(folder):
    return write_table(folder / "pairs.csv", ROWS)


@pytest.fixture
def asked(monkeypatch):
    """The pairs that the network was asked for, in order."""
    pairs, real = [], table_shards.predict_stream

    def stream(network, todo, **options):
        def noted():
            for pair in todo:
                pairs.append(tuple(image and image.name for image in pair))
                yield pair

        return real(network, noted(), **options)

    monkeypatch.setattr(table_shards, "predict_stream", stream)
    return pairs
