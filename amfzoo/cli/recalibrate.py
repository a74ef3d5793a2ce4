"""`amfzoo recalibrate`: weights whose probabilities suit your lesions."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from . import exit_codes
from .evaluate import note_own_lesions, progress_bar
from .options import NAMES, add_cache, add_json, apply_offline, positive, print_json, usage_errors
from .sources import LABELLED, add_columns, lesions_of

if TYPE_CHECKING:
    from ..evaluation import Cases
    from ..models.network import PairNetwork

_DESCRIPTION = """\
Fit temperatures, prediction sets and operating points of weights to labelled lesions of
yours, which they were not trained on, and write the result as a model folder. Nothing is
trained, and the most probable class stays what it was. A few hundred lesions will do; a
task with fewer than 10 keeps what it has.

Calibration error and log-loss are told before and after. After: each fifth of the
patients with the temperature that the others gave, so not of lesions that were fitted.
By chance: the error that so many lesions show where every probability is right.
Research software, not a medical device.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "recalibrate",
        help="fit the probabilities of weights to your lesions, without training",
        usage="amfzoo recalibrate --model NAME --data SOURCE --out FOLDER [options]",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("--model", metavar="NAME", required=True, help=NAMES)
    option(
        "--data",
        metavar="SOURCE",
        action="append",
        required=True,
        help=LABELLED,
    )
    option(
        "--out",
        metavar="FOLDER",
        required=True,
        help="the model folder to write; must not exist yet, but see --overwrite",
    )
    option("--overwrite", action="store_true", help="replace a model folder that is there")
    option("--split", choices=("train", "valid", "test"), help="fit to these lesions only")
    option(
        "--coverage",
        metavar="SHARE",
        type=_share,
        default=0.9,
        help="of the prediction sets that hold the true class (default: %(default)s)",
    )
    option(
        "--ignore-other-classes", action="store_true", help="leave lesions of classes that the model does not have out"
    )
    option("--batch-size", metavar="N", type=positive, default=16, help="pairs per step (default: %(default)s)")
    option("--device", metavar="DEVICE", default="cpu", help="cpu, cuda, cuda:1, mps (default: %(default)s)")
    option("-q", "--quiet", action="store_true", help="no progress and no notes; errors only")
    add_cache(parser)
    add_json(parser)
    add_columns(parser, split_is_column=False)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    if find_spec("sklearn") is None:
        args.parser.error("scores need packages that are not installed: pip install 'amfzoo[train]'")
    apply_offline(args)
    from ..evaluation.recalibration import cases_as_trained, least_for_sets, refit
    from .predict import load_model

    out = Path(args.out).expanduser()
    if out.exists() and not args.overwrite:  # before the work
        raise WeightsError(f"{out} exists; give another folder, or --overwrite to replace a model folder")
    lesions = lesions_of(args)
    network: PairNetwork = load_model(args).network
    note_own_lesions(args, lesions)
    with usage_errors():
        cases = cases_as_trained(
            network,
            lesions,
            batch_size=args.batch_size,
            ignore_other_classes=args.ignore_other_classes,
            progress=None if args.quiet else progress_bar,
        )
        before, sets = dict(network.config.temperatures), set(network.config.conformal)
        after = refit(network, lesions, cases, coverage=args.coverage)
    told = _told(cases, before, after)
    config = network.config
    for task, row in told.items():
        row["prediction_sets"], row["operating_point"] = task in config.conformal, task in config.operating_points
    network.save_pretrained(out, overwrite=args.overwrite)
    lost = [task for task in network.tasks if task in sets - set(config.conformal)]
    if args.json:
        print_json(
            {
                "folder": str(out),
                "model": config.info.get("name", config.architecture),
                "tasks": told,
                "prediction_sets_dropped": lost,
            }
        )
        return exit_codes.OK
    print("\n".join(_lines(told)))
    if any(row["ece"][1] is None for row in told.values()):
        print("-: one patient has all the lesions, so there are no others to measure the new temperature on")
    if kept := [task.replace("_", " ") for task in network.tasks if task not in after]:
        print(f"too few lesions of known class, or all of one, so as before: {', '.join(kept)}")
    dropped = "prediction sets dropped, which held for the old temperature"
    if few := [task.replace("_", " ") for task in lost if task not in config.operating_points]:
        print(f"{dropped}: {', '.join(few)}; new ones need {least_for_sets(args.coverage)} lesions with every image")
    if replaced := [task.replace("_", " ") for task in lost if task in config.operating_points]:
        print(f"{dropped}: {', '.join(replaced)}; an operating point takes their place")
    if not args.quiet:
        print(f"wrote {out}; use it as local-dir:{out}", file=sys.stderr)
    return exit_codes.OK


def _told(cases: Cases, before: dict[str, float], after: dict[str, float]) -> dict[str, dict[str, Any]]:
    """Task -> {"lesions", "temperature": [old, new], "ece": [before, after], "log_loss": [before, after], "ece_by_chance"}; None
    for what is after where one patient has all the lesions, and so no others could give a temperature."""
    import numpy as np

    from ..evaluation import apply_temperatures, task_scores
    from ..evaluation.consistency import ece_if_calibrated
    from ..evaluation.recalibration import cross_fitted

    old = {task: before.get(task, 1.0) for task in after}
    both = apply_temperatures(cases, old), cross_fitted(cases)
    found = {}
    for task, new in after.items():
        scores, known = [task_scores(part, task) for part in both], cases.known(task)
        others = len(set(np.array(cases.groups)[known])) > 1
        found[task] = {
            "lesions": int(known.sum()),
            "temperature": [old[task], new],
            **{
                name: [scores[0][name].value, scores[1][name].value if others else None] for name in ("ece", "log_loss")
            },
            "ece_by_chance": ece_if_calibrated(both[1].probabilities[task][known]).value if others else None,
        }
    return found


def _lines(told: dict[str, dict[str, Any]]) -> list[str]:
    from ..text_tables import columns

    rows = [("task", "lesions", "temperature", "calibration error", "by chance", "log-loss", "also fitted")]
    for task, row in told.items():
        changes = [" -> ".join(map(_number, row[name])) for name in ("temperature", "ece", "log_loss")]
        changes.insert(2, _number(row["ece_by_chance"]))
        more = [name.replace("_", " ") for name in ("prediction_sets", "operating_point") if row[name]]
        rows.append((task.replace("_", " "), str(row["lesions"]), *changes, ", ".join(more)))
    return columns(rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return value
