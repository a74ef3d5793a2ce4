"""From arguments to a command, and from its errors to one line and an exit code."""

from __future__ import annotations

import argparse
import codecs
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import AmfzooError
from ..files import NO_ROOM
from ..memory import keep_freed_memory
from ..processes import tell_launcher
from . import (
    benchmark,
    data,
    demo,
    download,
    evaluate,
    exit_codes,
    export,
    info,
    list_models,
    predict,
    push,
    recalibrate,
    threshold,
    train,
    verify,
)

_DESCRIPTION = "Deep learning on pairs of skin-lesion images: models, weights, predictions."
_START = "Start with `amfzoo list`, or with `amfzoo predict --example`, which needs no data of yours."


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="amfzoo",
        description=f"{_DESCRIPTION}\nResearch software, not a medical device.\n\n{_START}",
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"amfzoo {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    order = (
        list_models, info, download, verify, predict, demo, export, data, train, recalibrate, evaluate, threshold, push, benchmark,
    )  # fmt: skip
    for module in order:
        module.add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (see `exit_codes`).

    Args:
        arguments: without the program's name; default those of the process.
    """
    if sys.stderr is None:  # closed by whoever started this; print(file=None) would write errors among the answers
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # for as long as the process lasts
    # What the console cannot show is shown in escapes, such as a file name or a dagger. In the C locale Python lets the bytes
    # of file names through as they are, and that alone.
    if getattr(sys.stdout, "errors", None) == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")
    elif getattr(sys.stdout, "errors", None) == "surrogateescape":
        codecs.register_error("amfzoo", _bytes_or_escapes)
        sys.stdout.reconfigure(errors="amfzoo")
    try:
        code = _run(arguments)
        if sys.stdout is not None:  # as it is where the output was closed
            sys.stdout.flush()  # here, so that a closed pipe is noticed here
        return code
    except BrokenPipeError:
        _give_up_output()
        return exit_codes.BROKEN_PIPE
    except OSError as error:
        if error.errno not in NO_ROOM or error.filename is not None:
            raise
        _give_up_output()
        fail(f"the output cannot be written: {error.strerror}")
        return exit_codes.SOME_FAILED


def _bytes_or_escapes(error: UnicodeError) -> tuple[str | bytes, int]:
    """For what an output cannot show: bytes that came with a file name as they are, else escapes."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _give_up_output() -> None:
    """What is left in the buffer must not be tried again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str] | None) -> int:
    try:
        parser = build_parser()
        args = parser.parse_args(arguments)
        if "run" in args:
            keep_freed_memory()
            return args.run(args)
        parser.print_help(sys.stderr)
        return exit_codes.USAGE
    except SystemExit as end:  # argparse: help, version, wrong usage
        return int(end.code or 0)
    except AmfzooError as error:
        fail(str(error))
        return exit_codes.of_error(error)
    except RuntimeError as error:
        if "home directory" not in str(error):
            raise
        fail("a path that begins with ~ names the folder of a user who is not known here; write ./~ for such a file")
        return exit_codes.USAGE
    except KeyboardInterrupt:
        fail("interrupted")
        return exit_codes.INTERRUPTED


def fail(message: str) -> None:
    """Print an error as one line."""
    line = f"amfzoo: error: {' '.join(message.split())}"
    print(line, file=sys.stderr)
    tell_launcher(line)
