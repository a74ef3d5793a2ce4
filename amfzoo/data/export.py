"""Write lesions as a plain CSV that `csv_source.read_csv` reads back to equal records."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from ..errors import ConfigError
from ..files import ANOTHER, replacing
from ..table_suffixes import PARQUETS
from .readers.csv_source import metadata_column, read_csv
from .readers.labelling import OR, header
from .records import MODALITIES, Lesion, LesionSet


def write_csv(lesions: LesionSet, path: str | os.PathLike[str], *, overwrite: bool = True) -> None:
    """Write `lesions` to a CSV file, UTF-8, replacing it, or only if it says the same where `overwrite` is false.

    Columns: lesion_id, clinical, dermoscopy (relative to the file's folder where they can
    be, unless the file is a link to one of another folder), patient_id, split, one per task named ``task [class|class]``, then metadata. The
    file is read back and compared before it takes its place, so it never says something else.

    Raises:
        ConfigError: the folder cannot be written to, the file is not to be overwritten, or CSV cannot hold a value, e.g. a
            class name with "|"; the message names the lesion and what differs.
    """
    file = Path(os.path.abspath(os.path.expanduser(path)))
    if file.suffix.lower() in PARQUETS:
        raise ConfigError(f"{file}: only CSV is written; give a name that ends in .csv")
    try:
        with replacing(file, overwrite=overwrite) as partial:
            _write(lesions, partial, _folder_of(file))
            _compare(lesions, read_csv(partial, delimiter=",", lenient=True), file)
    except FileExistsError:
        raise ConfigError(f"{file}: {ANOTHER}") from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written ({error.strerror or error})") from error


def _folder_of(file: Path) -> Path | None:
    """What readers take its paths as relative to; None where that depends on whether they go by a link or by where it leads."""
    return file.parent if os.path.dirname(os.path.realpath(file)) == os.path.realpath(file.parent) else None


def _write(lesions: LesionSet, file: Path, folder: Path | None) -> None:
    keys = list(dict.fromkeys(key for lesion in lesions for key in lesion.metadata))
    columns = ["lesion_id", *MODALITIES, "patient_id", "split"]
    columns += [header(task, classes) for task, classes in lesions.tasks.items()]
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*columns, *map(metadata_column, keys)])
        for lesion in lesions:
            images = (_written(lesion.images.get(kind), folder) for kind in MODALITIES)
            labels = (OR.join(lesion.candidates(task)) for task in lesions.tasks)
            metadata = (lesion.metadata.get(key, "") for key in keys)
            writer.writerow([lesion.id, *images, lesion.patient or "", lesion.split or "", *labels, *metadata])


def _written(path: Path | None, folder: Path | None) -> str:
    if path is None:
        return ""
    if folder is None:
        return Path(os.path.abspath(path)).as_posix()
    try:
        text = os.path.relpath(path, folder)
        if os.pardir in Path(text).parts:  # which leads, for a reader, from where a link leads
            text = os.path.relpath(_real(path), os.path.realpath(folder))
        return Path(text).as_posix()
    except ValueError:  # another drive
        return Path(os.path.abspath(path)).as_posix()


def _real(path: Path) -> str:
    """Links of its folder followed, not that of the file itself."""
    return os.path.join(os.path.realpath(path.parent), path.name)


def _compare(wanted: LesionSet, found: LesionSet, file: Path) -> None:
    problems = [fault.message for fault in found.faults]
    if dict(wanted.tasks) != dict(found.tasks):
        problems.append(f"the tasks {dict(wanted.tasks)} would read as {dict(found.tasks)}")
    for lesion, other in zip(wanted, found):
        different = [name for name, value in _facts(lesion).items() if value != _facts(other)[name]]
        if different:
            problems.append(f"lesion {lesion.id!r} would differ in {', '.join(different)}")
    if len(wanted) != len(found):
        problems.append(f"{len(wanted)} lesions would read as {len(found)}")
    if problems:
        raise ConfigError(
            f"{file}: a CSV cannot hold these lesions: {problems[0]}; avoid '|', '[' and ']' in the names of "
            "tasks and classes, and blanks around ids and file names"
        )


def _facts(lesion: Lesion) -> dict[str, object]:
    return {
        "id": lesion.id,
        **{kind: _real(path) for kind, path in lesion.images.items()},
        **{kind: None for kind in MODALITIES if kind not in lesion.images},
        "labels": dict(lesion.labels),
        "patient": lesion.patient,
        "split": lesion.split,
        "metadata": dict(lesion.metadata),
    }
