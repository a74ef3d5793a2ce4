"""Names of models and weights, and models of one's own."""

from __future__ import annotations

import pytest
from networks import TASKS, build

from amfzoo import (
    ConfigError,
    PairNetwork,
    UnknownModelError,
    create_model,
    list_models,
    list_pretrained,
    model_info,
    register_model,
    registry,
)

PUBLIC = ["amf_base", "amf_convnext", "amf_small", "amf_swin", "symmetric_baseline", "symmetric_small"]


@pytest.fixture
def registering(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))


def test_list_models():
    assert list_models() == PUBLIC  # sorted, the tests' own models hidden
    assert list_models("sym") == ["symmetric_baseline", "symmetric_small"]
    assert list_models("*_s*") == ["amf_small", "amf_swin", "symmetric_small"]
    assert list_models("nothing") == []


def test_models_and_tags_of_the_manifest(list_weights):
    network = build("symmetric_small", clinical="test_resnet", dermoscopy="test_resnet")
    tagged = {f"symmetric_small.{tag}": network for tag in ("first", "second")}
    list_weights({**tagged, "amf_test.one": build()}, default={"symmetric_small": "second"})
    assert list_pretrained() == ["amf_test.one", "symmetric_small.first", "symmetric_small.second"]
    assert list_pretrained("*.first") == ["symmetric_small.first"]
    assert list_models(pretrained=True) == ["symmetric_small"]
    assert list_models("amf", pretrained=True) == []
    info = model_info("symmetric_small")
    assert info["pretrained"] == ["symmetric_small.second", "symmetric_small.first"]  # the default first
    assert "weights" not in info
    assert model_info("symmetric_small.first")["weights"]["tag"] == "first"


def test_no_weights_no_names(list_weights):
    list_weights({})
    assert list_pretrained() == [] and list_models(pretrained=True) == []


def test_model_info():
    info = model_info("symmetric_baseline")
    assert info["name"] == "symmetric_baseline" and info["role"].startswith("the control of amf_base")
    assert info["settings"]["clinical"] == info["settings"]["dermoscopy"] == "resnetv2_50"
    with pytest.raises(UnknownModelError, match="did you mean amf_small"):
        model_info("amf_smal")
    with pytest.raises(UnknownModelError, match="never"):
        model_info("amf_small.never")


@pytest.mark.parametrize(
    "name, hint", [("amf_smal", "did you mean amf_small"), ("vgg", "known: amf_base, amf_convnext")]
)
def test_near_names_are_suggested(name, hint):
    with pytest.raises(UnknownModelError, match=f"no model named '{name}'; {hint}"):
        create_model(name)
    with pytest.raises(UnknownModelError, match=f"no model named '{name}'; {hint}"):
        create_model(name, pretrained=True)


def test_a_model_of_ones_own(registering):
    @register_model
    def my_model(**config):
        """Two small ones.

        More text.
        """
        return create_model("amf_test", attention_dim=16, **config)

    assert my_model.__name__ == "my_model"  # still a plain function
    assert "my_model" in list_models() and model_info("my_model")["role"] == "Two small ones."
    network = create_model("my_model", tasks=TASKS, dropout=0.5)
    assert isinstance(network, PairNetwork)
    assert (network.tasks, network.config.attention_dim, network.config.dropout) == (TASKS, 16, 0.5)
    with pytest.raises(ConfigError, match="'my_model' is registered already"):
        register_model(my_model)


def test_names_that_cannot_be_registered(registering):
    def amf_small(**config): ...

    before = list_models()
    with pytest.raises(ConfigError, match="registered already"):
        register_model(amf_small)
    with pytest.raises(ConfigError, match="cannot name a model"):
        register_model(lambda **config: None)
    assert list_models() == before
