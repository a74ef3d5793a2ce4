"""Exceptions that amfzoo raises on purpose; all share `AmfzooError`.

Each message names the thing at fault (file, model, task), what is wrong with it
and what to do about it.
"""

from __future__ import annotations


class AmfzooError(Exception):
    """Base class of every error raised by this package."""


class ImageError(AmfzooError, ValueError):
    """An image cannot be read or is not usable as network input."""


class ConfigError(AmfzooError, ValueError):
    """A configuration, label schema or keyword does not describe a model."""


class UnknownModelError(AmfzooError, LookupError):
    """No model, or no weights, of that name; the message suggests near names."""


class WeightsError(AmfzooError, RuntimeError):
    """Weights cannot be obtained, fail verification, or do not fit the network."""


class PredictionError(AmfzooError, ValueError):
    """A prediction was asked for something it cannot give."""


class TableError(AmfzooError, ValueError):
    """A table of pairs cannot be read, or its answers cannot be written."""
