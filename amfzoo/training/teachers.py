"""Learning from networks that are trained already, besides from the labels.

The student sees what its teachers see, augmentation included, and is drawn to their probabilities (Hinton et al.,
"Distilling the knowledge in a neural network", 2015; that teacher and student should see the same view: Beyer et
al., "Knowledge distillation: a good teacher is patient and consistent", CVPR 2022). Teachers answer for every lesion,
also where a task has no label, they see both images where modality dropout hides one from the student, and pictures as they
are where the student's are stored again (Zheng et al., "Improving the robustness of deep neural networks via stability
training", CVPR 2016).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ConfigError
from ..factory import create_model
from ..images import Preprocess
from ..labels import same_classes
from ..models.config import BRANCHES
from ..models.folding import fold_norms, folding_pays
from ..models.network import PairNetwork

logger = logging.getLogger("amfzoo")


def _columns(student: Sequence[str], teacher: Sequence[str]) -> list[int] | None:
    """Where a teacher has the student's classes; None unless both have the same."""
    names = same_classes(student, teacher)
    if not len(names) == len(student) == len(teacher):
        return None
    return [list(teacher).index(names[label]) for label in student]


class Teachers:
    """Several networks whose mean probabilities are taught.

    Their probabilities are taken to be as frequent as the classes of the data are, so teachers should have been trained
    without `class_weights_kept`; the student may keep class weights all the same.

    Args:
        names: as `create_model` takes them; they must have weights.
        student: its tasks are those that are taught, as far as a teacher has learned them, with the same classes in any
            order; of others that both have a warning tells.
        device: where they run.

    Raises:
        ConfigError: a teacher knows none of the student's tasks, or needs an image that the student does not read.
        UnknownModelError, WeightsError: see `create_model`.
    """

    def __init__(self, names: Sequence[str], student: PairNetwork, device: torch.device) -> None:
        self.student = dict(student.preprocess)
        self.networks: list[PairNetwork] = []
        self.columns: list[dict[str, list[int]]] = []  # of each: task -> its classes in the student's order
        for name in names:
            # a bare name means its default weights; others name theirs
            network = create_model(name, pretrained=None if "." in name or ":" in name else True)
            columns = {
                task: found
                for task, classes in student.tasks.items()
                if task not in network.untrained and (found := _columns(classes, network.tasks.get(task, ())))
            }
            others = [task for task in student.tasks if task in network.tasks and task not in columns]
            why = [
                f"{what} for {', '.join(of)}"
                for what, of in (
                    ("has other classes", [task for task in others if task not in network.untrained]),
                    ("has random values", [task for task in others if task in network.untrained]),
                )
                if of
            ]
            if not columns:
                raise ConfigError(
                    f"training setting teachers: of {', '.join(student.tasks)}, {name} teaches none: it "
                    f"{' and '.join(why) or 'knows none of these tasks'}"
                )
            if why:
                logger.warning("teacher %s teaches nothing of %s: it %s", name, ", ".join(others), " and ".join(why))
            if set(network.preprocess) - set(self.student):
                raise ConfigError(f"training setting teachers: {name} needs an image that the student does not read")
            network.eval()
            if folding_pays(device):
                fold_norms(network)
            # their own layout of memory: the fastest on most devices
            self.columns.append(columns)
            self.networks.append(network.to(device, memory_format=torch.channels_last).requires_grad_(False))
        self.tasks = {
            task: classes for task, classes in student.tasks.items() if any(task in columns for columns in self.columns)
        }

    @torch.no_grad()
    def probabilities(self, images: Sequence[Tensor | None], present: Tensor) -> dict[str, Tensor]:
        """task -> (B, C) mean of the teachers' probabilities, with their temperatures; zeros, which teach nothing, where
        none of them has an image that it reads.

        Args:
            images: clinical and dermoscopy, (B, 3, H, W) each, normalised for the student.
            present: (B, 2) bool, the images that there are.
        """
        found: dict[str, list[Tensor]] = {task: [] for task in self.tasks}
        counts: dict[str, list[Tensor]] = {task: [] for task in self.tasks}
        for network, columns in zip(self.networks, self.columns):
            own = [
                self._renormalised(image, self.student[branch], network.preprocess[branch])
                if branch in network.preprocess and image is not None
                else None
                for branch, image in zip(BRANCHES, images)
            ]
            sees = present[:, [BRANCHES.index(branch) for branch in network.preprocess]].any(1, keepdim=True)
            for task, logits in network(*own, present).items():
                if task in columns:
                    answer = (logits.float() / network.config.temperatures.get(task, 1.0)).softmax(1)
                    found[task].append(torch.where(sees, answer[:, columns[task]], 0.0))
                    counts[task].append(sees)
        return {
            task: torch.stack(several).sum(0) / torch.stack(counts[task]).sum(0).clamp(min=1)
            for task, several in found.items()
        }

    def loss(
        self, logits: Mapping[str, Tensor], taught: Mapping[str, Tensor], task_weights: Mapping[str, float]
    ) -> Tensor:
        """Sum over the lesions of the divergence of the student from what is taught, a weighted mean over the tasks.

        Args:
            logits: task -> (B, C) of the student, as `PairLoss.as_frequent` gives them.
            taught: as `probabilities` gives them.
            task_weights: task -> weight.
        """
        total = sum(task_weights[task] for task in taught) or 1.0
        parts = [
            task_weights[task] / total * F.kl_div(logits[task].float().log_softmax(1), p, reduction="sum")
            for task, p in taught.items()
        ]
        return torch.stack(parts).sum()

    @staticmethod
    def _renormalised(image: Tensor, student: Preprocess, teacher: Preprocess) -> Tensor:
        if (student.mean, student.std) == (teacher.mean, teacher.std):
            return image
        vectors = (student.mean, student.std, teacher.mean, teacher.std)
        mean, std, own_mean, own_std = (image.new_tensor(values)[:, None, None] for values in vectors)
        return (image * std + (mean - own_mean)) / own_std
