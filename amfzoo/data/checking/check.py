"""Check lesions before training: every file is read, and everything that is wrong is listed."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ..faults import Fault
from ..notes import notes, patient_note
from ..records import SPLITS, Lesion, LesionSet
from .fingerprints import Fingerprint, fingerprints, near_pairs
from .report import Report

FAULTS: Mapping[str, str] = {
    "no-lesions": "there is no lesion",
    "bad-row": "a row of the table cannot be used",
    "bad-column": "a column cannot be used",
    "bad-path": "a cell is no path of a file",
    "bad-split": "a split is not train, valid or test",
    "repeated-id": "two rows have the same id",
    "unknown-label": "a label is none of the classes",
    "no-image": "a lesion has neither image",
    "missing-file": "an image is not on disk",
    "unreadable-image": "a file is not a readable image",
    "same-image-twice": "clinical and dermoscopy image are the same",
    "duplicate-image": "lesions have files with the same content",
    "leaking-image": "the same image is in several splits",
    "leaking-patient": "lesions of one patient are in several splits",
}
WARNINGS: Mapping[str, str] = {
    "damaged-image": "a picture ends before its file says",
    "near-duplicate": "two images look nearly the same",
    "shared-image": "lesions name the same file",
    "no-labels": "nothing is labelled",
    "no-split": "some lesions have a split, others have none",
    "empty-class": "a class has no lesion",
    "rare-class": "a class has fewer than 5 lesions",
    "open-class": "a class has the name of what is not known",
    "open-patient": "a patient has the name of what is not known",
    "rounded-id": "a spreadsheet has rounded ids",
    "like-patients": "names of patients differ by their spelling alone",
    "crowded-patient": "one patient has a fifth of the lesions or more",
    "repeated-lesion": "rows without a patient are of one lesion",
    "no-such-image": "images of one kind are in a column that is not read",
    "no-patient": "the patient of some lesions, or of all, is not known",
}

# Of 256 bits. Measured on 8804 images of MILK10k and 2577 dermoscopic images of the ISIC
# archive, 42 million pairs: the 21 pairs within 32 bits are all copies (resized,
# recoloured, saved again) when looked at, and none is another lesion; the nearest two
# lesions that differ are 36 bits apart. Strongly recoloured copies, up to 52 bits, are missed.
# Of 400 made copies each: halved, JPEG quality 40, contrast 1.3 or squashed to a square, all
# are found; 0.4 of the size, brighter by a fifth and JPEG 60, 399; cropped by 2 % a side,
# 160; mirrored, none.
NEAR_BITS = 32

_RARE = 5  # lesions

SEVERAL, UNKNOWN = "(several)", "(unknown)"  # among the counts of classes, and no names of classes
NO_SPLIT = "none"  # the column of lesions without a split, where others have one


def check(lesions: LesionSet, workers: int | None = None, progress: bool = False) -> Report:
    """Read every image once and report what is wrong; see `FAULTS` and `WARNINGS`.

    Args:
        lesions: read leniently (``load_source(..., lenient=True)``), to learn of all
            unknown labels and bad rows and not of the first only.
        workers: threads that read images; default one per core.
        progress: show a bar on stderr, if that is a terminal.
    """
    start = time.monotonic()
    files = fingerprints((path for lesion in lesions for path in lesion.images.values()), workers, progress)
    found = [*lesions.faults, *_unsound(lesions, files), *_leaking_patients(lesions)]
    found += _copies(lesions, files)
    found += _near(lesions, files)
    found += [*_labelling(lesions), *_patients(lesions)]
    faults = tuple(fault for fault in found if fault.kind not in WARNINGS)
    warnings = tuple(fault for fault in found if fault.kind in WARNINGS)
    return Report(lesions.name, len(lesions), len(files), _counts(lesions), faults, warnings, time.monotonic() - start)


def _unsound(lesions: LesionSet, files: Mapping[Path, Fingerprint]) -> Iterator[Fault]:
    faulty = {name for fault in lesions.faults if fault.kind == "bad-path" for name in fault.lesions}
    for lesion in lesions:
        if not lesion.images and lesion.id not in faulty:
            yield Fault(
                "no-image",
                f"lesion {lesion.id}: neither a clinical nor a dermoscopy image; give one, or drop the row",
                (lesion.id,),
            )
        for name, path in lesion.images.items():
            if files[path].problem is not None:
                kind = "missing-file" if _is_gone(path) else "unreadable-image"
                yield Fault(kind, f"lesion {lesion.id}, {name}: {files[path].problem}", (lesion.id,))
            elif files[path].damage is not None:
                yield Fault(
                    "damaged-image",
                    f"lesion {lesion.id}, {name}: {path} ends in {files[path].damage}, as pictures do whose file is "
                    "damaged; get the file again, or leave it out",
                    (lesion.id,),
                )


def _is_gone(path: Path) -> bool:
    """Not what is merely out of reach, in a folder that this user may not read."""
    try:
        os.stat(path)
    except PermissionError:
        return False
    except (OSError, ValueError):
        return True
    return False


def _leaking_patients(lesions: LesionSet) -> Iterator[Fault]:
    patients = _grouped(lesions, lambda lesion: [] if lesion.patient is None else [lesion.patient])
    for patient, members in patients.items():
        if splits := _several_splits(members):
            yield Fault(
                "leaking-patient",
                f"patient {patient} has lesions in {splits}: {_names(members)}; put them in one split, "
                "or split anew with `amfzoo data split`",
                _ids(members),
            )


def _copies(lesions: LesionSet, files: Mapping[Path, Fingerprint]) -> Iterator[Fault]:
    """The same content in the two slots of a lesion, or in several lesions."""

    def contents(lesion: Lesion) -> list[str]:
        return [files[path].sha256 or str(path) for path in lesion.images.values()]

    for lesion in lesions:
        if len(contents(lesion)) == 2 and len(set(contents(lesion))) == 1:
            yield Fault(
                "same-image-twice",
                f"lesion {lesion.id}: the clinical and the dermoscopy image are the same "
                f"({lesion.clinical}); leave the wrong one empty",
                (lesion.id,),
            )
    for content, members in _grouped(lesions, contents).items():
        if len(members) < 2:
            continue
        paths = {
            path for lesion in members for path in lesion.images.values() if content in (files[path].sha256, str(path))
        }
        what = f"lesions {_names(members)} have the same image ({', '.join(map(str, sorted(paths)[:3]))})"
        if tasks := [task for task in lesions.tasks if _contradict(members, task)]:
            what += f", though not the same {' and '.join(tasks)}"
        if splits := _several_splits(members):
            yield Fault("leaking-image", f"{what} but are in {splits}; put them in one split", _ids(members))
        elif len(paths) > 1:
            yield Fault(
                "duplicate-image",
                f"{what}; keep one of the files, or find out which lesion it shows; "
                "`amfzoo data split --copies` keeps them together",
                _ids(members),
            )
        else:
            yield Fault("shared-image", f"{what}; `amfzoo data split` keeps them together", _ids(members))


def _contradict(lesions: Iterable[Lesion], task: str) -> bool:
    """Whether no class can be that of all of them, as far as they are labelled."""
    known = [set(candidates) for lesion in lesions if (candidates := lesion.candidates(task))]
    return len(known) > 1 and not set.intersection(*known)


def _near(lesions: LesionSet, files: Mapping[Path, Fingerprint]) -> Iterator[Fault]:
    owners: dict[str, list[Lesion]] = defaultdict(list)
    first: dict[str, Path] = {}
    for lesion in lesions:
        for path in lesion.images.values():
            if files[path].look is not None:
                content = str(files[path].sha256)
                first.setdefault(content, path)
                owners[content].append(lesion)
    contents = list(first)
    for i, j, bits in near_pairs([files[first[content]].look or b"" for content in contents], NEAR_BITS):
        members = list({lesion.id: lesion for lesion in owners[contents[i]] + owners[contents[j]]}.values())
        splits = _several_splits(members)
        across = f", and are in {splits}" if splits else ""
        yield Fault(
            "near-duplicate",
            f"{first[contents[i]]} and {first[contents[j]]} look nearly the same ({bits} of 256 bits differ; "
            f"lesions {_names(members)}{across})",
            _ids(members),
        )


def _patients(lesions: LesionSet) -> Iterator[Fault]:
    if len(lesions) > 1 and (note := patient_note(lesions)):
        yield Fault("no-patient", note, _ids(lesion for lesion in lesions if lesion.patient is None))
    for kind, note in notes(lesions):
        yield Fault(kind, note)


def _labelling(lesions: LesionSet) -> Iterator[Fault]:
    if not len(lesions):
        yield Fault("no-lesions", f"{lesions.name}: there is no lesion in it, only column names or nothing")
    if not lesions.tasks:
        yield Fault("no-labels", f"{lesions.name}: no task is labelled; say which columns are labels")
    faulty = {name for fault in lesions.faults if fault.kind == "bad-split" for name in fault.lesions}
    without = [lesion for lesion in lesions if lesion.split is None and lesion.id not in faulty]
    if 0 < len(without) < len(lesions):
        yield Fault(
            "no-split", f"{len(without)} of {len(lesions)} lesions have no split: {_names(without)}", _ids(without)
        )
    for task in lesions.tasks:
        if rare := {name: n for name, n in lesions.counts(task).items() if 0 < n < _RARE}:
            which = ", ".join(f"{name} ({n})" for name, n in rare.items())
            yield Fault(
                "rare-class",
                f"task {task}: fewer than {_RARE} lesions are {which}: too few to learn or to judge; empty the cell if it "
                "stands for 'not known', or put the class together with another",
            )
    for task, splits in _counts(lesions).items():
        for split, counts in splits.items():
            if split == NO_SPLIT:
                continue
            if empty := [name for name in lesions.tasks[task] if counts[name] == 0]:
                where = "" if split == "all" else f" in the split {split}"
                yield Fault("empty-class", f"task {task}: no lesion{where} is {', '.join(empty)}")


def _counts(lesions: LesionSet) -> dict[str, dict[str, dict[str, int]]]:
    used = [split for split in (*SPLITS, None) if any(lesion.split == split for lesion in lesions)]
    named = {(NO_SPLIT if len(used) > 1 else "all") if split is None else split: split for split in used or [None]}
    return {
        task: {
            name: _class_counts(lesions.select(lambda lesion, split=split: lesion.split == split), task)
            for name, split in named.items()
        }
        for task in lesions.tasks
    }


def _class_counts(lesions: LesionSet, task: str) -> dict[str, int]:
    open_labels = Counter(min(len(lesion.candidates(task)), 2) for lesion in lesions)
    return {**lesions.counts(task), SEVERAL: open_labels[2], UNKNOWN: open_labels[0]}


def _grouped(lesions: Iterable[Lesion], keys: Callable[[Lesion], Iterable[str]]) -> dict[str, list[Lesion]]:
    found: dict[str, list[Lesion]] = defaultdict(list)
    for lesion in lesions:
        for key in dict.fromkeys(keys(lesion)):
            found[key].append(lesion)
    return found


def _several_splits(lesions: Iterable[Lesion]) -> str:
    """The splits that they are in, if more than one."""
    present = {lesion.split for lesion in lesions}
    names = [split for split in SPLITS if split in present]
    return " and ".join(names) if len(names) > 1 else ""


def _ids(lesions: Iterable[Lesion]) -> tuple[str, ...]:
    return tuple(lesion.id for lesion in lesions)


def _names(lesions: Iterable[Lesion], shown: int = 5) -> str:
    names = _ids(lesions)
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
