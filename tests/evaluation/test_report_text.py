"""Reports as text: what is said besides the figures."""

from __future__ import annotations

from html import escape

import numpy as np
from evaluation_cases import make

from amfzoo.evaluation import Cases, evaluate, html_report
from amfzoo.evaluation.report import to_text


def test_two_runs_of_one_model_are_told_apart():
    result = evaluate(make(40, model="m"), make(40, seed=1, model="m"), resamples=20)
    assert "\nm (second) minus m (first), both images, same cases\n" in to_text(result)


def test_a_task_whose_cases_all_lack_one_image_says_so():
    """One task of pairs, one of dermoscopy alone: "both images" must not claim a photo that nobody had."""
    rng = np.random.default_rng(0)
    pairs, alone = rng.dirichlet((1, 1), 40), rng.dirichlet((1, 1), 40)
    pairs = (pairs, 0.99 * pairs + 0.005)  # the photo makes a little difference
    labels = {"pairs": np.arange(40) % 2, "alone": np.arange(40) // 2 % 2}
    tasks, ids = dict.fromkeys(labels, ("x", "y")), [f"L{i}" for i in range(40)]
    modes = {
        mode: Cases(ids, tasks, labels, {"pairs": pairs[i], "alone": alone}, mode=mode)
        for i, mode in enumerate(("both", "dermoscopy"))
    }
    modes["dermoscopy"] = modes["dermoscopy"].select(np.arange(40)[::-1])  # the order of the lesions does not matter
    result = evaluate(modes, resamples=0)
    assert [result["modes"]["both"]["tasks"][task]["images"] for task in tasks] == ["both", "dermoscopy"]
    told = '"both images" has the answers of "dermoscopy only" here: no case has another image, or the network makes no use of it'
    text, page = to_text(result), html_report.render_html(result, modes, title="t")
    assert f"alone ({told})" in text and text.count(told) == 1 and "class (dermoscopy only)" in text
    assert page.count(escape(told)) == 1
    assert page.count("Both images, by class") == 1 and page.count("Dermoscopy only, by class") == 2


def test_what_must_be_known_of_a_figure_is_told_below_the_text():
    cases = make(100, skill=1)
    labels = np.where(cases.labels["diagnosis"] == 1, 0, cases.labels["diagnosis"])
    labels[:2] = 1
    result = evaluate(Cases(**{**vars(cases), "labels": {"diagnosis": labels}}), resamples=50)
    lines = to_text(result).splitlines()
    note = f"interval uncertain: fewer than 5 patients or lesions of {cases.tasks['diagnosis'][1]}"
    assert f"* {note}" in lines and next(line for line in lines if "macro-F1" in line).endswith("]*")
    assert not next(line for line in lines if line.startswith("  accuracy")).endswith("*")


def test_classes_are_those_of_the_first_mode_with_a_label():
    """The mode of both images has no labelled case of one task, and lacks another."""
    tasks = dict.fromkeys(("diagnosis", "streaks", "tone"), ("x", "y"))
    labels, unknown = np.arange(40) % 2, np.full(40, -1)
    rows = np.random.default_rng(0).dirichlet((1, 1), 40)

    def of(mode: str, known: tuple[str, ...], names: tuple[str, ...]) -> Cases:
        truth = {task: labels if task in known else unknown for task in names}
        return Cases(
            [str(i) for i in range(40)],
            {task: tasks[task] for task in names},
            truth,
            dict.fromkeys(names, rows),
            mode=mode,
        )

    modes = {
        "both": of("both", ("diagnosis",), ("diagnosis", "streaks")),
        "clinical": of("clinical", ("streaks", "tone"), ("streaks", "tone")),
    }
    result = evaluate(modes, resamples=0)
    text, page = to_text(result), html_report.render_html(result, modes, title="t")
    sections = {part.splitlines()[0].partition(" (")[0]: part for part in text.split("\n\n")}
    assert "class (both images)" in sections["diagnosis"]
    for task in ("streaks", "tone"):
        assert "class (clinical only)" in sections[task] and "both" not in sections[task].partition("class (")[2]
        scores = result["modes"]["clinical"]["tasks"][task]["scores"]
        (line,) = (line for line in sections[task].splitlines() if line.startswith("  x "))
        assert line.split()[1:] == [
            "20",
            *(f"{scores[f'{kind}:x']['value']:.3f}" for kind in ("auroc", "sensitivity", "specificity", "precision")),
        ]
    assert "<summary>Both images, by class" in page.partition(">streaks</h2>")[2]
    assert "<h3>Clinical only, by class</h3>" in page.partition(">streaks</h2>")[2].partition("<details>")[0]
