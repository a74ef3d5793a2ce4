"""`amfzoo push`: a model folder becomes a repository on the Hub."""

from __future__ import annotations

import argparse
from typing import Any

from ..checks import is_repo_id
from . import exit_codes

_DESCRIPTION = """\
Verify a model folder (what training writes to DIR/model, or save_pretrained) and upload
it to the Hugging Face Hub in one commit. Log in with `hf auth login`, or set HF_TOKEN; another
server: HF_ENDPOINT. Prints the name by which the model can be loaded from then on.
"""


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "push",
        help="upload a model folder to the Hub",
        description=_DESCRIPTION,
        epilog=exit_codes.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="a model folder: config.json, model.safetensors, README.md")
    parser.add_argument("repo", metavar="ORG/REPO", type=_repo, help="made if it is not there")
    parser.add_argument("--private", action="store_true", help="only you may see it; refused if it is there and public")
    parser.add_argument("--no-create", action="store_true", help="fail if there is no such repository")
    parser.add_argument("--message", metavar="TEXT", help="of the commit")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ..hub import HUB_PREFIX, LOCAL_PREFIX, push, resolve

    # with the prefix, as every other command has it written, or without; never the current folder for an empty text
    folder = resolve(LOCAL_PREFIX + args.folder.removeprefix(LOCAL_PREFIX)).folder
    commit = push(folder, args.repo, private=args.private, commit_message=args.message, create=not args.no_create)
    print(f"{HUB_PREFIX}{args.repo}@{commit}")
    return exit_codes.OK


def _repo(text: str) -> str:
    if not is_repo_id(text):
        raise argparse.ArgumentTypeError(f"a repository is written ORG/REPO, got {text!r}")
    return text
