"""`amfzoo evaluate`: figures with intervals from a table of predictions, or from a model and labelled lesions."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, TableError
from . import exit_codes
from .options import NAMES, add_cache, add_json, apply_offline, count, positive, usage_errors
from .sources import LABELLED, TABLE_COLUMNS, add_columns, lesions_of

if TYPE_CHECKING:
    from ..data.records import LesionSet
    from ..evaluation import Cases

_USAGE = """\
amfzoo evaluate PREDICTIONS.csv [MORE.csv ...] [--against OTHER.csv ... [--common]] [options]
       amfzoo evaluate --model NAME --data SOURCE [--split valid] [options]"""
_DESCRIPTION = """\
Accuracy, AUROC, calibration and other figures with 95 % intervals, by task, class and
subgroup, and the seven-point rule where the tasks allow it. Research software, not a
medical device.

A table of predictions has one row per lesion: lesion_id; for each task its true class in
a column <task> (empty if unknown) and a probability per class in <task>:<class>; and if
you have them patient, split, mode (both, clinical or dermoscopy) and metadata:<name>
such as metadata:sex. Give one file per mode to see the modes side by side, or, with
--folds, the file of each fold of a cross-validation to see all of it.
SOURCE is a data set, e.g. milk10k:FOLDER or a CSV table of images and labels.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="figures with intervals, from predictions or from a model and lesions",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    option = parser.add_argument
    option("tables", nargs="*", metavar="PREDICTIONS", help="tables of predictions, one per mode")
    option(
        "--against",
        nargs="+",
        metavar="TABLE",
        default=[],
        help="another model's tables for the same lesions, compared pairwise",
    )
    option(
        "--common",
        action="store_true",
        help="with --against: compare the lesions that both have, and say how many are left out; the other figures are of all lesions",
    )
    option(
        "--folds",
        action="store_true",
        help="the tables are of a cross-validation, each lesion in one: those of one mode are joined, --against as well",
    )
    option(
        "--split", metavar="NAME", choices=("train", "valid", "test"), help="only the lesions of train, valid or test"
    )
    option(
        "--subgroups",
        nargs="+",
        metavar="COLUMN",
        help="metadata columns, printed as well (default: skin tone, sex, age, site as far as recorded, in --out and --json)",
    )
    option("--out", metavar="FOLDER", help="write report.html, scores.json and scores.csv there")
    option(
        "--resamples",
        metavar="N",
        type=count,
        default=1000,
        help="of the bootstrap; 0: no intervals (default: %(default)s)",
    )
    option("--seed", metavar="N", type=count, default=0, help="of the bootstrap (default: %(default)s)")
    add_json(parser)
    option("-q", "--quiet", action="store_true", help="no progress and no notes; errors only")
    model = parser.add_argument_group("with a model")
    option = model.add_argument
    option("--model", metavar="NAME", help=NAMES)
    option("--data", metavar="SOURCE", action="append", help=LABELLED)
    option(
        "--modes",
        nargs="+",
        metavar="MODE",
        choices=("both", "clinical", "dermoscopy"),
        help="default: all that there are images for",
    )
    option("--tta", action="store_true", help="average over mirrored and turned images; eight times slower")
    option(
        "--ignore-other-classes",
        action="store_true",
        help="leave lesions of classes that the model does not have out of the figures",
    )
    option("--skip-unreadable", action="store_true", help="leave lesions with an image that cannot be read out")
    option("--batch-size", metavar="N", type=positive, default=16, help="pairs per step (default: %(default)s)")
    option("--device", metavar="DEVICE", default="cpu", help="cpu, cuda, cuda:1, mps (default: %(default)s)")
    add_cache(parser)
    add_columns(parser, split_is_column=False)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    _check_usage(args)
    apply_offline(args)
    from ..evaluation.report import to_json, to_text, write_report
    from ..evaluation.summary import evaluate

    if args.model:
        lesions = lesions_of(args)
        cases = _predicted(args, lesions)
        data = lesions.name + (", but for classes that the model does not have" if args.ignore_other_classes else "")
    else:
        cases, data = _tables(args.tables, args.split, args.folds), ", ".join(Path(path).name for path in args.tables)
    against = _tables(args.against, args.split, args.folds) if args.against else None
    _note_training_cases(args, cases)
    settings = {"subgroups": args.subgroups, "resamples": args.resamples, "seed": args.seed}
    with usage_errors():
        result = evaluate(
            cases, against, common=args.common, progress=None if args.quiet else _interval_bar, **settings
        )
    if args.out:
        paths = write_report(result, args.out, cases, title=_title(cases), data=data)
        if args.model:  # so that every figure can be made again without the model
            paths += [_write_table(part, Path(args.out) / f"predictions_{mode}.csv") for mode, part in cases.items()]
        _say(args, f"wrote {', '.join(map(str, paths))}")
    print(to_json(result).rstrip("\n") if args.json else to_text(result, subgroups=bool(args.subgroups)))
    return exit_codes.OK


# options of --model and --data alone
_OF_MODELS = ("schema", "label", "splits", "modes", "tta", "ignore_other_classes", "skip_unreadable", "device", "batch_size", "cache_dir", "offline")  # fmt: skip


