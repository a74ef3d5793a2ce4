"""`amfzoo export`: weights as a graph for programs that do without this package."""

from __future__ import annotations

import argparse
from typing import Any

from ..text_tables import columns
from . import exit_codes
from .options import add_cache, add_json, apply_offline, print_json

FORMATS = ("onnx", "openvino", "torch-export")
_DESCRIPTION = """\
Write a network and its weights as a folder: the graph (model.onnx; model.xml and model.bin;
or model.pt2) and model.json, which holds the preprocessing, the classes, the temperatures
and the licence, so that neither amfzoo nor, but for torch-export, torch is needed to use it.
The batch size is free. The written graph is compared with fp32 torch on batches of several
sizes and with missing images; where a probability differs by more than 0.001 nothing is
written.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX, OpenVINO or torch.export graph",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help="as for `amfzoo download`")
    parser.add_argument("--format", required=True, choices=FORMATS, help="what the graph is written as")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="must not exist yet, or be empty")
    add_cache(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    apply_offline(args)
    from ..factory import create_model
    from ..runtimes import export_model

    network = create_model(args.name, True, cache_dir=args.cache_dir, local_files_only=args.offline)
    found = export_model(network, args.format, args.out)
    if args.json:
        parity = {str(size): value for size, value in found.parity.items()}
        print_json({"folder": str(found.folder), "format": args.format, "files": found.files, "parity": parity})
        return exit_codes.OK
    print(f"{found.folder}: " + ", ".join(f"{name} ({size / 1e6:.2f} MB)" for name, size in found.files.items()))
    print("largest difference of a probability from fp32 torch, also with missing images:")
    rows = [(f"  batch of {size}", f"{value:.1e}") for size, value in found.parity.items()]
    print("\n".join(columns(rows)))
    return exit_codes.OK
