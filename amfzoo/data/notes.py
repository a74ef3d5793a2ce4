"""What looks wrong in who belongs to whom, and in where the images are: notes for people, None where nothing does."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from shlex import quote

from ..image_cells import plain
from .records import Lesion, LesionSet
from .spelling import as_spoken

_CROWD, _CROWD_SHARE = 10, 0.2  # lesions, and their share, of one patient that are told of
_LIKE_PATIENT = ("patient", "pat_", "patid", "pat-id", "proband", "subject", "person")
_LESION_COLUMNS = ("lesionid", "lesion", "id")  # as `plain` writes them
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".heic", ".heif", ".avif", ".dcm")
# What people write into a cell that they leave open, as `_word` gives it; readers know what programs write there. Neither
# "absent" nor "none": they may be findings.
_OPEN = {
    *("?", "??", "-", "--", "\u2013", "\u2014", ".", "unknown", "not known", "unspecified", "not specified"),
    *("unbekannt", "nicht bekannt", "keine angabe", "keine angaben", "k.a.", "n.k.", "inconnu", "inconnue"),
}
_OPEN_PATIENT = {*_OPEN, "none"}  # which is nobody's name
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_SHOWN = 3
_LIKE_IMAGE = {"clinical": ("clin", "macro", "photo"), "dermoscopy": ("derm",)}


def notes(lesions: LesionSet) -> Iterator[tuple[str, str]]:
    """(kind, note) of all that looks wrong but `patient_note`."""
    for kind, note in (
        ("open-class", open_classes(lesions)),
        ("open-patient", open_patients(lesions)),
        ("rounded-id", rounded_ids(lesions)),
        ("like-patients", patients_alike(lesions)),
        ("crowded-patient", crowded_patient(lesions)),
        ("repeated-lesion", repeated_lesion(lesions)),
        ("no-such-image", overlooked_images(lesions)),
    ):
        if note:
            yield kind, note


def patient_column(lesions: LesionSet) -> str | None:
    """The metadata column that looks like the patients', where no patient is known."""
    if any(lesion.patient is not None for lesion in lesions):
        return None
    columns = dict.fromkeys(name for lesion in lesions for name in lesion.metadata)
    return next((name for name in columns if any(part in name.lower() for part in _LIKE_PATIENT)), None)


def patient_note(lesions: LesionSet) -> str | None:
    """For people: that no patient, or not every one, is known, and which column may name them; None where all are."""
    unknown = sum(lesion.patient is None for lesion in lesions)
    if not unknown:
        return None
    if unknown < len(lesions):
        return f"{unknown} of {len(lesions)} lesions have no patient; each of these counts as a patient of its own"
    column = patient_column(lesions)
    hint = f"; is it in the column {column!r}? Then say --patient {quote(column)}" if column else ""
    return f"no patient is known, so each lesion counts as a patient of its own{hint}"


def patients_alike(lesions: LesionSet) -> str | None:
    """For people: that the names of some patients differ only by case, blanks, zeros in front or as spreadsheets write them;
    None where none do."""
    spelled: dict[str, set[str]] = defaultdict(set)
    for lesion in lesions:
        if lesion.patient is not None:
            spelled[as_spoken(lesion.patient)].add(lesion.patient)
    alike = [sorted(names) for names in spelled.values() if len(names) > 1]
    if not alike:
        return None
    shown = "; ".join(", ".join(names) for names in alike[:3]) + ("; ..." if len(alike) > 3 else "")
    return f"patients whose names are nearly the same count as different people ({shown}); spell them alike if they are one"


def open_classes(lesions: LesionSet) -> str | None:
    """For people: that a class has the name of what is not known; None where none has."""
    found = {
        (name, task): n
        for task in lesions.tasks
        for name, n in lesions.counts(task).items()
        if n and _word(name) in _OPEN
    }
    if not found:
        return None
    shown = _listed({f"{name!r} ({_lesions(n)}) of {task!r}": n for (name, task), n in found.items()})
    if len(found) > 1:
        return f"the classes {shown} read like cells that were left open: empty such cells, else they are learned as classes of their own"
    return f"the class {shown} reads like a cell that was left open: empty such cells, else it is learned as a class of its own"


