"""Command line of the study; see README.md in this folder."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from amfzoo.cli.signals import StopSignals
from amfzoo.cli.sources import add_columns, read_sources, with_splits
from amfzoo.errors import AmfzooError, ConfigError
from amfzoo.training.config import parse_setting
from amfzoo.training.errors import TrainingStopped

from . import records, report
from .figures import SCORES
from .plan import DEFAULT_FILE, Study, make_study, read_plan
from .runs import run_study, with_one_split


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, 1 for an error, 130 or 143 if stopped by a signal."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except AmfzooError as error:
        print(f"asymmetry: error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.asymmetry", description="Does asymmetry pay?")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "train every row with every seed; the same command goes on after a stop")
    run.add_argument(
        "--data", metavar="SOURCE", required=True, action="append", help="as for `amfzoo train`; repeatable"
    )
    run.add_argument(
        "--config", metavar="FILE", type=Path, default=DEFAULT_FILE, help="the study (default: study.yaml here)"
    )
    run.add_argument("--weights", metavar="BACKBONE=FILE", action="append", default=[],
                     help="ImageNet values of a timm backbone: a safetensors file, timm, or random; repeatable")  # fmt: skip
    run.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="a training setting for all rows")
    run.add_argument("--seeds", metavar="N", type=int, nargs="+", help="instead of the study's")
    run.add_argument("--device", metavar="DEVICE", help="default: the best there is")
    run.add_argument("--dry-run", action="store_true", help="show the rows and which are trained; train nothing")
    run.add_argument("-q", "--quiet", action="store_true")
    add_columns(run)

    cost = _command(commands, "cost", _cost, "time all rows beside each other; best on an idle machine")
    cost.add_argument("--batch-size", metavar="N", type=int, default=16)
    cost.add_argument("--rounds", metavar="N", type=int, default=20)
    cost.add_argument("--device", metavar="DEVICE", default=report.default_device())

    table = _command(commands, "report", _report, "write results.md, results.csv and the plot")
    table.add_argument("--task", metavar="NAME", help="one task (default: the mean over all)")
    table.add_argument("--score", choices=SCORES, default=SCORES[0], help="of the plot (default: %(default)s)")
    table.add_argument("--control", metavar="ROW", help="compare all rows with this one instead of the study's")
    table.add_argument("--resamples", metavar="N", type=int, default=1000)
    table.add_argument(
        "--to", metavar="DIR", type=Path, help="write into this folder instead, beside all that the report is made of"
    )
    return parser


def _command(commands: argparse._SubParsersAction, name: str, run, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="folder of the study")
    parser.add_argument("--family", metavar="NAME", action="append", default=[],
                        help=f"only this one; repeatable (default: {'small' if name == 'run' else 'all'})")  # fmt: skip
    parser.add_argument("--row", metavar="NAME", action="append", default=[], help="only this one; repeatable")
    parser.set_defaults(run=run)
    return parser


def _run(args: argparse.Namespace) -> int:
    plan = read_plan(args.config)
    plan["recipe"] = {**(plan.get("recipe") or {}), **dict(map(parse_setting, args.set))}
    plan["seeds"] = args.seeds if args.seeds is not None else plan.get("seeds")
    whole = make_study(plan)
    study = whole.select(args.family or [whole.rows[0].family], args.row)
    weights = dict(map(_weights, args.weights))
    if args.dry_run:
        return _show(study, args.out)
    lesions = with_one_split(with_splits(args, read_sources(args, args.data)))
    with StopSignals() as signals:
        try:
            run_study(
                study, lesions, args.out, plan=plan, weights=weights, device=args.device, should_stop=signals.stop,
                progress=not args.quiet,
            )  # fmt: skip
        except TrainingStopped as stopped:
            print(f"asymmetry: {stopped}", file=sys.stderr)
            return 128 + signals.received if signals.received else 130
    return 0


def _cost(args: argparse.Namespace) -> int:
    study = _selected(args)
    found = report.measure_cost(study, args.out, batch_size=args.batch_size, rounds=args.rounds, device=args.device)
    for family in dict.fromkeys(row.family for row in study.rows):
        for row, ratio in found[family]["ratio"].items():
            print(f"{row:40} {found[family]['pairs_per_second'][row]:8.1f} pairs/s   x {ratio:.2f}")
    return 0


def _report(args: argparse.Namespace) -> int:
    if args.to:
        records.copy_finished(args.out, _selected(args), args.to)
        args.out = args.to  # which may hold other runs as well
    study = _selected(args)
    study = study.against(args.control) if args.control else study
    print(report.write_report(args.out, study, task=args.task, score=args.score, resamples=args.resamples))
    return 0


def _selected(args: argparse.Namespace) -> Study:
    """The rows of the study in the folder: of the families that were trained, unless the options say otherwise."""
    study = make_study(records.read_study(args.out)["plan"]).select(args.family, args.row)
    if args.family:
        return study
    trained = [row.family for row in study.rows for s in study.seeds if records.run_folder(args.out, row, s).exists()]
    return study.select(list(dict.fromkeys(trained)))


def _show(study: Study, out: Path) -> int:
    for row in study.rows:
        config = row.described()
        done = sum(records.finished(records.run_folder(out, row, seed)) for seed in study.seeds)
        parts = f"{config.clinical or '-':20} {config.dermoscopy or '-':20} {config.fusion:10}"
        print(f"{row.id:32} {parts} {done} of {len(study.seeds)} seeds trained")
    return 0


def _weights(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (equals and name and file):
        raise ConfigError(f"--weights {text}: write BACKBONE=FILE, e.g. mobilenetv2_100=weights.safetensors")
    return name, file


if __name__ == "__main__":
    sys.exit(main())
