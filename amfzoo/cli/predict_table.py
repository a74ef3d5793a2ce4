"""The table form of `amfzoo predict`: progress, signals and the summary around `predict_table`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from ..errors import TableError
from ..processes import is_first, several_processes
from ..table_suffixes import PARQUETS
from . import exit_codes
from .options import print_json
from .signals import StopSignals

if TYPE_CHECKING:
    from ..inference.table import TableResult
    from .predict import LoadedModel


def run_table(args: argparse.Namespace, load: Callable[[], LoadedModel]) -> int:
    """Answer a table; returns the exit code.

    Raises:
        TableError: see `predict_table`. Other errors as of `load`.
    """
    source = Path(args.inputs[0])
    images = {"clinical": args.clinical, "dermoscopy": args.dermoscopy}  # of a table the names of its columns
    predict = _checked(source, args.out, (args.clinical, args.dermoscopy))  # before the weights are fetched
    first = is_first()
    if args.device == "cuda" and "LOCAL_RANK" in os.environ:
        args.device = f"cuda:{os.environ['LOCAL_RANK']}"
    model = load()
    with StopSignals() as signals, _Bar(shown=first and not args.quiet and sys.stderr.isatty()) as bar:
        result = predict(
            model.network,
            source,
            args.out,
            **images,
            label=model.label,
            prefix=args.prefix,
            batch_size=args.batch_size,
            overwrite=args.overwrite,
            retry_errors=args.retry_errors,
            guards=not args.no_guards,
            should_stop=signals.stop,
            progress=bar.show,
        )
    if not first:
        return exit_codes.OK if result.finished else 128 + signals.received
    if args.report and result.finished:
        _write_page(model, source, args)
    if args.json:
        print_json(_summary(result, model.label, args.out))
    _report(result, args)
    if not result.finished:
        return 128 + signals.received
    return exit_codes.SOME_FAILED if result.failed else exit_codes.OK


def _checked(source: Path, out: str, images: tuple[str | None, str | None]) -> Callable[..., TableResult]:
    """What answers the table: into one CSV file, or into a folder of shards.

    Raises:
        TableError: the table cannot be read, or `out` cannot be written.
    """
    from ..inference.table import PairTable, check_output, predict_table
    from ..inference.table_folder import check_folder, names_folder
    from ..inference.table_shards import is_parquet, open_pairs, predict_shards

    if names_folder(out):
        check_folder(out, open_pairs(source, images).path)
        return predict_shards
    if is_parquet(source) or Path(out).suffix.lower() in PARQUETS:
        raise TableError(f"Parquet goes to a folder of shards, named with a slash at its end: --out {_folder_for(out)}")
    if several_processes():
        raise TableError(
            f"several processes share a table only in a folder, named with a slash at its end: --out {_folder_for(out)}"
        )
    check_output(PairTable(source, images), out)
    return predict_table


def _folder_for(out: str) -> str:
    """A folder for the answers where a file of that name was asked for, as a shell takes it."""
    return quote(f"{Path(out).with_suffix('')}/")


def _write_page(model: LoadedModel, source: Path, args: argparse.Namespace) -> None:
    from ..report import write_table_report

    write_table_report(
        model.network, args.report, source, args.out,
        clinical=args.clinical, dermoscopy=args.dermoscopy,
        network=model.torch, label=model.label, prefix=args.prefix, guards=not args.no_guards,
    )  # fmt: skip


def _report(result: TableResult, args: argparse.Namespace) -> None:
    def say(text: str) -> None:
        print(text, file=sys.stderr)

    if not result.finished:
        again = "the same command without --overwrite" if args.overwrite else "the same command"
        part = args.out if result.out.is_dir() else f"{args.out}.part"
        whole = " (whole shards alone are kept)" if result.out.is_dir() else ""
        say(f"amfzoo: interrupted: {part} has {result.done} of {result.rows} rows{whole}; {again} goes on from there")
    elif result.earlier == result.rows and not args.retry_errors and not args.quiet:
        say(f"{args.out} was complete already, {result.rows} rows; nothing to do")
    elif not args.quiet:
        say(f"{args.out}: {result.rows} rows, {result.rows - result.failed} answered, {result.failed} failed")
    if result.failed:
        say(f"amfzoo: {result.failed} of {result.done} rows have an error, see the column {args.prefix}error:")
        for line, error in result.failures:
            say(f"  {result.counted} {line}: {error}")
        if result.failed > len(result.failures):
            say(f"  and {result.failed - len(result.failures)} more")
        say("When the images are mended, the same command with --retry-errors answers these rows again.")


def _summary(result: TableResult, model: str, out: str) -> dict[str, Any]:
    return {
        "out": out,
        "model": model,
        "finished": result.finished,
        "rows": result.rows,
        "answered": result.done - result.failed,
        "failed": result.failed,
        "first_failures": [{result.counted: line, "error": error} for line, error in result.failures],
    }


class _Bar:
    """A progress bar on stderr that starts at the rows done before."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, done: int, rows: int) -> None:
        if self._shown and self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=rows, initial=done, unit=" pairs", file=sys.stderr)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)
