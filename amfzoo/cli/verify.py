"""`amfzoo verify`: are the weights on this machine the released ones, and do they answer as released?"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ConfigError, UnknownModelError, WeightsError
from ..text_tables import columns
from . import exit_codes
from .options import NAMES, add_json, print_json

_DESCRIPTION = """\
Verify weights that are on this machine: the sha256 of every listed file, and, where a
model folder has an example, that the network still gives the released answers to it.
Fetches nothing: see `amfzoo download`.
"""


@dataclass(frozen=True)
class Report:
    """What was found of one set of weights; `state` is "OK", "failed" or "not here"."""

    name: str
    state: str
    detail: str
    folder: str | None = None
    difference: float | None = None


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="check the weights on this machine",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{NAMES}; default: all listed weights that are here")
    parser.add_argument("--cache-dir", metavar="DIR", help="the Hub's cache, instead of the usual one")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    names = args.names or _listed_here(args.cache_dir)
    reports = [_verify(name, args.cache_dir) for name in names]
    if not args.names:
        reports += _listed_elsewhere(names)
    if args.json:
        print_json([asdict(report) for report in reports])
    elif reports:
        print("\n".join(columns([(report.name, report.state, " ".join(report.detail.split())) for report in reports])))
    else:
        print("no weights are listed yet: nothing to verify")
    return exit_codes.SOME_FAILED if any(report.state == "failed" for report in reports) else exit_codes.OK


def _listed_here(cache_dir: str | None) -> list[str]:
    """Listed weights that should be here: those that came with amfzoo, and those in the Hub's cache."""
    from .. import hub
    from ..manifest import load_manifest

    manifest = load_manifest()
    weights = sorted(manifest.weights.items())
    return [name for name, record in weights if hub.is_here(record, manifest, cache_dir=cache_dir)]


def _listed_elsewhere(here: list[str]) -> list[Report]:
    from ..manifest import load_manifest

    hints = {"hub": "`amfzoo download {}` fetches them", "repository": "they come with a checkout of the repository"}
    return [
        Report(name, "not here", hints[record.source.type].format(name))
        for name, record in sorted(load_manifest().weights.items())
        if name not in here
    ]


def _verify(name: str, cache_dir: str | None) -> Report:
    from .. import hub
    from ..factory import create_model
    from ..inference.golden import check_golden, has_golden

    try:
        folder = hub.download(name, cache_dir=cache_dir, local_files_only=True)
        if not has_golden(folder):
            return Report(name, "OK", "files as recorded; no released answers to compare with", str(folder))
        model = create_model(name, True, local_files_only=True, cache_dir=cache_dir)
        difference = check_golden(model, folder)
    except (ConfigError, UnknownModelError, WeightsError) as error:
        return Report(name, "failed", str(error))
    detail = f"files as recorded; the example is answered as released (differs by at most {difference:.1e})"
    return Report(name, "OK", detail, str(folder), difference)
