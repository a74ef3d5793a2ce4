"""`amfzoo data`: check lesions before training, split them, write them as a plain table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import data_draw, exit_codes
from .options import add_json, positive, print_json, usage_errors
from .sources import add_columns, read_sources, with_splits

if TYPE_CHECKING:
    from ..data.records import LesionSet


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "data",
        help="check, split, export and draw lesions for training",
        description="Work on lesions for training. SOURCE is reader:path, or the path of a CSV or Parquet table; there may be several.",
    )
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(inner)
    _add_split(inner)
    _add_export(inner)
    data_draw.add(inner)


def _add_check(commands: Any) -> None:
    parser = _command(
        commands,
        "check",
        _check,
        "read every image once, list all that is wrong",
        "Exits with 1 if there are faults, with 0 if there are none (warnings do not count),\n"
        "with 2 if SOURCE cannot be read.",
    )
    add_json(parser)
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="threads that read images (default: one per core)"
    )


def _add_split(commands: Any) -> None:
    parser = _command(
        commands,
        "split",
        _split,
        "split lesions by patient, stratified",
        "Writes lesion ids and splits as CSV. Lesions of one patient, or with the same image file,\nstay together.",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the CSV to write")
    _add_overwrite(parser, "split")
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument(
        "--valid", type=float, default=0.2, metavar="F", help="fraction for validation (default: 0.2)"
    )
    held_out.add_argument("--folds", type=int, metavar="K", help="cross-validation: validate on one of K equal parts")
    parser.add_argument("--test", type=float, default=0.0, metavar="F", help="fraction for testing (default: 0)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="another one gives another split (default: 0)")
    parser.add_argument(
        "--stratify", metavar="TASK", help="spread its classes alike (default: diagnosis, else the first task); or none"
    )
    parser.add_argument("--fold", type=int, default=0, metavar="N", help="which of the K parts, from 0 (default: 0)")
    parser.add_argument(
        "--copies", action="store_true", help="read the images first, and keep copies of one picture together"
    )


def _add_export(commands: Any) -> None:
    parser = _command(
        commands,
        "export",
        _export,
        "write lesions as a plain CSV table",
        "Writes any source as one CSV that every command reads back to the same lesions.",
    )
    parser.add_argument(
        "--out", required=True, metavar="FILE", help="the CSV to write; image paths become relative to it"
    )
    _add_overwrite(parser, "table")


def _add_overwrite(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("--overwrite", action="store_true", help=f"replace another {what} in this file")


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], brief: str, more: str
) -> argparse.ArgumentParser:
    from ..data.sources import READERS

    readers = "\n".join(f"  {key:<15} {reader.reads}" for key, reader in READERS.items())
    parser = commands.add_parser(
        name,
        help=brief,
        description=f"{brief[0].upper()}{brief[1:]}.\n{more}",
        epilog=f"readers:\n{readers}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="+",
        help="reader:path, e.g. milk10k:folder, or a table; several are put together",
    )
    add_columns(parser)
    parser.set_defaults(run=usage_errors()(run))
    return parser


def _lesions(args: argparse.Namespace, lenient: bool = False) -> LesionSet:
    return with_splits(args, read_sources(args, args.source, lenient=lenient))


def _check(args: argparse.Namespace) -> int:
    from ..data.checking.check import check

    report = check(_lesions(args, lenient=True), args.workers, progress=True)
    if args.json:
        print_json(report.to_dict())
    else:
        print(report.text())
    return exit_codes.OK if report.ok else exit_codes.SOME_FAILED


def _split(args: argparse.Namespace) -> int:
    from ..data.checking.check import check
    from ..data.notes import notes, patient_note
    from ..data.records import SPLITS
    from ..data.split import empty_parts, main_task, make_split
    from ..data.split_file import write_split

    lesions = _lesions(args)
    if had := ", ".join(f"{name} {count}" for name in SPLITS if (count := len(lesions.split(name)))):
        print(f"note: the lesions have splits already ({had}); these are dropped", file=sys.stderr)
    for note in (patient_note(lesions), *(note for _, note in notes(lesions))):
        if note:
            print(f"note: {note}", file=sys.stderr)
    stratify = None if args.stratify == "none" else args.stratify or main_task(lesions)
    copies = check(lesions, progress=True).copies if args.copies else ()
    lesions = make_split(lesions, args.valid, args.test, args.seed, stratify, args.folds, args.fold, copies)
    write_split(lesions, args.out, overwrite=args.overwrite)
    print(f"{args.out}: " + ", ".join(f"{name} {len(lesions.split(name))}" for name in SPLITS))
    valid = args.valid if args.folds is None else (1 - args.test) / args.folds
    shares = {"train": 1 - valid - args.test, "valid": valid, "test": args.test}
    if note := empty_parts(lesions, shares):
        print(f"note: {note}", file=sys.stderr)
    return exit_codes.OK


def _export(args: argparse.Namespace) -> int:
    from ..data.export import write_csv

    lesions = _lesions(args)
    write_csv(lesions, args.out, overwrite=args.overwrite)
    print(f"{args.out}: {len(lesions)} lesions")
    return exit_codes.OK
