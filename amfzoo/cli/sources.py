"""How commands are told of lesions: a source, and which columns of a table mean what."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, TableError
from .options import usage_errors

if TYPE_CHECKING:
    from ..data.records import LesionSet

LABELLED = (
    "labelled lesions: a table of images and labels, or READER:FOLDER, e.g. milk10k:FOLDER (readers: `amfzoo data check "
    "--help`); repeat it for several sources"
)
# {option of a reader: where its value is kept}; the split's under another name, for --split may name one of the splits
_COLUMNS = {name: name for name in ("clinical", "dermoscopy", "id", "patient")} | {"split": "split_column"}
TABLE_COLUMNS = tuple(_COLUMNS.values())  # names of the arguments
_FLAGS = {"labels": "label", "split": "split-column"}
# the column's name may hold colons, and carry classes in brackets; so may the classes' names, but for the first one's
_CLASSES = re.compile(r"(?P<column>([^|\[]|\[[^\]]*\])*):(?P<classes>[^|:]*\|.*)")
_MORE = {"clinical": " image", "dermoscopy": " image", "id": "; '' numbers the rows"}


def add_columns(parser: argparse.ArgumentParser, *, split_is_column: bool = True) -> None:
    """Options that say how a table is to be read; --split-column is --split, too, unless the command has another of that name."""
    columns = parser.add_argument_group("of a table of lesions")
    for column, kept in _COLUMNS.items():
        names = [f"--{kept.replace('_', '-')}"]
        if column == "split" and split_is_column:
            names.insert(0, "--split")
        columns.add_argument(
            *names,
            dest=kept,
            metavar="COLUMN",
            help=f"column of the {column}{_MORE.get(column, '')}",
        )
    columns.add_argument(
        "--label",
        action="append",
        metavar="TASK=COLUMN[:CLASS|CLASS]",
        help="a label column, and its classes in order; repeat for more",
    )
    columns.add_argument(
        "--schema",
        metavar="NAME",
        help="label schema: derm7pt or milk10k; derm7pt also for isic2018-task2 and dermaknet, whose label "
        "'present' then leaves the grade open",
    )
    parser.add_argument("--splits", metavar="FILE", help="take the splits from a file of `amfzoo data split`")


def read_sources(args: argparse.Namespace, sources: Sequence[str], **more: Any) -> LesionSet:
    """The lesions of all sources, read as the options say; `more` goes to the readers.

    Of several sources, each is read with those options that its reader has.

    Raises:
        ConfigError: a source cannot be read, an option fits none, or the sources do not go together.
    """
    from ..data.records import join
    from ..data.sources import load_source, options_of, parse_source

    kept = _COLUMNS | {"schema": "schema"}
    options: dict[str, Any] = {name: value for name in kept if (value := getattr(args, kept[name])) is not None}
    if args.label:
        options["labels"] = dict(map(_label, args.label))
    known = {source: options_of(source) for source in sources}
    for name in options:
        if not any(name in names for names in known.values()):
            reader, _ = parse_source(sources[0])
            raise ConfigError(
                f"--{_FLAGS.get(name, name)} is for tables of your own: the reader {reader!r} has no option "
                f"{name!r}; leave it out, or see `amfzoo data check --help`"
            )
    fitting = {
        source: {name: value for name, value in options.items() if name in names} for source, names in known.items()
    }
    return join([load_source(source, **fitting[source], **more) for source in sources])


def with_splits(args: argparse.Namespace, lesions: LesionSet) -> LesionSet:
    """The lesions with the splits of the file that the options name, if they name one."""
    from ..data.split_file import read_split

    return read_split(lesions, args.splits) if args.splits else lesions


def lesions_of(args: argparse.Namespace) -> LesionSet:
    """The lesions of --data, or those of the split that --split names.

    Raises:
        TableError: they cannot be read, or none is of the split.
    """
    with usage_errors():
        lesions = with_splits(args, read_sources(args, args.data))
    if args.split:
        lesions = lesions.split(args.split)
        if not len(lesions):
            raise TableError(
                f"{lesions.name}: no lesion is of the split {args.split!r}; name their column with --split-column, or give "
                "a file of splits with --splits"
            )
    return lesions


def _label(text: str) -> tuple[str, str | tuple[str, list[str]]]:
    task, equals, rest = text.partition("=")
    if not (equals and task and rest):
        raise ConfigError(f"--label {text}: write TASK=COLUMN, or TASK=COLUMN:CLASS|CLASS")
    found = _CLASSES.fullmatch(rest)
    return task, (found["column"], found["classes"].split("|")) if found else rest
