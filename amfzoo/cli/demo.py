"""`amfzoo demo`: a page in the browser to try a model on."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from . import exit_codes
from .options import add_cache, apply_offline, positive
from .predict import DEFAULT_MODEL
from .signals import StopSignals

_LOOPBACK = "127.0.0.1"
_DESCRIPTION = """\
Serve a page on this machine: two boxes for the images of one lesion, the answer with maps,
and the same as an API. Nothing is sent elsewhere; uploaded images are deleted an hour later
and at the end. Needs pip install 'amfzoo[demo]'. Research software, not a medical device.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "demo",
        help="a page in the browser to try a model on",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model",
        metavar="NAME",
        default=DEFAULT_MODEL,
        help="to begin with, as for `amfzoo download`; listed weights can be chosen on the page (default: %(default)s)",
    )
    parser.add_argument("--port", metavar="N", type=positive, help="default: the first free one from 7860")
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default=_LOOPBACK,
        help="another than %(default)s lets other machines in, and nothing asks them who they are",
    )
    add_cache(parser)
    parser.set_defaults(run=run, parser=parser)


def run(args: argparse.Namespace) -> int:
    apply_offline(args)
    from ..demo import build, launch
    from ..demo.server import uploads_until_exit

    with StopSignals() as signals, uploads_until_exit():
        page = build(args.model, cache_dir=args.cache_dir, local_files_only=args.offline)
        try:
            _, url, _ = launch(page, server_name=args.host, server_port=args.port, quiet=True, prevent_thread_lock=True)
        except OSError:
            where = f"{args.host}:{args.port}" if args.port else args.host
            args.parser.error(
                f"nothing can be served at {where}: taken, or no address of this machine; see --port, --host"
            )
        print(f"Open {url} in a browser; Ctrl+C stops.", file=sys.stderr, flush=True)
        while not signals.stop():
            time.sleep(0.2)
        page.close(verbose=False)
    return exit_codes.OK