def open_patients(lesions: LesionSet) -> str | None:
    """For people: that a patient has the name of what is not known; None where none has."""
    counts = Counter(lesion.patient for lesion in lesions if lesion.patient is not None)
    found = {f"{name!r} ({_lesions(n)})": n for name, n in counts.items() if _word(_own(name)) in _OPEN_PATIENT}
    if not found:
        return None
    if len(found) > 1:
        return (
            f"the patients {_listed(found)} read like cells that were left open: empty such cells, else the lesions of each count "
            "as one patient's"
        )
    return f"the patient {_listed(found)} reads like a cell that was left open: empty such cells, else these lesions count as one patient's"


def rounded_ids(lesions: LesionSet) -> str | None:
    """For people: that ids of lesions or patients look like numbers that a spreadsheet has rounded; None where none do."""
    ids = {"lesion": [lesion.id for lesion in lesions], "patient": [lesion.patient or "" for lesion in lesions]}
    found = {f"{kind} {name!r}": 1 for kind, names in ids.items() for name in names if _ROUNDED.fullmatch(_own(name))}
    if not found:
        return None
    return (
        f"ids are numbers that a spreadsheet has rounded, so that several may have become one ({_listed(found)}): format the column "
        "as text and export the table again"
    )


def _own(name: str) -> str:
    """An id without its source, which stands in front where several are put together."""
    return name.rpartition("/")[2]


def _word(name: str) -> str:
    return " ".join(name.split()).casefold().replace(". ", ".")


def _lesions(count: int) -> str:
    return f"{count} lesion" + "s" * (count != 1)


def _listed(found: Mapping[str, int]) -> str:
    """The first few, those of most lesions before others."""
    names = sorted(found, key=lambda name: -found[name])
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def crowded_patient(lesions: LesionSet) -> str | None:
    """For people: that one patient has so many of the lesions, or all, that the name may stand for "not known" or the column
    be another; None where none has, or the name itself is told of."""
    counts = Counter(lesion.patient for lesion in lesions if lesion.patient is not None)
    for name in [name for name in counts if _word(_own(name)) in _OPEN_PATIENT or _ROUNDED.fullmatch(_own(name))]:
        del counts[name]
    name, count = counts.most_common(1)[0] if counts else (None, 0)
    if count < max(_CROWD, _CROWD_SHARE * len(lesions)):
        return None
    if count == len(lesions):
        return (
            f"all {count} lesions have the patient {name!r}, so none can be held out for validation and intervals count one patient; "
            "empty the cells if this is no patient, or say which column names them (--patient)"
        )
    return (
        f"patient {name!r} has {count} of {len(lesions)} lesions, which stay in one split and count as one in intervals; "
        "empty the cells if this stands for 'not known'"
    )


def repeated_lesion(lesions: LesionSet) -> str | None:
    """That several rows without a patient are of one lesion, by a column beside their ids, and so count as several patients."""
    for column in dict.fromkeys(name for lesion in lesions for name in lesion.metadata):
        if plain(column) not in _LESION_COLUMNS:
            continue
        rows: dict[str, list[Lesion]] = defaultdict(list)
        for lesion in lesions:
            if name := lesion.metadata.get(column, ""):
                rows[name].append(lesion)
        alone = sum(lesion.patient is None for found in rows.values() if len(found) > 1 for lesion in found)
        if alone:
            return (
                f"{alone} rows without a patient share their {column!r} with others, but each counts as a patient of its own, so "
                "pictures of one lesion may come to training and to validation; fill in the patient, or name the lesion as the "
                f"patient (--patient {quote(column)})"
            )
    return None


def overlooked_images(lesions: LesionSet) -> str | None:
    """That no lesion has an image of one kind, though a column beside looks like it holds some."""
    for kind, parts in _LIKE_IMAGE.items():
        if any(kind in lesion.images for lesion in lesions):
            continue
        for column in dict.fromkeys(name for lesion in lesions for name in lesion.metadata):
            cells = [text.lower() for lesion in lesions if (text := lesion.metadata.get(column, "").strip())]
            if (
                cells
                and any(part in column.lower() for part in parts)
                and all(text.endswith(_PICTURES) for text in cells)
            ):
                return f"no lesion has a {kind} image; are they in the column {column!r}? Then say --{kind} {quote(column)}"
    return None
