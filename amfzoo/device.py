"""Whether torch can compute on a device."""

from __future__ import annotations

import torch

from .errors import ConfigError

META = "meta"  # the device of shapes without numbers, which is of use to count


def check_device(device: str | torch.device) -> None:
    """Raise a ConfigError unless numbers can be put on a device, e.g. "cpu", "cuda:1", "mps", and read back."""
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # of whatever kind the device's library raises
        reason = str(error).partition("\n")[0].partition(". ")[0]
        raise ConfigError(f"the device {str(device)!r} cannot be used: {reason}") from error


def check_numbers(network: torch.nn.Module) -> None:
    """Raise a ConfigError if a network is on the device "meta", where it has shapes but no numbers to answer by."""
    if next(network.parameters()).device.type == META:
        raise ConfigError(
            "this network holds shapes without numbers (its device is 'meta'): make it on a device that computes, "
            "e.g. create_model(name, pretrained=True, device='cpu')"
        )
