"""Exceptions of training."""

from __future__ import annotations

from ..errors import AmfzooError, ConfigError


class TrainingError(AmfzooError, RuntimeError):
    """Training cannot start or go on; earlier checkpoints are intact."""


class NoLesionLeft(ConfigError):
    """None of the lesions has an image that can be used."""


class TrainingStopped(TrainingError):
    """Training was asked to stop; the message says how to go on."""
