"""`evaluate` as a whole: what it goes through, and that watching it changes nothing."""

from __future__ import annotations

import pytest
from evaluation_cases import make

from amfzoo.errors import ConfigError
from amfzoo.evaluation import evaluate, paired_difference, score_intervals


def test_progress_is_of_every_task_in_every_mode_and_changes_no_figure():
    cases = {mode: make(40, mode=mode) for mode in ("both", "dermoscopy")}
    seen = []

    def watched(items, title, count):
        for item in items:
            seen.append((title, count))
            yield item

    tasks = len(cases["both"].tasks)
    assert evaluate(cases, resamples=20, progress=watched) == evaluate(cases, resamples=20)
    assert seen == [("intervals", 2 * tasks)] * 2 * tasks and tasks > 0


@pytest.mark.parametrize(
    "given, said",
    (
        ({"both": make(6), "dermascopy": make(6)}, "the keys 'both', 'dermascopy'"),  # not left out in silence
        ([make(6)], "a list"),
        (None, "a NoneType"),
    ),
)
def test_what_is_of_no_mode_is_refused(given, said):
    with pytest.raises(ConfigError, match=f"modes both, dermoscopy, clinical; got {said}"):
        evaluate(given, resamples=0)


@pytest.mark.parametrize(
    "settings, said",
    (
        ({"level": 95}, "level of intervals must lie between 0 and 1, such as 0.95, got 95"),
        ({"level": 1}, "level of intervals must lie between 0 and 1"),
        ({"resamples": -1}, "resamples must be a whole number of at least 0, got -1"),
        ({"seed": 0.5}, "seed must be a whole number of at least 0, got 0.5"),
        ({"subgroups": "sex"}, "must be a list of columns, not the string 'sex'"),
    ),
)
def test_settings_that_make_no_interval_are_named(settings, said):
    cases = make(6, metadata={"sex": ["f", "m"] * 3})
    with pytest.raises(ConfigError, match=said):
        evaluate(cases, **settings)
    if "subgroups" not in settings:
        for call in (score_intervals, paired_difference):
            with pytest.raises(ConfigError, match=said):
                call(cases, cases if call is paired_difference else "diagnosis", **settings)
