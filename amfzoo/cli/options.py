"""Options that several commands share, and what they lead to."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ConfigError, TableError

# how weights are named, in the help of every command
NAMES = "amf_small (its default weights), amf_small.TAG, hf-hub:ORG/REPO[@REVISION] or local-dir:FOLDER"


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON; errors stay text, on stderr")


def add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache-dir", metavar="DIR", help="the Hub's cache, instead of the usual one")
    parser.add_argument("--offline", action="store_true", help="use no network, only what is on this machine")


def apply_offline(args: argparse.Namespace) -> None:
    """Take the network away from the Hub's client as well, which reads this once, when first imported."""
    if args.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def print_json(data: Any) -> None:
    """As it is, or with escapes where the console cannot show it (a file name, say)."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")  # there is no stdout where it was closed
    except UnicodeEncodeError:
        text = json.dumps(data, indent=2)
    print(text)


def positive(text: str) -> int:
    """For argparse: a whole number of at least 1."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return number


def count(text: str) -> int:
    """For argparse: a whole number of at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


@contextmanager
def usage_errors() -> Iterator[None]:
    """For what reads data: what is wrong with a source or a setting is wrong usage, not missing weights.

    Also to be put around a command, `usage_errors()(run)`.
    """
    try:
        yield
    except ConfigError as error:
        raise TableError(str(error)) from error
