"""`amfzoo predict`: one pair, or a table of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from ..processes import is_first
from ..table_suffixes import PARQUETS, TABLES
from ..text_tables import shown
from . import exit_codes
from .options import NAMES, add_cache, add_json, apply_offline, positive, print_json, usage_errors

if TYPE_CHECKING:
    from ..models.network import PairNetwork
    from ..runtimes import Predictor

DEFAULT_MODEL = "amf_small"
RUNTIMES = ("auto", "openvino", "onnx", "torch")
PRECISIONS = ("auto", "fp32", "bf16", "int8")
_EXAMPLE = "The example is a drawing, not a real lesion."
_USAGE = """\
amfzoo predict CLINICAL DERMOSCOPY [options]
       amfzoo predict --dermoscopy IMAGE [options]      (or --clinical: one image alone)
       amfzoo predict --example [options]
       amfzoo predict PAIRS.csv --out ANSWERS.csv [options]
       amfzoo predict PAIRS.parquet --out ANSWERS/ [options]"""
_DESCRIPTION = """\
Predict from a clinical photo and a dermoscopy image of one lesion, or from one of the
two. Research software, not a medical device.

A table is a CSV file (UTF-8 or UTF-16; comma, semicolon or tab) with the columns clinical and
dermoscopy (or those that --clinical COLUMN and --dermoscopy COLUMN name): paths relative
to the table, empty where an image is missing. The answers
are the table's columns, then model, for each task the class that is called and the
probability of every class and its prediction set, missing, seven_point_score (sets and
score where the weights give them), warnings on the images, and error. Rows are written to
ANSWERS.csv.part as they come; the same command goes on where a stopped run ended, and
adds rows that are new in the table. --out FOLDER/ writes shards instead, for long lists
and Parquet tables, whose two columns may also hold the pictures: the bytes of their files.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        help="predict from a pair of images, or from a table of them",
        usage=_USAGE,
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="a clinical photo and a dermoscopy image, in this order, or a table"
    )
    for branch, title in (("clinical", "clinical photo"), ("dermoscopy", "dermoscopy image")):
        parser.add_argument(
            f"--{branch}", metavar="IMAGE|COLUMN", help=f"the {title}, by name; of a table the column of the {title}s"
        )
    parser.add_argument(
        "--example", action="store_true", help="predict from the example pair that comes with amfzoo; it is drawn"
    )
    parser.add_argument("--model", metavar="NAME", default=DEFAULT_MODEL, help=f"{NAMES} (default: %(default)s)")
    parser.add_argument(
        "--device", metavar="DEVICE", default="cpu", help="cpu, cuda, cuda:1, mps (default: %(default)s)"
    )
    parser.add_argument(
        "--runtime",
        metavar="NAME",
        choices=RUNTIMES,
        default="torch",
        help="torch, onnx, openvino, or auto: the fastest that is installed (default: torch); in fp32 all answer the same, see --precision",
    )
    parser.add_argument(
        "--precision",
        metavar="NAME",
        choices=PRECISIONS,
        help="fp32, bf16, int8, or auto: bf16 where the processor has it and its effect on the accuracy of these weights "
        "was measured and is small (default: auto with --runtime auto, else fp32)",
    )
    parser.add_argument(
        "--calibration", metavar="FOLDER", help="of int8: what `amfzoo export --format int8` wrote for these weights"
    )
    add_cache(parser)
    add_json(parser)
    parser.add_argument(
        "--no-guards",
        action="store_true",
        help="do not look for mistakes with the images (swapped, blurred, no lesion, ...)",
    )
    parser.add_argument(
        "--report",
        metavar="FILE.html",
        help="write a page to look at: pictures, maps, answers; for a table with a list",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress and no notes; errors only")
    table = parser.add_argument_group("for tables")
    table.add_argument("--out", metavar="FILE|DIR/", help="where the answers go; a folder gets shards, for long lists")
    table.add_argument(
        "--batch-size",
        metavar="N",
        type=positive,
        help="pairs per step (default: 8 for each core, 16 to 64; on CUDA as many as fit, up to 256)",
    )
    table.add_argument("--prefix", metavar="TEXT", default="", help="put TEXT before the names of the added columns")
    table.add_argument("--retry-errors", action="store_true", help="answer the rows that have an error again")
    table.add_argument(
        "--overwrite", action="store_true", help="throw away an earlier answer file, finished or not, and start over"
    )
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    apply_offline(args)
    if args.report:
        from ..report.page import check_page

        check_page(args.report)  # before the weights are fetched
    if len(args.inputs) == 1 and (args.out or Path(args.inputs[0]).suffix.lower() in TABLES):
        _check_table_usage(args)
        from .predict_table import run_table

        return run_table(args, lambda: _load_for_prediction(args))
    for option in ("out", "prefix", "retry_errors", "overwrite", "batch_size"):
        if getattr(args, option):
            args.parser.error(f"--{option.replace('_', '-')} is for tables: amfzoo predict PAIRS.csv --out ANSWERS.csv")
    images = _images(args)
    # one pair is work for one process, and one answer
    return _run_pair(args, *images) if is_first() else exit_codes.OK


def _load_for_prediction(args: argparse.Namespace) -> LoadedModel:
    """As `load_model`, behind the runtime that the options name."""
    model = load_model(args)
    if args.runtime == "torch" and args.precision in (None, "fp32") and not args.calibration:
        return model
    from ..inference.batch import with_precision
    from ..runtimes import create_predictor

    with usage_errors():
        predictor = create_predictor(
            model.network, args.runtime, precision=args.precision, calibration=args.calibration
        )
    # what was not measured is warned of anyway
    if predictor.precision != "fp32" and predictor.measured and not args.quiet and is_first():
        print(f"note: {predictor.precision_note}", file=sys.stderr)
    # in a table the answers of different precisions must not be mixed
    return replace(model, network=predictor, label=with_precision(model.label, predictor))


@dataclass(frozen=True)
class LoadedModel:
    """A network, or one behind another runtime; a label that tells its weights from all others; the network itself."""

    network: PairNetwork | Predictor
    label: str
    torch: PairNetwork


def load_model(args: argparse.Namespace) -> LoadedModel:
    """The weights that the options name, on the device they name.

    Raises:
        UnknownModelError, WeightsError, ConfigError: they cannot be had or verified.
    """
    _check_device(args)
    from .. import hub
    from ..factory import moved
    from ..folder import sha256_of
    from ..manifest import CONFIG_FILE
    from ..models.loading import build_loaded
    from ..models.network import PairNetwork
    from ..registry import model_entry

    if ":" not in args.model and "/" not in args.model:
        model_entry(args.model.partition(".")[0])  # a wrong model name gets its own message
    found = hub.resolve(args.model, cache_dir=args.cache_dir, local_files_only=args.offline)  # once: a branch may move
    network = moved(build_loaded(PairNetwork, found, {}), args.device)
    if found.record is not None:
        return LoadedModel(network, found.record.name, network)
    # Weights that are not listed may share a name; config.json holds the hash of its weights.
    name = network.config.info.get("name", network.config.architecture)
    return LoadedModel(network, f"{name}@{sha256_of(found.folder / CONFIG_FILE)[:12]}", network)


def _images(args: argparse.Namespace) -> tuple[str | None, str | None]:
    """Paths of the clinical and the dermoscopy image; wrong usage ends the program."""
    error: Callable[[str], Any] = args.parser.error
    named = args.clinical is not None or args.dermoscopy is not None
    if args.example + named + bool(args.inputs) > 1:
        error("give the images in one way: CLINICAL DERMOSCOPY, or --clinical and --dermoscopy, or --example")
    if args.example:
        from ..data.example import example_pair

        clinical, dermoscopy = example_pair()
        return str(clinical), str(dermoscopy)
    if named:
        return args.clinical, args.dermoscopy
    if not args.inputs:
        error("nothing to predict from: give CLINICAL DERMOSCOPY, or try --example")
    if len(args.inputs) == 1:
        error("one image: say which it is, --clinical IMAGE or --dermoscopy IMAGE (a table ends in .csv)")
    if len(args.inputs) > 2:
        error(f"two images make a pair, {len(args.inputs)} were given; for many pairs write a table, see --help")
    if "-" in args.inputs:
        error("'-' is no image; for one image alone use --clinical IMAGE or --dermoscopy IMAGE")
    return tuple(args.inputs)


def _run_pair(args: argparse.Namespace, clinical: str | None, dermoscopy: str | None) -> int:
    from ..card import main_limit

    model = _load_for_prediction(args)
    limit = main_limit(model.network.config.info)
    answer = model.network.predict(clinical, dermoscopy, guards=not args.no_guards)
    if args.report:
        from ..report import write_pair_report

        write_pair_report(
            model.network, args.report, clinical, dermoscopy, network=model.torch, answer=answer, label=model.label,
            remark=_EXAMPLE if args.example else "",
        )  # fmt: skip
    if args.json:
        print_json({"clinical": clinical, "dermoscopy": dermoscopy, **answer.to_dict(), "not_validated_for": limit})
    else:
        print(shown(answer))
        if not args.quiet:
            print(shown(f"{model.label} is not validated for {limit}."))
        if args.example and not args.quiet:
            print(_EXAMPLE)
    return exit_codes.OK


def _check_table_usage(args: argparse.Namespace) -> None:
    if args.example:
        args.parser.error("a table names its images itself: leave out --example")
    if not args.out or args.out == "-":
        parquet = Path(args.inputs[0]).suffix.lower() in PARQUETS
        where = (
            "a folder: amfzoo predict {} --out ANSWERS/" if parquet else "a file: amfzoo predict {} --out ANSWERS.csv"
        )
        args.parser.error("a table of answers goes to " + where.format(quote(args.inputs[0])))
    if args.report and Path(args.report).resolve() in (Path(args.out).resolve(), Path(args.inputs[0]).resolve()):
        args.parser.error("--report is the file of the table or of the answers; name another")


def _check_device(args: argparse.Namespace) -> None:
    from ..device import check_device
    from ..errors import ConfigError

    try:
        check_device(args.device)
    except ConfigError as error:
        args.parser.error(str(error))
