"""What looks wrong in who belongs to whom, and in where the images are: notes for people, None where nothing does."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from ..image_cells import plain
from .records import Lesion, LesionSet
from .spelling import as_spoken

_CROWD, _CROWD_SHARE = 10, 0.2  # lesions, and their share, of one patient that are told of
_LIKE_PATIENT = ("patient", "pat_", "patid", "pat-id", "proband", "subject", "person")
_LESION_COLUMNS = ("lesionid", "lesion", "id")  # as `plain` writes them
_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".dcm")
_LIKE_IMAGE = {"clinical": ("clin", "macro", "photo"), "dermoscopy": ("derm",)}


def notes(lesions: LesionSet) -> Iterator[tuple[str, str]]:
    """(kind, note) of all that looks wrong but `patient_note`."""
    for kind, note in (
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
    hint = f"; is it in the column {column!r}? Then say --patient {column}" if column else ""
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


def crowded_patient(lesions: LesionSet) -> str | None:
    """For people: that one patient has so many of the lesions that the name may stand for "not known"; None where none has."""
    counts = Counter(lesion.patient for lesion in lesions if lesion.patient is not None)
    name, count = counts.most_common(1)[0] if counts else (None, 0)
    if count < max(_CROWD, _CROWD_SHARE * len(lesions)) or len(counts) < 2:
        return None
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
                f"patient (--patient {column})"
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
                return f"no lesion has a {kind} image; are they in the column {column!r}? Then say --{kind} {column}"
    return None
