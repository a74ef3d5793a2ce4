"""Logits and scores on the validation lesions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..ahead import ahead
from ..errors import ConfigError
from ..images import Preprocess
from .dataset import BRANCHES, PairDataset
from .errors import TrainingError
from .loss import partial_label_loss
from .targets import Targets, exact, informative

if TYPE_CHECKING:
    from accelerate import Accelerator

Logits = dict[str, Tensor]  # task -> (N, C) float32 on the CPU


@torch.inference_mode()
def logits_of(
    network: nn.Module, dataset: PairDataset, accelerator: Accelerator, batch_size: int, only: str | None = None
) -> Logits:
    """The network's answers, the same in every process; each process computes a share.

    Args:
        network: in evaluation mode, on the accelerator's device.
        only: a branch whose images alone are shown; lesions without get no information.
    """
    from accelerate.utils import gather_object

    def load(rows: np.ndarray) -> tuple[dict[str, Tensor], Tensor]:
        present = dataset.has[rows].clone()
        if only:
            present[:, 1 - BRANCHES.index(only)] = False
        return dataset.pixels(rows), present

    mine = np.arange(len(dataset))[accelerator.process_index :: accelerator.num_processes]
    parts = np.split(mine, range(batch_size, len(mine), batch_size)) if len(mine) else []
    answers = []
    for pixels, present in ahead(load, parts):
        images = [
            _normalised(pixels[branch].to(accelerator.device), dataset.preprocess[branch]) if branch in pixels else None
            for branch in BRANCHES
        ]
        answers.append(
            {task: values.float().cpu() for task, values in network(*images, present.to(accelerator.device)).items()}
        )
    gathered = gather_object([(mine, answers)]) if accelerator.num_processes > 1 else [(mine, answers)]
    rows = torch.from_numpy(np.concatenate([part for part, _ in gathered]))
    found = {}
    for task, classes in dataset.tasks.items():
        values = torch.cat([batch[task] for _, batches in gathered for batch in batches])
        found[task] = torch.empty(len(dataset), len(classes)).index_copy_(0, rows, values)
    return found


def _normalised(pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """`Preprocess.normalise` where the pixels are: a GPU does it in no time, and takes a quarter of the bytes."""
    scale, shift = (torch.from_numpy(values).to(pixels.device) for values in preprocess.affine)
    return pixels.permute(0, 3, 1, 2).float() * scale + shift


def scores_of(logits: Logits, targets: Targets, rows: Tensor | None = None) -> dict[str, float]:
    """Scores per task, "task/score", and their unweighted means over tasks, "score".

    "loss" is the mean of -log(summed probability of the candidates), in nats, over all
    labelled lesions; the others are of lesions whose class is known. NaN where undefined.

    Args:
        targets: of the lesions, see `candidate_masks`.
        rows: (N,) bool, the lesions that count; default all.

    Raises:
        TrainingError: a logit is not finite.
    """
    from ..evaluation.metrics import classification_scores

    found: dict[str, float] = {}
    for task, values in logits.items():
        if not torch.isfinite(values).all():
            raise TrainingError(
                f"the network gives values for task {task!r} that are not finite: lower lr, or set precision to no; "
                "the last checkpoint is intact"
            )
        candidates = targets[task]
        if rows is not None:
            values, candidates = values[rows], candidates[rows]
        known = exact(candidates)
        labels = candidates[known].int().argmax(1).numpy()
        scores: dict[str, Any] = {"loss": float("nan")}
        if informative(candidates).any():
            scores["loss"] = float(partial_label_loss(values, candidates))
        if len(labels):
            scores.update(classification_scores(labels, values[known].double().softmax(1).numpy()))
            del scores["log_loss"]  # the same as loss where every class is known
        found.update({f"{task}/{name}": float(value) for name, value in scores.items()})
    names = dict.fromkeys(key.partition("/")[2] for key in found)
    means = {
        name: [found[f"{task}/{name}"] for task in logits if np.isfinite(found.get(f"{task}/{name}", np.nan))]
        for name in names
    }
    return {**{name: float(np.mean(values)) if values else float("nan") for name, values in means.items()}, **found}


def check_metric(metric: str, targets: Targets) -> None:
    """Raise ConfigError if lesions with these targets cannot give the metric, before an epoch is spent."""
    blank = {task: torch.zeros(masks.shape) for task, masks in targets.items()}
    if np.isnan(scores_of(blank, targets).get(metric, np.nan)):
        raise ConfigError(
            f"training setting metric: {metric} is not defined on the {len(next(iter(targets.values())))} validation lesions, since no class "
            "is known, or only one occurs; use loss, or another split"
        )


def only_class(dataset: PairDataset) -> Iterator[tuple[str, str]]:
    """(task, class) where all lesions of known class are of one."""
    for task, masks in dataset.targets.items():
        known = masks[exact(masks)].int().argmax(1).unique().tolist()
        if len(known) == 1:
            yield task, dataset.tasks[task][known[0]]


def best_epoch(history: Sequence[Mapping[str, float]], metric: str) -> int:
    """Index of the epoch with the best metric; of several, as few validation lesions often give, of the one with the lowest
    loss, of these the first."""
    sign = 1 if metric == "loss" else -1
    return min(range(len(history)), key=lambda i: (sign * history[i][f"valid/{metric}"], history[i]["valid/loss"]))


def better(metric: str, value: float, than: float | None) -> bool:
    """Whether `value` of a metric beats an earlier one."""
    if than is None:
        return True
    return value < than if metric == "loss" else value > than
