"""Lesions from any known source by name: ``load_source("milk10k:/folder")``."""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import ConfigError
from ..table_suffixes import TABLES
from .records import LesionSet


@dataclass(frozen=True)
class Reader:
    """Where a reader is, and what it reads; imported on use."""

    module: str
    function: str
    reads: str

    def load(self) -> Callable[..., LesionSet]:
        return getattr(import_module(self.module, __package__), self.function)


READERS: dict[str, Reader] = {
    "csv": Reader(".readers.csv_source", "read_csv", "a CSV or Parquet table of image paths, one row per lesion"),
    "derm7pt": Reader(".readers.derm7pt", "read_derm7pt", "release_v0 of the seven-point checklist data set"),
    "milk10k": Reader(".readers.milk10k", "read_milk10k", "the MILK10k challenge folder"),
    "mra-midas": Reader(".readers.mra_midas", "read_mra_midas", "release_midas.csv and its images"),
    "isic-archive": Reader(
        ".readers.isic_archive", "read_isic_archive", "metadata.csv of an ISIC archive download, and its images"
    ),
    "hiba": Reader(".readers.isic_archive", "read_hiba", "the HIBA collection of the ISIC archive"),
    "pad-ufes-20": Reader(".readers.pad_ufes", "read_pad_ufes", "PAD-UFES-20: metadata.csv and clinical photos"),
    "ham10000": Reader(".readers.ham10000", "read_ham10000", "HAM10000: HAM10000_metadata and dermoscopy"),
    "isic2018-task2": Reader(
        ".readers.isic2018",
        "read_isic2018_task2",
        "ISIC 2018 task 2: dermoscopy and attribute masks, or a table of them",
    ),
    "dermaknet": Reader(".readers.dermaknet", "read_dermaknet", "dermaknet.csv: checklist structures of ISIC images"),
}


def load_source(source: str | os.PathLike[str], **options: Any) -> LesionSet:
    """Read ``name:path``, or the path of a table, which ends in .csv, .tsv, .txt, .parquet or .pq.

    Args:
        source: a name of `READERS`, a colon and the file or folder.
        options: of the reader: ``lenient=True`` leaves bad rows out and lists them in `LesionSet.faults`; of tables also
            clinical, dermoscopy, id, patient, split (names of columns), labels and schema, see `csv_source.read_csv`.

    Raises:
        ConfigError: unknown reader or option (the message suggests a near one), or what
            the reader raises.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ConfigError(
            f"a source is reader:path or the path of a table, not a {type(source).__name__}; write a DataFrame to a CSV file, "
            "or make a LesionSet of Lesion records"
        )
    name, path = parse_source(os.fspath(source))
    known = options_of(source)
    for key in options:
        if key not in known:
            raise ConfigError(f"the reader {name!r} has no option {key!r}{_near(key, known)}")
    return READERS[name].load()(path, **options)


def options_of(source: str | os.PathLike[str]) -> list[str]:
    """Names of the options that the reader of `source` takes.

    Raises:
        ConfigError: see `parse_source`.
    """
    function = READERS[parse_source(os.fspath(source))[0]].load()
    return [key for key in inspect.signature(function).parameters if key not in ("path", "root")]


def parse_source(source: str) -> tuple[str, str]:
    """Reader and path.

    Raises:
        ConfigError: unknown reader, or no path.
    """
    name, colon, path = source.partition(":")
    if not colon or len(name) == 1 or "/" in name:  # C:\table.csv is a path
        if source.lower().endswith(TABLES):
            return "csv", source
        if source.lower().endswith((".xlsx", ".xls", ".ods")):
            raise ConfigError(f"{source}: spreadsheets are not read; save the sheet as CSV UTF-8 and name that file")
        raise ConfigError(
            f"{source}: say how to read it, as in milk10k:{source}; readers: {', '.join(READERS)}. "
            "Tables may be given by their path alone if it ends in .csv, .parquet or .pq"
        )
    key = name.lower()
    if key not in READERS:
        raise ConfigError(f"unknown reader {name!r}{_near(key, list(READERS))}")
    if not path:
        raise ConfigError(f"{source}: the path is missing after the colon")
    return key, path


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
