"""Lesions: records, sources, splits, checks, and drawn ones. No torch."""

from .example import example_pair

__all__ = ["example_pair"]