def _check_usage(args: argparse.Namespace) -> None:
    error = args.parser.error
    if bool(args.tables) == bool(args.model):
        error("give tables of predictions, or --model NAME with --data SOURCE")
    if bool(args.model) != bool(args.data):
        error("--model and --data go together")
    for name in (*TABLE_COLUMNS, *_OF_MODELS):
        if getattr(args, name) not in (None, False, args.parser.get_default(name)) and not args.model:
            error(f"--{name.replace('_', '-')} is for --model and --data")
    if args.folds and args.model:
        error("--folds is for tables of predictions")
    if args.common and not args.against:
        error("--common is for --against: it compares the lesions that both have")
    for package, what in (("sklearn", "scores"), ("matplotlib", "--out")):
        if find_spec(package) is None and (package == "sklearn" or args.out):
            error(f"{what} needs packages that are not installed: pip install 'amfzoo[train]'")


def _tables(paths: Sequence[str], split: str | None, folds: bool = False) -> dict[str, Cases]:
    """{mode: cases} of files of different modes, or of the folds of a cross-validation."""
    if folds:
        from ..evaluation import join_folds

        by_mode: dict[str, list[Cases]] = {}
        for path in paths:
            cases = read_cases(path, split)
            by_mode.setdefault(cases.mode, []).append(cases)
        with usage_errors():
            return {mode: join_folds(tables) for mode, tables in by_mode.items()}
    found: dict[str, Cases] = {}
    for path in paths:
        cases = read_cases(path, split)
        if cases.mode in found:
            raise TableError(
                f"{path} is a second table of the mode {cases.mode!r}; tables of several modes need a column `mode` that says "
                "both, clinical or dermoscopy (to compare two models use --against; to join the folds of a cross-validation --folds)"
            )
        found[cases.mode] = cases
    models = sorted({cases.model for cases in found.values()} - {""})
    if len(models) > 1:
        raise TableError(
            f"the tables {', '.join(paths)} are of several models, {', '.join(models)}; give those of one (to compare two use --against, "
            "to join the folds of a cross-validation --folds)"
        )
    return found


def read_cases(path: str, split: str | None) -> Cases:
    """The cases of a table, or those of one of its splits.

    Raises:
        TableError: it cannot be read, or has no such split.
    """
    from ..evaluation import Cases

    cases = Cases.read(path)
    try:
        return cases.split(split) if split else cases
    except ConfigError as error:
        raise TableError(f"{path}: {error}") from error


def _predicted(args: argparse.Namespace, lesions: LesionSet) -> dict[str, Cases]:
    from ..evaluation import evaluate_model
    from .predict import load_model

    network = load_model(args).network
    note_own_lesions(args, lesions)
    _note_single_images(args, lesions)
    with usage_errors():
        return evaluate_model(
            network,
            lesions,
            modes=args.modes,
            batch_size=args.batch_size,
            tta=args.tta,
            ignore_other_classes=args.ignore_other_classes,
            on_bad_image="skip" if args.skip_unreadable else "raise",
            progress=None if args.quiet else progress_bar,
        )


def progress_bar(answers: Iterable, mode: str, count: int) -> Iterable:
    from tqdm import tqdm

    return tqdm(answers, desc=mode, total=count, unit="lesion", file=sys.stderr, disable=None)


def _interval_bar(items: Iterable, title: str, count: int) -> Iterable:
    from tqdm import tqdm

    # of a few thousand cases they are there before anybody asks
    return tqdm(items, desc=title, total=count, unit="task", file=sys.stderr, disable=None, delay=3)


def note_own_lesions(args: argparse.Namespace, lesions: LesionSet) -> None:
    """Say how many lesions trained the model, where its run is at hand."""
    from ..data.split_file import splits_in
    from ..hub import LOCAL_PREFIX
    from ..training.run_folder import SPLIT_FILE

    run = Path(args.model.removeprefix(LOCAL_PREFIX)).expanduser().parent / SPLIT_FILE
    if args.model.startswith(LOCAL_PREFIX) and run.is_file():
        try:
            splits = splits_in(run, lesions)
        except ConfigError:  # somebody else's file of that name
            splits = {}
        counts = Counter(splits.values())
        if counts["train"]:
            others = next(
                (
                    f", e.g. with --splits {quote(str(run))} --split {name}"
                    for name in ("valid", "test")
                    if counts[name]
                ),
                "",
            )
            told = f"{counts['train']} of {len(lesions)} lesions trained this model ({run})"
            _say(args, f"note: {told}: their figures flatter. Judge it on others{others}")


def _note_single_images(args: argparse.Namespace, lesions: LesionSet) -> None:
    alone = sum(len(lesion.images) == 1 for lesion in lesions)
    if 0 < alone < len(lesions) and "both" in (args.modes or ["both"]):
        _say(
            args,
            f"note: {alone} of {len(lesions)} lesions have one image only; under 'both images' they count with this one",
        )


def _note_training_cases(args: argparse.Namespace, cases: dict[str, Cases]) -> None:
    first = next(iter(cases.values()))
    trained = first.splits.count("train")
    if trained:
        _say(
            args, f"note: {trained} of {len(first)} cases are of the training split; use --split valid or --split test"
        )


def _write_table(cases: Cases, path: Path) -> Path:
    cases.write(path)
    return path


def _title(cases: dict[str, Cases]) -> str:
    name = next(iter(cases.values())).model
    return f"Evaluation of {name}" if name else "Evaluation"


def _say(args: argparse.Namespace, message: str) -> None:
    if not args.quiet:
        print(message, file=sys.stderr)
