"""Class-activation maps from recorded feature maps.

    gradcam   each channel weighed by the mean of its gradient (Selvaraju et al., "Grad-CAM",
              ICCV 2017, arXiv 1610.02391)
    hirescam  each value by its own gradient (Draelos & Carin, arXiv 2011.08891): where attention
              stands between the map and the answer, gradients differ from place to place, and their
              mean would move evidence to places that had none

They are written here because a recorded pass has both branches, several strides and a mask,
where the usual libraries expect one input tensor and one output tensor.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

METHODS = ("hirescam", "gradcam")


def class_activation(
    logits: Tensor, label: int, maps: list[Tensor], *, method: str = "hirescam", stride: int | None = None
) -> np.ndarray:
    """Evidence for a class against the other classes of its task, by place.

    What is explained is the log-odds of the class, which unlike a logit does not change when
    a constant is added to all logits.

    Args:
        logits: (1, classes), differentiable by `maps`.
        label: index of the class.
        maps: (1, C, h, w) per stride.
        method: one of `METHODS`.
        stride: index of the one map to use; default all, added up.

    Returns:
        (h, w) float32 on the grid of the finest map used: its evidence per cell, only that in
        favour of the class; all 0 if the answer does not depend on the maps.
    """
    used = maps if stride is None else [maps[stride]]
    with torch.inference_mode(False), torch.enable_grad():
        others = torch.cat([logits[0, :label], logits[0, label + 1 :]])
        odds = logits[0, label] - others.logsumexp(0)
        gradients = torch.autograd.grad(odds, used, retain_graph=True, allow_unused=True)
    shape = max((feature_map.shape[2:] for feature_map in used), key=lambda size: size[0] * size[1])
    total = torch.zeros(shape, dtype=torch.float32, device="cpu")  # whatever torch makes by default
    for feature_map, gradient in zip(used, gradients):
        if gradient is None:
            continue
        if method == "gradcam":
            gradient = gradient.mean((2, 3), keepdim=True)
        evidence = (gradient * feature_map.detach()).sum(1, keepdim=True).float().cpu()  # (1, 1, h, w)
        # a coarse cell's evidence is shared out among the fine cells that it covers
        share = evidence[0, 0].numel() / total.numel()
        total += share * F.interpolate(evidence, tuple(shape), mode="bilinear", align_corners=False)[0, 0]
    return total.clamp(min=0).numpy()
