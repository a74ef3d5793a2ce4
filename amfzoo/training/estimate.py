"""How long an epoch will take, from a few timed steps on noise."""

from __future__ import annotations

import copy
import time

import torch

from ..models.config import BRANCHES
from ..models.network import PairNetwork
from .augment import Augmentation
from .config import TrainConfig
from .draws import generator
from .prepare import crop_size


def seconds_per_epoch(
    network: PairNetwork, config: TrainConfig, lesions: int, device: str | torch.device, steps: int = 2
) -> float:
    """Seconds of training steps in an epoch of middling crop size, without decoding and validation.

    Args:
        network: it is copied.
        lesions: training lesions.
        device: where to time it.
        steps: timed ones, after one that is not.
    """
    network = copy.deepcopy(network).to(device).train()
    network.freeze(*config.freeze)
    batch = min(config.batch_size, lesions)
    part = max(2, min(batch // config.accumulate, 16))  # enough to time, and few enough for a busy machine
    optimizer = torch.optim.AdamW(network.param_groups(config.lr))
    started = 0.0
    for step in range(steps + 1):
        if step == 1:
            _wait(device)
            started = time.perf_counter()
        images = []
        for branch in BRANCHES:
            preprocess = network.preprocess.get(branch)
            if preprocess is None:
                images.append(None)
                continue
            pixels = torch.randint(
                0, 256, (part, *preprocess.size, 3), dtype=torch.uint8, generator=generator(step, branch)
            ).to(device)
            draw = Augmentation.draw(config, part, generator("estimate", step, branch))
            images.append(
                draw.apply(
                    pixels, crop_size(config, preprocess.size, config.epochs // 2), preprocess.mean, preprocess.std
                )
            )
        logits = network(*images, auxiliary=bool(network.auxiliary))
        sum(values.float().logsumexp(1).mean() for values in logits.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    _wait(device)
    return (time.perf_counter() - started) / steps * lesions / part


def _wait(device: str | torch.device) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
