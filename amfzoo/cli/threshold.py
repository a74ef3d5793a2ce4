"""`amfzoo threshold`: the probability from which on to call a lesion positive, for a wanted sensitivity."""

from __future__ import annotations

import argparse
from decimal import ROUND_DOWN, Context, Decimal
from typing import TYPE_CHECKING, Any

from ..errors import TableError
from ..labels import DIAGNOSIS
from . import exit_codes
from .evaluate import read_cases
from .options import add_json, count, print_json, usage_errors

if TYPE_CHECKING:
    from ..evaluation.calibration import OperatingPoint
    from ..evaluation.report import Cells

_SPLITS = ("train", "valid", "test")
_DESCRIPTION = """\
Choose the threshold on the probability of a class (or on the sum of several) that finds
a wanted share of the positive lesions, and tell its specificity. On the lesions that
chose it, it looks better than it is: give others with --on or --on-split to measure it.
Tables of predictions are those of `amfzoo evaluate`, for example validation.csv of a
training run. Research software, not a medical device.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "threshold",
        help="the threshold for a wanted sensitivity, chosen on some lesions and measured on others",
        usage="amfzoo threshold PREDICTIONS.csv --positive CLASS [CLASS ...] --sensitivity S [options]",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("table", metavar="PREDICTIONS", help="table of predictions with true classes")
    option("--task", metavar="NAME", default=DIAGNOSIS, help="default: %(default)s")
    option("--positive", metavar="CLASS", nargs="+", required=True, help="their probabilities are added")
    option("--sensitivity", metavar="S", type=float, required=True, help="wanted, above 0 and at most 1")
    option("--split", choices=_SPLITS, help="choose on these lesions of the table only")
    option("--on", metavar="TABLE", help="measure the threshold on this table")
    option("--on-split", choices=_SPLITS, help="measure on these lesions (of --on, else of PREDICTIONS)")
    option("--resamples", metavar="N", type=count, default=1000, help="of the bootstrap; 0: no intervals (default: %(default)s)")  # fmt: skip
    option("--seed", metavar="N", type=count, default=0, help="of the bootstrap (default: %(default)s)")
    add_json(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    if not args.on and args.on_split and args.on_split == args.split:
        args.parser.error("--split and --on-split name the same lesions; measure on others")
    if args.on_split and not args.on and not args.split:
        args.parser.error("--on-split without --on measures on a part of the same table: say with --split what chooses")
    from ..evaluation import measure_threshold, threshold_for_sensitivity
    from ..evaluation.cases import PATIENT_GROUP
    from ..evaluation.report import Cells

    settings = {"resamples": args.resamples, "seed": args.seed}
    with usage_errors():
        choosing = read_cases(args.table, args.split)
        chosen = threshold_for_sensitivity(choosing, args.task, args.positive, args.sensitivity, **settings)
        points = {"chosen": chosen}
        if args.on or args.on_split:
            others = read_cases(args.on or args.table, args.on_split)
            for what in ("mode", "model"):
                first, second = (getattr(cases, what) for cases in (choosing, others))
                if first and second and first != second:
                    raise TableError(
                        f"the threshold is chosen on answers of the {what} {first!r} and would be measured on those of {second!r}"
                    )
            if both := set(choosing.ids) & set(others.ids):
                raise TableError(
                    f"{len(both)} lesions chose the threshold and would measure it, e.g. {min(both)}; measure on others"
                )
            patients = {group for group in others.groups if group.startswith(PATIENT_GROUP)}
            if both := patients & set(choosing.groups):
                raise TableError(
                    f"{len(both)} patients have lesions among those that chose the threshold and those that would measure it, "
                    f"e.g. {min(both).removeprefix(PATIENT_GROUP)!r}; measure on other patients"
                )
            points["measured"] = measure_threshold(others, args.task, args.positive, chosen.threshold, **settings)
    if args.json:
        print_json({name: point.to_dict() for name, point in points.items()})
        return exit_codes.OK
    print(f"call it {' or '.join(args.positive)} ({args.task.replace('_', ' ')}) "
          f"from a probability of {_down(chosen.threshold)}")  # fmt: skip
    cells = Cells(told=())
    print(_line("on the lesions that chose it", chosen, cells))
    if "measured" in points:
        print(_line("on other lesions", points["measured"], cells))
    for note in cells.notes:
        print(f"* {note}")
    if "measured" not in points:
        print("Measure it on other lesions before you trust it: --on TABLE, or --split valid --on-split test.")
    return exit_codes.OK


def _down(threshold: float) -> str:
    """Six digits, rounded down: one rounded up would miss the lesion that it was chosen by."""
    return f"{Decimal(repr(float(threshold))).normalize(Context(prec=6, rounding=ROUND_DOWN)):f}"


def _line(where: str, point: OperatingPoint, cells: Cells) -> str:
    scores = ", ".join(f"{name} {cells(getattr(point, name).to_dict())}" for name in ("sensitivity", "specificity"))
    return f"{where}: {scores} ({point.positives} positive, {point.negatives} negative)"
