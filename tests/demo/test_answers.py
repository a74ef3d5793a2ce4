"""What the demo offers, and what it says of weights that it cannot load; without a page."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
from cli_case import FEW_PIXELS, listed, pictures, record_of, tiny_model

from amfzoo import UnknownModelError, WeightsError
from amfzoo.demo.answers import Answers


@pytest.fixture
def released(tmp_path, monkeypatch):
    """A manifest of amf_test.tiny and .other, in folders beside it, .absent, of a checkout, and .far, on a Hub."""
    pictures(tmp_path)
    model = tiny_model(**FEW_PIXELS)
    weights = {}
    for tag in ("tiny", "other", "absent"):
        folder = model.save_pretrained(tmp_path / "weights" / tag)
        weights[f"amf_test.{tag}"] = record_of(f"amf_test.{tag}", folder, model.tasks)
    source = {"type": "hub", "repo": "org/name", "revision": "0" * 40}
    weights["amf_test.far"] = {**weights["amf_test.absent"], "tag": "far", "source": source}
    shutil.rmtree(folder)
    path = listed(tmp_path, weights["amf_test.tiny"], "amf_test.tiny")
    path.write_text(json.dumps({**json.loads(path.read_text()), "weights": weights}))
    monkeypatch.setenv("AMFZOO_MANIFEST", str(path))
    return tmp_path


def test_only_weights_that_can_be_had_here_are_offered(released):
    cache = str(released / "cache")
    assert Answers("amf_test", cache_dir=cache).names == ("amf_test.tiny", "amf_test.far", "amf_test.other")
    offline = Answers("amf_test.other", cache_dir=cache, local_files_only=True)
    assert offline.names == ("amf_test.other", "amf_test.tiny")
    own = f"local-dir:{released / 'weights' / 'tiny'}"
    answers = Answers(own, cache_dir=cache, local_files_only=True)
    assert answers.names == ("local-dir:tiny", "amf_test.other", "amf_test.tiny")  # not where it lies
    assert answers.network("local-dir:tiny") is answers.network(answers.default)


def test_why_weights_cannot_be_loaded_is_logged_and_not_told_to_a_visitor(released, caplog):
    answers = Answers("amf_test")
    (released / "weights" / "other" / "config.json").write_text("{}")
    (released / "weights" / "other" / "model.safetensors").unlink()
    for ask in (answers.predict, answers.view):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "amfzoo"), pytest.raises(WeightsError) as caught:
            ask(str(released / "c0.jpg"), None, "amf_test.other")
        assert str(caught.value) == "the weights 'amf_test.other' cannot be loaded on this server; choose others"
        assert "amf_test.other" in caplog.text and str(released / "weights") in caplog.text
    assert answers.predict(str(released / "c0.jpg"), None, answers.default).missing == ("dermoscopy",)


def test_what_is_wrong_with_the_weights_to_begin_with_is_told_in_full(released):
    with pytest.raises(WeightsError, match=str(released)):
        Answers("amf_test.absent")
    with pytest.raises(UnknownModelError, match="did you mean amf_test|tags are"):
        Answers("amf_test.tini")
