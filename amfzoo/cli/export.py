"""`amfzoo export`: weights as a graph for programs that do without this package."""

from __future__ import annotations

import argparse
from typing import Any

from ..text_tables import columns
from . import exit_codes
from .options import NAMES, add_cache, add_json, apply_offline, positive, print_json, usage_errors
from .sources import TABLE_COLUMNS, add_columns, read_sources, with_splits

FORMATS = ("onnx", "openvino", "torch-export", "int8")
_OF_CALIBRATION = ("pairs", "label", "schema", "splits")  # and the columns
_DESCRIPTION = """\
Write a network and its weights as a folder: the graph (model.onnx; model.xml and model.bin;
or model.pt2) and model.json, which holds the preprocessing, the classes, the temperatures
and the licence, so that neither amfzoo nor, but for torch-export, torch is needed to use it.
The batch size is free. The written graph is compared with fp32 torch on batches of several
sizes and with missing images; where a probability differs by more than 0.001 nothing is
written.

int8 is an ONNX graph whose convolutions compute in 8 bits, which changes the answers. It is calibrated on
real images, some dozens of pairs such as it will see: --calibration names a data set, e.g.
milk10k:FOLDER, or a CSV table of images. Where they come with splits, pairs of train are
taken. How the answers change on these pairs is printed and written into model.json.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX, OpenVINO or torch.export graph",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help=NAMES)
    parser.add_argument("--format", required=True, choices=FORMATS, help="what the graph is written as")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="must not exist yet, or be empty")
    parser.add_argument("--calibration", metavar="SOURCE", help="of int8: real images, see above")
    parser.add_argument(
        "--pairs", metavar="N", type=positive, default=96, help="for the calibration, at most (default: %(default)s)"
    )
    add_cache(parser)
    add_json(parser)
    add_columns(parser, split_is_column=False)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    if (args.format == "int8") != bool(args.calibration):
        args.parser.error("--format int8 and --calibration SOURCE go together: int8 is calibrated on real images")
    for name in (*TABLE_COLUMNS, *_OF_CALIBRATION):
        if getattr(args, name) not in (None, args.parser.get_default(name)) and not args.calibration:
            args.parser.error(
                f"--{name.replace('_', '-')} is for --calibration: it says which images, and how they are read"
            )
    apply_offline(args)
    from ..factory import create_model
    from ..runtimes import export_model

    with usage_errors():
        pairs = _calibration(args) if args.calibration else None  # before the weights are fetched
    network = create_model(args.name, True, cache_dir=args.cache_dir, local_files_only=args.offline)
    with usage_errors():
        found = export_model(network, args.format, args.out, calibration=pairs)
    if args.json:
        parity = {str(size): value for size, value in found.parity.items()}
        agreed = {"agreement": vars(found.agreement)} if found.agreement else {}
        print_json(
            {"folder": str(found.folder), "format": args.format, "files": found.files, "parity": parity, **agreed}
        )
        return exit_codes.OK
    print(f"{found.folder}: " + ", ".join(f"{name} ({size / 1e6:.2f} MB)" for name, size in found.files.items()))
    if found.agreement:
        print(
            f"on the {found.agreement.pairs} pairs of the calibration, {found.agreement.same_class:.1%} of the answers keep the class "
            f"of fp32; a pair's probabilities differ by {found.agreement.mean:.3f} on average, at most by {found.agreement.largest:.3f}"
        )
    print("largest difference of a probability from fp32 torch, random pictures, also with missing images:")
    rows = [(f"  batch of {size}", f"{value:.1e}") for size, value in found.parity.items()]
    print("\n".join(columns(rows)))
    return exit_codes.OK


def _calibration(args: argparse.Namespace) -> list[tuple]:
    """Pairs of the source, spread over its length; of train where it has splits."""
    from ..data.records import evenly_spaced

    lesions = with_splits(args, read_sources(args, [args.calibration]))
    usable = [lesion for lesion in lesions if lesion.images]
    usable = [lesion for lesion in usable if lesion.split == "train"] or usable
    return [(lesion.clinical, lesion.dermoscopy) for lesion in evenly_spaced(usable, args.pairs)]
