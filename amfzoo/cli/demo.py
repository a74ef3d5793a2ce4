"""`amfzoo demo`: a page in the browser to try a model on."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from typing import Any, NoReturn

from . import exit_codes
from .options import NAMES, add_cache, apply_offline
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
        help=f"to begin with: {NAMES}; listed weights can be chosen on the page (default: %(default)s)",
    )
    parser.add_argument("--port", metavar="N", type=_port, help="default: the first free one from 7860")
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

    def refuse() -> NoReturn:
        where = f"{args.host}:{args.port}" if args.port else args.host
        args.parser.error(f"nothing can be served at {where}: taken, or no address of this machine; see --port, --host")

    if not _can_serve(args.host, args.port or 0):  # gradio would try a hundred ports, each for seconds
        refuse()
    with StopSignals() as signals, uploads_until_exit():
        page = build(args.model, cache_dir=args.cache_dir, local_files_only=args.offline)
        try:
            _, url, _ = launch(page, server_name=args.host, server_port=args.port, quiet=True, prevent_thread_lock=True)
        except OSError:
            refuse()
        print(f"Open {url} in a browser; Ctrl+C stops.", file=sys.stderr, flush=True)
        while not signals.stop():
            time.sleep(0.2)
        page.close(verbose=False)
    return exit_codes.OK


def _port(text: str) -> int:
    """For argparse: a port number."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 65535, got {text!r}")
    return number


def _can_serve(host: str, port: int) -> bool:
    """Whether this machine has the address, and the port is free; port 0 is any."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port just left is free
            probe.bind(address)
    except (OSError, UnicodeError):  # the latter: no name at all
        return False
    return True
