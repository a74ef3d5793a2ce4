"""`evaluate` as a whole: what it goes through, and that watching it changes nothing."""

from __future__ import annotations

from evaluation_cases import make

from amfzoo.evaluation import evaluate


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
