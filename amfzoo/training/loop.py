"""The training loop: epochs of optimiser steps, each a function of the state before and of (seed, epoch, step)."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..ahead import ahead
from ..models.network import PairNetwork
from .checkpoint import FILE, save_checkpoint
from .config import TrainConfig
from .dataset import BRANCHES, PairDataset
from .depthwise import StridedDepthwiseInSingle
from .draws import StepDraw, epoch_order, label_shares, mixed, seed_of, shown
from .errors import TrainingError, TrainingStopped
from .frozen import Modes, freeze
from .kept import Kept
from .loss import PairLoss
from .optimizer import Progress, Schedule, make_optimizer
from .parts import Part, load_part
from .prepare import crop_size
from .refusals import lesions_a_step
from .targets import Targets, class_weights
from .teachers import Teachers

if TYPE_CHECKING:
    from accelerate import Accelerator

_SYNC_EVERY = 10  # steps between looks at the loss, the clock and the wish to stop, where each look costs a wait


class Trainer:
    """One network, its optimiser, schedule and what is kept of its weights, and the steps that change them.

    Args:
        network: on the CPU; trained in place.
        train: the training lesions.
        accelerator: of Hugging Face accelerate, with ``config.accumulate`` parts per step.
        folder: of the run; checkpoints go there.
        fingerprint: stored with each checkpoint.
        checkpoint: to go on from, as `load_checkpoint` gave it.
        should_stop: asked between steps.
        on_step: called after each step, with this trainer.

    Raises:
        ConfigError: too few lesions for the number of processes and parts, or an unknown
            optimiser or part to freeze.
    """

    def __init__(
        self,
        network: PairNetwork,
        train: PairDataset,
        config: TrainConfig,
        accelerator: Accelerator,
        folder: Path,
        fingerprint: Mapping[str, Any],
        *,
        checkpoint: Mapping[str, Any] | None = None,
        should_stop: Callable[[], bool] | None = None,
        on_step: Callable[[Trainer], None] | None = None,
    ) -> None:
        self.network, self.train, self.config, self.accelerator = network, train, config, accelerator
        self.folder, self.fingerprint = folder, fingerprint
        self.should_stop, self.on_step = should_stop or (lambda: False), on_step or (lambda trainer: None)
        self.progress = Progress()
        self.batch_size = lesions_a_step(config, len(train), accelerator.num_processes)
        self.steps_per_epoch = len(train) // self.batch_size
        freeze(network, config.freeze, train)
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        network.to(accelerator.device, memory_format=layout)
        network.set_grad_checkpointing(config.grad_checkpointing)
        network.drop_fusion = config.drop_fusion
        self.kept = Kept(network, config)
        self._optimizer = make_optimizer(network, config)
        self._schedule = Schedule(self._optimizer, config, self.steps_per_epoch * config.epochs)
        self.loss = PairLoss(
            class_weights(train.targets, train.tasks, config.class_weights),
            config.task_weights,
            smoothing=config.label_smoothing,
            gamma=config.focal_gamma,
            auxiliary=config.auxiliary,
            kept=config.class_weights_kept,
        )
        if not config.recompress:  # which works on pictures in memory
            train.move(accelerator.device)
        self.teachers = Teachers(config.teachers, network, accelerator.device) if config.teachers else None
        self._modes = Modes(network)
        self._pending: list[Tensor] = []
        self._checkpointed = time.monotonic()
        if checkpoint is not None:
            self._restore(checkpoint)
        self.model, self.optimizer = accelerator.prepare(network, self._optimizer)
        if checkpoint is not None and accelerator.scaler is not None and checkpoint["scaler"]:
            accelerator.scaler.load_state_dict(checkpoint["scaler"])

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.config.epochs

    @property
    def averaged(self) -> PairNetwork:
        """The network to evaluate and to keep, in evaluation mode."""
        network = self.kept.averaged
        if self.accelerator.num_processes > 1:  # statistics of normalisation are those of the first process
            from accelerate.utils import broadcast

            for buffer in network.buffers():
                buffer.copy_(broadcast(buffer.clone()))
        return network

    # ---------------------------------------------------------------- steps

    def run_epoch(self) -> float:
        """The rest of the epoch under way; returns its mean loss.

        Raises:
            TrainingStopped: asked to stop; a checkpoint has been written.
            TrainingError: the loss is not finite, or a checkpoint cannot be written.
            ImageError: an image that is decoded only now cannot be read.
        """
        epoch, started, before = self.progress.epoch, time.monotonic(), self.progress.seconds
        self.model.train()
        for draw, parts in ahead(self._load, self._draws(epoch)):
            self._step(draw, parts, epoch)
            self.progress.seconds = before + time.monotonic() - started
            self._after_step()
        return self.progress.loss_sum / self.steps_per_epoch

    def _draws(self, epoch: int) -> Iterator[StepDraw]:
        order = epoch_order(self.config.seed, epoch, len(self.train))
        branches = tuple(self.train.preprocess)
        for step in range(self.progress.done, self.steps_per_epoch):
            yield StepDraw.make(self.config, branches, order, epoch, step)

    def _load(self, draw: StepDraw) -> tuple[StepDraw, list[Part]]:
        """Pixels of this process's share of a step."""
        accumulate, rank = self.config.accumulate, self.accelerator.process_index
        shares = np.array_split(np.arange(len(draw.rows)), self.accelerator.num_processes * accumulate)
        parts = []
        for share in shares[rank * accumulate : (rank + 1) * accumulate]:
            parts.append(load_part(self.train, draw, torch.from_numpy(share)))
        return draw, parts

    def _step(self, draw: StepDraw, parts: list[Part], epoch: int) -> None:
        targets = {task: masks[draw.rows] for task, masks in self.train.targets.items()}
        present = shown(self.train.has[draw.rows], draw.hide)
        self._schedule.step_update(self.progress.step + 1)  # from 1: the first step must not have a rate of 0
        factor = self.accelerator.num_processes * self.config.accumulate  # what accelerate and DDP divide by
        value = torch.zeros((), device=self.accelerator.device)
        for number, part in enumerate(parts):
            # what the network itself draws (dropout); parts and processes must differ
            torch.manual_seed(
                seed_of("network", self.config.seed, epoch, self.progress.done, self.accelerator.process_index, number)
            )
            # processes must agree, since a synchronised normalisation waits for all of them
            alone = self.accelerator.num_processes == 1
            self._modes.set(present[part.positions] if alone else present)
            with self.accelerator.accumulate(self.model):
                loss = self._part_loss(draw, part, targets, present, epoch)
                self.accelerator.backward(loss * factor)
                if self.accelerator.sync_gradients and self.config.clip_grad:
                    self.accelerator.clip_grad_norm_(self.model.parameters(), self.config.clip_grad)
                self.optimizer.step()
                self.optimizer.zero_grad()
            value += loss.detach()
        self._pending.append(value)
        self.progress.step += 1
        self.progress.done += 1
        self.kept.update(self.progress.step)

    def _part_loss(self, draw: StepDraw, part: Part, targets: Targets, present: Tensor, epoch: int) -> Tensor:
        device, positions = self.accelerator.device, part.positions

        def seen(part: Part) -> list[Tensor | None]:
            return [self._images(branch, part, draw, present, epoch) for branch in BRANCHES]

        images = seen(part)
        here = present[positions].to(device)
        single = device.type == "cpu" and self.config.precision != "no" and not self.config.grad_checkpointing
        with StridedDepthwiseInSingle() if single else nullcontext():  # it looks at every call of torch; see there
            logits = self.model(*images, here, auxiliary=bool(self.network.auxiliary))

        def loss(rows: Tensor | None, shares: dict[str, Tensor] | None) -> Tensor:
            mine = targets if rows is None else {task: masks[rows] for task, masks in targets.items()}
            totals = self.loss.totals(mine, present)
            return self.loss(
                logits, {task: masks[positions].to(device) for task, masks in mine.items()}, here, totals, shares
            )

        if draw.share is None:
            value = loss(None, None)
        else:
            drawn = label_shares(draw, present, part.pixels)
            shares = {of: share[positions].to(device) for of, share in drawn.items()}
            value = loss(None, shares) + loss(draw.partners, {of: 1 - share for of, share in shares.items()})
        if self.teachers is None:
            return value
        with self.accelerator.autocast():
            views = images if part.taught is None else seen(part.taught)
            taught = self.teachers.probabilities(views, self.train.has[draw.rows][positions].to(device))
        divergence = self.teachers.loss(self.loss.as_frequent(logits), taught, self.loss.task_weights) / len(draw.rows)
        return (1 - self.config.distill) * value + self.config.distill * divergence

    def _images(self, branch: str, part: Part, draw: StepDraw, present: Tensor, epoch: int) -> Tensor | None:
        if branch not in part.pixels:
            return None
        preprocess = self.train.preprocess[branch]
        target = self.network.preprocess[branch].size  # the stored pictures may be larger

        def augmented(pixels: Tensor, positions: Tensor) -> Tensor:
            pixels = pixels.to(self.accelerator.device, non_blocking=True)
            return (
                draw.augmentations[branch]
                .rows(positions)
                .apply(pixels, crop_size(self.config, target, epoch), preprocess.mean, preprocess.std)
            )

        images = augmented(part.pixels[branch], part.positions)
        if part.partner_pixels is not None and draw.share is not None and draw.partners is not None:
            partners = draw.partners[part.positions]
            # nothing to mix with where the partner has no image; what is hidden from the student its teachers see, and not as
            # a mixture where the student learns of this lesion alone
            usable = present[partners, BRANCHES.index(branch)] & mixed(draw, present, part.pixels)[part.positions]
            share = torch.where(usable, draw.share[part.positions], 1.0).to(images.device)[:, None, None, None]
            images = share * images + (1 - share) * augmented(part.partner_pixels[branch], partners)
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    # ---------------------------------------------------- between the steps

    def _after_step(self) -> None:
        progress, config = self.progress, self.config
        alone = self.accelerator.num_processes == 1
        by_count = bool(config.checkpoint_steps) and progress.step % config.checkpoint_steps == 0
        cheap = alone and self.accelerator.device.type == "cpu"
        if not (cheap or by_count or progress.step % _SYNC_EVERY == 0 or progress.done == self.steps_per_epoch):
            return
        self._flush()
        self.on_step(self)
        if self._stop_wanted(alone):
            self.checkpoint()
            raise TrainingStopped(
                f"stopped after step {progress.step} of {self.total_steps}; {self.folder / FILE} is written, "
                "and the same command goes on from it"
            )
        late = config.checkpoint_minutes and time.monotonic() - self._checkpointed > 60 * config.checkpoint_minutes
        if by_count or late:
            self.checkpoint()

    def _flush(self) -> None:
        """Add the losses of the last steps up, over all processes."""
        if not self._pending:
            return
        values = torch.stack(self._pending)
        if self.accelerator.num_processes > 1:
            values = self.accelerator.reduce(values, "sum")
        self._pending.clear()
        for value in values.tolist():
            if not math.isfinite(value):
                raise TrainingError(
                    f"the loss became {value} before step {self.progress.step}: lower lr, or set precision to no; "
                    "the last checkpoint is intact"
                )
            self.progress.loss_sum += value

    def _stop_wanted(self, alone: bool) -> bool:
        if alone:
            return self.should_stop()
        if self.should_stop():
            self.accelerator.set_trigger()
        return self.accelerator.check_trigger()

    # ---------------------------------------------------------- checkpoints

    def checkpoint(self) -> None:
        """Write the run's checkpoint, in the first process.

        Raises:
            TrainingError: it cannot be written; the one before is intact.
        """
        self._checkpointed = time.monotonic()
        if not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        state = {
            "network": self.network.state_dict(),
            "ema": self.kept.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "progress": vars(self.progress),
            "fingerprint": json.dumps(self.fingerprint),
        }
        save_checkpoint(self.folder, state)

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.kept.load_state_dict(state["ema"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
