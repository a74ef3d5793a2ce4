"""`amfzoo data draw`: a data set of drawn pairs with all eight tasks of Derm7pt and known truth."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Any

from . import exit_codes
from .options import usage_errors

_DESCRIPTION = """\
Draw pairs of made-up lesions with the eight tasks and 24 classes of Derm7pt, and masks
of where each finding lies. Findings and diagnoses go together as in the rows of --labels
(e.g. Derm7pt's meta.csv), or else as in counts that come with the package. Nothing here is real:
a set to test, to demonstrate and to compare methods on, where the truth is known.

Case i depends on the options and i alone. A stopped command goes on when it is given
again; a larger --count makes a set longer.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "draw",
        help="draw a set of made-up pairs with known truth",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("--out", metavar="FOLDER", required=True, help="where to: lesions.csv, truth.csv, pictures and masks")
    option("--count", metavar="N", type=int, help="cases (default: 1011)")
    option("--seed", metavar="N", type=int, default=0, help="another one draws other lesions (default: 0)")
    option("--labels", metavar="FILE", help="table with Derm7pt's label columns, from whose rows labels are drawn")
    option("--every-row", action="store_true",
           help="draw the rows of --labels one by one, with the splits of the index files beside it, if they are there")  # fmt: skip
    option("--layout", choices=("csv", "derm7pt"), default="csv",
           help="a plain table, or release_v0 as Derm7pt's publisher lays it out (default: csv)")  # fmt: skip
    option("--size", metavar="WxH", type=_size, default=(256, 192), help="of each picture in pixels (default: 256x192)")
    option("--valid", metavar="F", type=float, default=0.2, help="chance of a case to be for validation (default: 0.2)")
    option("--test", metavar="F", type=float, default=0.4, help="and for testing (default: 0.4)")
    option("--workers", metavar="N", type=int, default=0, help="processes (default: one per core)")
    option("-q", "--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=usage_errors()(run))


def run(args: argparse.Namespace) -> int:
    from ..data.synthetic import draw_set

    path = draw_set(
        args.out, args.count, seed=args.seed, labels=args.labels, every_row=args.every_row, layout=args.layout,
        size=args.size, valid=args.valid, test=args.test, workers=max(0, args.workers),
        progress=None if args.quiet else _progress,
    )  # fmt: skip
    print(f"derm7pt:{path}" if args.layout == "derm7pt" else path)
    return exit_codes.OK


def _progress(items: Iterable, title: str, count: int) -> Iterable:
    from tqdm import tqdm

    return tqdm(items, desc=title, total=count, unit="case", file=sys.stderr, disable=None)


def _size(text: str) -> tuple[int, int]:
    width, times, height = text.lower().partition("x")
    if not (times and width.isdecimal() and height.isdecimal()):
        raise argparse.ArgumentTypeError(f"write WIDTHxHEIGHT in pixels, as in 256x192, got {text!r}")
    return int(width), int(height)
