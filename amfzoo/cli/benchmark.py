"""`amfzoo benchmark`: what models cost and how fast they answer, beside their peers, in one run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark.parts import PARTS, QUICK
from ..files import replacing
from . import exit_codes
from .options import NAMES, positive, print_json

if TYPE_CHECKING:
    from ..benchmark.result import Report

_DESCRIPTION = """\
Measure parameters, multiply-accumulates and memory; throughput by runtime and batch size;
one pair from files and from memory; bulk prediction from JPEG files beside the bare network
and an ordinary torch script; loading and cold start. On a CUDA device, asked for by --only:
"gpu", what share of the card's measured peak a network reaches, where the time goes and what
bounds it, and "compiled", the same with torch.compile (slow to begin). Models are compared
with their symmetric control, with two timm backbones and with ResNet-50 twice. All that is
compared takes turns in one run, so the ratios hold on a machine that is not quite idle;
figures are medians (least to greatest). A model without weights is measured with random values.
"""
_EPILOG = """\
examples:
  amfzoo benchmark                                        amf_small, a minute or two on two cores
  amfzoo benchmark amf_base --only networks runtimes --runtimes openvino openvino:bf16
  amfzoo benchmark --only runtimes --batches 1 4 16 64 256
  amfzoo benchmark amf_base --device cuda --only gpu --batches 1 32 256
  amfzoo benchmark --only resolution lists --resolutions 160 224 320 512 --lists 1000 100000
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "benchmark",
        help="what models cost and how fast they are, beside their peers",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{NAMES} (default: amf_small)")
    parser.add_argument("--only", metavar="PART", nargs="+", choices=PARTS, help=f"of {', '.join(PARTS)} (default: {' '.join(QUICK)})")  # fmt: skip
    parser.add_argument("--runtimes", metavar="NAME", nargs="+",
                        help="torch, onnx, openvino or auto, with a precision or a switch of torch behind colons: "
                        "openvino:bf16, openvino:int8, torch:bf16:channels_last:compile (default: torch:channels_last onnx openvino auto)")  # fmt: skip
    parser.add_argument("--no-weights", action="store_true", help="random values in the networks, which cost the same")
    parser.add_argument("--no-peers", action="store_true", help="the models alone")
    parser.add_argument("--pairs", metavar="TABLE", type=Path, help="read the files of this table, not drawn pictures")
    parser.add_argument("--device", metavar="DEVICE", default="cpu", help="cpu, cuda, cuda:1 (default: %(default)s)")
    parser.add_argument("--threads", metavar="N", type=positive, help="of each runtime (default: as torch has it)")
    parser.add_argument("--rounds", metavar="N", type=positive, help="of each comparison (default: 5)")
    parser.add_argument("--batch-size", metavar="N", type=positive, help="where there is one batch size (default: 8)")
    parser.add_argument(
        "--batches", metavar="N", type=positive, nargs="+", help="of runtimes and gpu (default: 1 8 32)"
    )
    parser.add_argument("--resolutions", metavar="N", type=positive, nargs="+", help="pixels per side (default: 160 224 320)")  # fmt: skip
    parser.add_argument(
        "--lists", metavar="N", type=positive, nargs="+", help="numbers of pairs (default: 10 100 1000)"
    )
    parser.add_argument(
        "--bulk-pairs", metavar="N", type=positive, help="in each round of bulk; files are read again (default: 96)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print the tables in Markdown, for a README")
    parser.add_argument("--out", metavar="STEM", type=Path, help="write STEM.json and STEM.md as well")
    parser.add_argument("-q", "--quiet", action="store_true", help="no notes on stderr")
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    from ..benchmark.run import Plan, run_benchmark

    wanted = {
        "models": args.models, "parts": args.only, "runtimes": args.runtimes, "batches": args.batches,
        "resolutions": args.resolutions, "lists": args.lists,
    }  # fmt: skip
    options: dict[str, Any] = {name: tuple(values) for name, values in wanted.items() if values}
    numbers = {
        "threads": args.threads, "rounds": args.rounds, "batch_size": args.batch_size, "table": args.pairs,
        "pairs": args.bulk_pairs,
    }  # fmt: skip
    options |= {name: value for name, value in numbers.items() if value is not None}
    plan = Plan(peers=not args.no_peers, weights=not args.no_weights, device=args.device, **options)

    args.out = args.out and args.out.expanduser()
    if args.out is not None and not args.out.name:
        args.parser.error(f"--out {args.out}: give the beginning of the files' names, such as {args.out / 'speed'}")
    if args.out is not None and not args.out.absolute().parent.is_dir():
        args.parser.error(f"--out {args.out}: the folder {args.out.parent} does not exist")

    def note(what: str) -> None:
        if not args.quiet:
            print(f"amfzoo: {what}", file=sys.stderr)

    def write(report: Report) -> None:
        if args.out is not None:  # section by section, so that a run that is stopped leaves what it has
            texts = {".json": json.dumps(report.to_dict(), indent=2), ".md": report.markdown()}
            for ending, text in texts.items():
                with replacing(args.out.with_name(args.out.name + ending)) as partial:
                    partial.write_text(text + "\n", encoding="utf-8")

    report = run_benchmark(plan, note, write)
    if args.json:
        print_json(report.to_dict())
    else:
        print(report.markdown() if args.markdown else report.text())
    return exit_codes.OK
