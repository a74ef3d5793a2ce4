"""From a study's folder to its table and its plot; and the timing that goes into them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from amfzoo.training.config import TrainConfig
from amfzoo.training.prepare import crop_size

from . import records
from .cost import gmac, parameters, speeds
from .figures import SCORES, score_rows
from .plan import Row, Study, make_study
from .plot import draw
from .runs import build
from .table import NAMES, as_csv, as_markdown, make_line

TABLE, PLOT = "results", "accuracy_against_parameters"


def measure_cost(
    study: Study, out: Path, *, batch_size: int = 16, rounds: int = 20, device: str = "cpu"
) -> dict[str, Any]:
    """Time all rows in turn, family by family, and keep what was found in cost.json.

    Raises:
        ConfigError: the folder holds no study.
    """
    about = records.read_study(out)
    found = records.read_json(out / records.COST_FILE) or {}
    for family in dict.fromkeys(row.family for row in study.rows):
        rows = [row for row in study.rows if row.family == family]
        networks = {row.id: (build(row, about["tasks"]), _side(row)) for row in rows}
        control = next((row.control_id for row in rows if not row.ablation and row.control_id in networks), rows[0].id)
        timed = speeds(networks, control, batch_size=batch_size, rounds=rounds, device=device)
        found[family] = {**timed, "control": control}
        records.write_json(out / records.COST_FILE, found)
    return found


def write_report(
    out: Path,
    study: Study | None = None,
    *,
    task: str | None = None,
    score: str = SCORES[0],
    resamples: int = 1000,
) -> str:
    """Write results.csv, results.md and the plot as SVG and PNG into a study's folder.

    Args:
        study: default the one of its study.json.
        task: one task; default the unweighted mean over all.
        score: of the plot.

    Returns:
        The Markdown.

    Raises:
        ConfigError: no study, no finished run, or runs that cannot be compared.
    """
    about = records.read_study(out)
    study = study or make_study(about["plan"])
    cases = records.finished_cases(out, study)
    scores = score_rows(cases, task, resamples=resamples)
    timed = records.read_json(out / records.COST_FILE) or {}
    lines = []
    for row in study.rows:
        if row.id in scores:
            network = build(row, about["tasks"])
            cost = parameters(network), gmac(network, _side(row))
            lines.append(make_line(row, scores, cost, timed.get(row.family, {})))
    text = f"# Asymmetry study on {about['data']}\n\n{_about(about, study, cases, task, timed, resamples)}\n{as_markdown(lines)}"
    (out / f"{TABLE}.csv").write_text(as_csv(lines), encoding="utf-8")
    if any(not line.row.ablation for line in lines):
        lesions = about["lesions"]
        note = (
            f"{about['data']}: {lesions['train']} training, {lesions['valid']} validation lesions; mean over the seeds"
        )
        draw(lines, score, [out / f"{PLOT}.{suffix}" for suffix in ("svg", "png")], note)
        text += f"\n![{NAMES[score]} against parameters]({PLOT}.svg)\n"
    (out / f"{TABLE}.md").write_text(text, encoding="utf-8")
    return text


def _about(
    about: Mapping[str, Any], study: Study, cases: Mapping[str, Mapping[int, Any]], task: str | None,
    timed: Mapping[str, Any], resamples: int,
) -> str:  # fmt: skip
    lesions, config = about["lesions"], study.rows[0].config(0)
    missing = [f"{r.id} seed {s}" for r in study.rows if r.id in cases for s in study.seeds if s not in cases[r.id]]
    kinds = {"random": "random values", "timm": "timm's values"}
    starts = sorted({kinds.get(value, "given values") for value in about["weights"].values()}) or ["random values"]
    tasks = (
        f"the task {task or next(iter(about['tasks']))}" if task or len(about["tasks"]) == 1 else "all tasks, averaged"
    )
    data = (
        f"{lesions['train']} training and {lesions['valid']} validation lesions, the same for every row and seed. The "
        "validation lesions also chose each run's epoch, so the figures themselves flatter a little; their differences "
        "much less."
    )
    intervals = (
        f"Scores of {tasks}, mean over seeds, with 95 % bootstrap intervals over patients or lesions ({resamples} "
        "resamples, the same for all rows) and the standard deviation over seeds (sd). The intervals do not hold what "
        "another seed would change: where sd is of their size, more seeds are needed. They are not corrected for the "
        "number of rows."
    )
    side = _side(study.rows[0])
    made = (
        f"Recipe: epochs {config.epochs}, images of {side} pixels{_crops(config, side)} (ablations and families may differ); "
        f"backbones start from {' and '.join(starts)}. GMAC: one pair at that size, convolutions and matrix products."
    )
    notes = [data, intervals, made]
    for family, t in timed.items():
        notes.append(
            f"Speed of {family}: inference, as a multiple of `{t['control']}`, timed in turn on {t['device']}, "
            f"{t['threads']} threads, batch {t['batch_size']}, median of {t['rounds']} rounds."
        )
    if missing:
        notes.append(
            f"**Not complete**: {', '.join(missing)} not trained. Differences are of the seeds that both rows have."
        )
    return "".join(f"{note}\n\n" for note in notes)


def _side(row: Row) -> int:
    """Pixels per side of a row's input in validation."""
    config, described = row.config(0), row.described()
    return config.image_size or getattr(described, f"{described.branches[-1]}_preprocess").size[0]


def _crops(config: TrainConfig, side: int) -> str:
    """What training saw of them, where it was less."""
    sides = sorted({crop_size(config, (side, side), epoch)[0] for epoch in (0, config.epochs - 1)})
    return "" if sides == [side] else f", of which training saw crops of {' to '.join(map(str, sides))}"


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
