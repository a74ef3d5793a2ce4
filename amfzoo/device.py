"""Whether torch can compute on a device."""

from __future__ import annotations

import torch

from .errors import ConfigError


def check_device(device: str | torch.device) -> None:
    """Raise a ConfigError unless numbers can be put on a device, e.g. "cpu", "cuda:1", "mps", and read back."""
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # of whatever kind the device's library raises
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ConfigError(f"the device {str(device)!r} cannot be used: {reason}") from error
