"""What a page of answers says of the network."""

from __future__ import annotations

from networks import build

from amfzoo.report.model_html import model_section


def test_calibration_is_told_as_it_is_whoever_set_it():
    """An operating point may be one that somebody chose for a sensitivity, with or without temperatures."""
    config = build(tasks={"streaks": ("absent", "present")}).config

    def told(**fitted):
        return "".join(model_section(config.replace(**fitted), "mine", "0"))

    point = {"streaks": {"present": 0.05}}
    for temperatures, words in (({}, "none: the probabilities are"), ({"streaks": 1.5}, "temperatures streaks 1.50")):
        page = told(temperatures=temperatures, operating_points=point)
        assert words in page and "called from a probability of its own on: streaks present from 5\xa0% on" in page
        assert words in told(temperatures=temperatures) and "called from" not in told(temperatures=temperatures)
        assert "readers" not in page


def test_figures_of_what_is_no_text_are_left_out():
    """Anybody may have written a model's config."""
    config = build(tasks={"streaks": ("absent", "present")}).config
    right = {"task": "streaks", "name": "auroc", "value": 0.91}

    def told(**changes):
        return "".join(model_section(config.replace(info={"metrics": [{**right, **changes}]}), "mine", "0"))

    for wrong in (5, [], {"a": 1}):
        assert "No figures" in told(task=wrong) and "No figures" in told(name=wrong)
    assert "not stated: not stated, unknown number of lesions" in told(task=None, data=None) and "0.91" in told()
