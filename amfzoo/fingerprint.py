"""A hash of what a network computes, to tell whether a file or a measurement belongs to it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .models.network import PairNetwork


def fingerprint(network: PairNetwork) -> str:
    """sha256 of the weights and of how images become their input, as 64 hex digits.

    Temperatures and descriptions have no part in it, auxiliary heads neither; it is the
    same in half precision's stored form and after loading, which is in single precision.
    """
    prepared = {name: preprocess.to_dict() for name, preprocess in network.preprocess.items()}
    digest = hashlib.sha256(json.dumps(prepared, sort_keys=True).encode())
    for name, tensor in network.state_dict().items():
        if name.startswith("auxiliary."):
            continue
        values = tensor.detach().cpu()
        values = values.float() if values.is_floating_point() else values
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
