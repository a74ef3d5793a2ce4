"""Pairs of pictures: data sets, and drawn ones for tests and demonstration."""
