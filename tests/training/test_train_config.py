"""Settings: recipes, files, single values, and what is wrong with them."""

from __future__ import annotations

import pytest

from amfzoo.errors import ConfigError
from amfzoo.training import RECIPES, TrainConfig, load_config
from amfzoo.training.config import parse_setting
from amfzoo.training.report import write_config


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipes_load_and_survive_their_file(recipe, tmp_path):
    config = load_config(recipe)
    write_config(tmp_path, config.to_dict(), {"model": "amf_test"})
    assert load_config("default", tmp_path / "config.yaml") == config


def test_the_published_recipe_is_as_stated():
    config = load_config("fusionm4net")
    assert (config.epochs, config.batch_size, config.lr, config.optimizer, config.image_size) == (
        250,
        32,
        3e-5,
        "adam",
        224,
    )
    assert (config.auxiliary, config.class_weights, config.label_smoothing, config.metric) == (
        1.0,
        "none",
        0.0,
        "accuracy",
    )


def test_single_settings_win_over_the_file_and_the_file_over_the_recipe(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("epochs: 7\nlr: 1e-4\n")
    config = load_config("quick", file, epochs=9)
    assert (config.epochs, config.lr, config.image_size) == (9, 1e-4, 128)


def test_a_setting_beside_those_of_a_runs_config_is_not_passed_over(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("settings: {epochs: 7}\ndata: mine\n")
    assert load_config("quick", file).epochs == 7
    file.write_text("settings: {epochs: 7}\nlr: 1e-4\n")
    with pytest.raises(ConfigError, match="lr stands beside `settings`"):
        load_config("quick", file)


@pytest.mark.parametrize(
    ("text", "value"),
    [("lr=3e-4", 3e-4), ("epochs=3", 3), ("precision=no", "no"), ("precision=fp32", "no"), ("image_size=null", None), ("freeze=[clinical, fusion]", ("clinical", "fusion")),
     ("class-weights={diagnosis: {MEL: 3}}", {"diagnosis": {"MEL": 3.0}}), ("task_weights={streaks: 1e-1}", {"streaks": 0.1}),
     ("class_weights={diagnosis: {MEL: 3e0}}", {"diagnosis": {"MEL": 3.0}})],
)  # fmt: skip
def test_settings_are_read_as_typed_on_a_command_line(text, value):
    name, given = parse_setting(text)
    assert getattr(TrainConfig.create({name: given}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 0), ("epochs", 2.5), ("epochs", True), ("lr", "fast"), ("lr", float("nan")), ("metric", "f1"), ("precision", "fp8"),
     ("freeze", ["head"]), ("flip", "yes"), ("class_weights", "balanced"), ("class_weights", {"t": {"a": -1}}), ("task_weights", [1]),
     ("image_size", 8), ("on_bad_image", "ignore"), ("cache_dir", 3), ("batch_size", None)],
)  # fmt: skip
def test_a_wrong_value_is_an_error_that_names_the_setting(name, value):
    with pytest.raises(ConfigError, match=name):
        TrainConfig.create({name: value})


def test_an_unknown_setting_and_recipe_suggest_a_near_one(tmp_path):
    with pytest.raises(ConfigError, match="'epochs'"):
        load_config(epoch=3)
    with pytest.raises(ConfigError, match="'quick'"):
        load_config("quik")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config("quick", tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        load_config("quick", tmp_path / "list.yaml")
    with pytest.raises(ConfigError, match="name=value"):
        parse_setting("epochs")


@pytest.mark.parametrize("text", ["recipe=quick", "file=x.yaml", "lr", "=3", "lr=[1"])
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(ConfigError, match="is no setting|name=value|not YAML"):
        parse_setting(text)


@pytest.mark.parametrize(
    "settings, chosen", [({}, True), ({"keep": "last"}, False), ({"keep": "last", "patience": 2}, True)]
)
def test_who_ends_a_run_by_the_validation_lesions_chooses_its_epoch(settings, chosen):
    assert TrainConfig(**settings).epoch_chosen is chosen
