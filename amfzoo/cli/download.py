"""`amfzoo download`: have weights on this machine, verified."""

from __future__ import annotations

import argparse
from typing import Any

from . import exit_codes
from .options import NAMES, add_cache, add_json, apply_offline, print_json


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "download",
        help="fetch weights and verify them",
        description="Fetch weights, if they are not here yet, verify them, and print the folder they are in.",
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        help=NAMES,
    )
    add_cache(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    apply_offline(args)
    from .. import hub

    folder = hub.download(args.name, cache_dir=args.cache_dir, local_files_only=args.offline)
    if args.json:
        print_json({"name": args.name, "folder": str(folder)})
    else:
        print(folder)
    return exit_codes.OK
