"""Networks and inputs that the tests of models, factory and inference share."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from amfzoo import create_model

ALL = (
    "amf_small", "amf_base", "symmetric_baseline", "symmetric_small", "amf_convnext", "amf_swin", "amf_test",
    "symmetric_test",
)  # fmt: skip
SIDE = 64  # pixels: the smallest image with a 2 x 2 map at stride 32
TASKS = {"diagnosis": ("NV", "MEL", "BCC"), "streaks": ("absent", "regular", "irregular")}


def build(name: str = "amf_test", seed: int = 0, **config):
    """A network of random weights, the same for the same seed; Swin at the tests' image size."""
    if name == "amf_swin":
        config.setdefault("dermoscopy_args", {"img_size": SIDE})
    torch.manual_seed(seed)
    network = create_model(name, pretrained=False, **config)
    network.mark_untrained(())  # as if they were trained
    return network


def pair(batch: int = 2, side: int = SIDE, seed: int = 1) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) noise for both branches."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, 3, side, side, generator=generator) for _ in range(2))


def perturb(network: nn.Module, seed: int = 2) -> nn.Module:
    """Random values for what starts at zero and so hides a path: output projections, absent tokens, residual norms."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            starts_at_zero = name.endswith("weight") and not parameter.any()
            if starts_at_zero or name.startswith("absent."):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network


def settle(network: nn.Module) -> nn.Module:
    """Statistics of batch normalisation as after some training; ends in evaluation mode."""
    network.train()
    with torch.no_grad():
        for seed in range(3):
            network(*pair(4, seed=seed))
    return network.eval()


def loss(logits: dict[str, Tensor]) -> Tensor:
    """A scalar that depends on every logit."""
    return sum(torch.nn.functional.cross_entropy(x, torch.arange(len(x)) % x.shape[1]) for x in logits.values())
