"""What a run leaves to read: history.csv, TensorBoard, summary.md, config.yaml, and its progress bar."""

from __future__ import annotations

import csv
import io
import itertools
import math
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..text_tables import table
from .checkpoint import write_whole
from .targets import exact

if TYPE_CHECKING:
    from accelerate import Accelerator

    from .dataset import PairDataset
    from .loop import Trainer

FIRST_QUIET, LAST_QUIET = 60.0, 600.0  # seconds without a line
CONFIG_FILE, HISTORY_FILE, SUMMARY_FILE, BOARD_FOLDER = "config.yaml", "history.csv", "summary.md", "tensorboard"


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; see `write_whole` for errors."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_config(folder: Path, settings: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """config.yaml: the settings, which `load_config` reads again, and what they were used on."""
    import yaml

    write_text(
        folder / CONFIG_FILE, yaml.safe_dump({**about, "settings": dict(settings)}, sort_keys=False, allow_unicode=True)
    )


def is_config(file: Path) -> bool:
    """Whether `write_config` wrote a file, and not somebody by hand."""
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return isinstance(content, dict) and {"model", "data", "tasks", "settings"} <= set(content)


def write_history(folder: Path, history: list[dict[str, float]]) -> None:
    """history.csv: one row per epoch, empty cells where a value is not defined."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in history for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {name: "" if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()} for row in history
    )
    write_text(folder / HISTORY_FILE, text.getvalue())


class Board:
    """TensorBoard through accelerate, where it is installed; otherwise nothing.

    A resumed run drops what the killed one wrote after its checkpoint.
    """

    def __init__(self, accelerator: Accelerator, step: int) -> None:
        self._accelerator = accelerator
        if accelerator.log_with:
            accelerator.init_trackers(BOARD_FOLDER, init_kwargs={"tensorboard": {"purge_step": step + 1}})

    def add(self, values: Mapping[str, float], step: int) -> None:
        if self._accelerator.log_with:
            self._accelerator.log({name: value for name, value in values.items() if math.isfinite(value)}, step=step)

    def close(self) -> None:
        for tracker in self._accelerator.trackers if self._accelerator.log_with else ():
            tracker.finish()  # not end_training, which also ends the communication of the processes


class Bar:
    """Progress on stderr: a bar with rate and time left on a terminal, and one line per epoch. Where there is no terminal, a line
    also after a minute without one, then after two, four, eight and every ten."""

    def __init__(self, trainer: Trainer, shown: bool) -> None:
        from tqdm import tqdm

        self._shown = shown and trainer.accelerator.is_main_process
        # None: no bar where stderr is not a terminal
        self._bar = tqdm(
            total=trainer.total_steps,
            initial=trainer.progress.step,
            unit="step",
            disable=None if self._shown else True,
            file=sys.stderr,
            smoothing=0.05,
        )
        self._said, self._quiet = time.monotonic(), FIRST_QUIET

    def step(self, trainer: Trainer) -> None:
        progress = trainer.progress
        where = (
            f"epoch {progress.epoch + 1}/{trainer.config.epochs}, loss {progress.loss_sum / max(1, progress.done):.3f}"
        )
        if not self._bar.disable:
            self._bar.set_postfix_str(where, refresh=False)
            self._bar.update(progress.step - self._bar.n)
        elif time.monotonic() - self._said >= self._quiet:
            self.line(f"step {progress.step} of {trainer.total_steps}, {where}")
            self._quiet = min(2 * self._quiet, LAST_QUIET)

    def line(self, text: str) -> None:
        self._said = time.monotonic()
        if self._shown:
            self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        self._bar.close()


def shown_progress(items: Iterable, title: str, count: int) -> Iterable:
    """A bar around a long preparation, on a terminal."""
    from tqdm import tqdm

    return tqdm(items, title, total=count, disable=None, file=sys.stderr)


def epoch_line(row: Mapping[str, float], epochs: int, metric: str, best: bool) -> str:
    """One epoch in a line: losses, the metric, time."""
    parts = [f"epoch {row['epoch']:.0f}/{epochs}", f"loss {row['train_loss']:.4f}"]
    if "valid/loss" in row:
        parts.append(f"validation loss {row['valid/loss']:.4f}")
        if metric != "loss":
            parts.append(f"{metric} {row[f'valid/{metric}']:.4f}")
    return ", ".join([*parts, f"{row['seconds']:.0f} s"]) + (", best so far" if best else "")


def summary(
    title: str,
    about: Mapping[str, Any],
    train: PairDataset,
    valid: PairDataset | None,
    chosen_by: str | None,
    scores: Mapping[str, Mapping[str, float]],
    called: Mapping[str, Mapping[str, float]],
) -> str:
    """One page of Markdown: what was trained on what, and how well it does on validation.

    Args:
        chosen_by: the metric that chose the epoch; None for the last one.
        scores: "both", "clinical", "dermoscopy" (the images shown) -> scores as `scores_of` gives them.
        called: task with an operating point -> scores of what is called (`called_scores`).
    """
    lines = [
        f"# {title}",
        "",
        *(f"- {name}: {value}" for name, value in about.items()),
        "",
        "## Lesions with a known class",
        "",
    ]
    counts: list[tuple[object, ...]] = []
    for task, classes in train.tasks.items():
        held_out = known_counts(valid, task) if valid else itertools.repeat(0)
        counts += [(task, *row) for row in zip(classes, known_counts(train, task), held_out)]
    lines += [table(("task", "class", "training", "validation"), counts), "", "## Validation", ""]
    if not scores:
        return "\n".join([*lines, "None: no lesion was held out."]) + "\n"
    names = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "loss")
    if chosen_by:
        lines.append(f"The epoch was chosen by {chosen_by} on these lesions, so the figures flatter; judge on others.")
    else:
        lines.append("The network is that of the last epoch; its temperatures were fitted on these lesions.")
    lines += ["One image alone: the lesions that have it.", ""]
    rows = [
        (mode, task, *(_number(found.get(f"{task}/{name}", math.nan)) for name in names))
        for mode, found in scores.items()
        for task in train.tasks
    ]
    lines.append(table(("images", "task", *names), rows))
    if called:
        lines += [
            "",
            "What is called goes by operating points, which were fitted on these lesions (`Prediction.called`):",
            "",
            table(
                ("task", "score of what is called", "value"),
                [(task, name, _number(value)) for task, row in called.items() for name, value in row.items()],
            ),
        ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def known_counts(dataset: PairDataset, task: str) -> list[int]:
    """Lesions of each class, of those whose class is known."""
    candidates = dataset.targets[task]
    return candidates[exact(candidates)].sum(0).tolist()
