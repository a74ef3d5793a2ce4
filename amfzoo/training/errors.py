"""Exceptions of training."""

from __future__ import annotations

from ..errors import AmfzooError


class TrainingError(AmfzooError, RuntimeError):
    """Training cannot start or go on; earlier checkpoints are intact."""


class TrainingStopped(TrainingError):
    """Training was asked to stop; the message says how to go on."""
